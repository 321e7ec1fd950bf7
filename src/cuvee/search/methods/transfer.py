"""Transfer: some cheap runs, one surrogate, and its best mixtures at the target in rank order.

The simple strategy that has to be beaten: where cheap runs rank mixtures as the target does, nothing adaptive
does better. It learns nothing from target runs; what they measure only says which of them was best.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from cuvee.search.candidates import candidates
from cuvee.search.first_runs import FirstRuns, runs_then_verified
from cuvee.search.proposer import History
from cuvee.search.space import Experiment
from cuvee.search.surrogate import Surrogate
from cuvee.types import FloatArray


@dataclass(frozen=True)
class Transfer:
    """The method, with its settings."""

    runs: int = 16
    """Measured experiments at the cheapest fidelity."""
    name: str = "transfer"
    paper: str = "https://arxiv.org/abs/2407.01492"
    needs: str = "a cheap fidelity that ranks mixtures as the target does"
    cost: str = "a fit of the surrogate, tenths of a second, at the first ask that needs it"
    deviations: str = "16 runs, and a law with a process of what it misses in place of trees."

    def ask(self, history: History, count: int, seed: int) -> list[Experiment]:
        """See ``Method.ask``; waits for the last cheap runs before it fits. Failed ones are replaced."""
        return runs_then_verified(history, self.runs, count, seed, _ranked)


@lru_cache(maxsize=2)
def _ranked(known: FirstRuns, seed: int) -> FloatArray:
    """Mixtures [C, S] to be verified at the target, the best first. Kept, as every ask needs it again."""
    history, space = known.history, known.history.space
    surrogate = Surrogate.of(history, seed=seed, metrics=np.flatnonzero(history.weights))
    if space.pool is None:
        offered = candidates(history, surrogate, np.random.default_rng(seed))
    else:
        offered = space.pool[space.rows(space.target)]
    places = surrogate.places(offered, np.full(len(offered), space.target))
    mean = surrogate.mean(places) @ history.weights[surrogate.metrics]
    ranked: FloatArray = offered[np.argsort(mean, kind="stable")]
    return ranked
