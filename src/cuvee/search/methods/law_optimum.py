"""The optimum of a law: many cheap runs, one law, and the mixtures it likes best.

RegMix (Liu et al. 2025, https://arxiv.org/abs/2407.01492): a swarm of runs at the cheapest fidelity, one
regression for each metric, and its best mixtures at the target fidelity in the order it puts them. It learns
nothing from target runs: what they measure only says which of them was best.
"""

from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np

from cuvee.laws.interface import LawData, Scale, own_sources
from cuvee.laws.registry import law_named
from cuvee.search.first_runs import FirstRuns, runs_then_verified
from cuvee.search.proposer import History
from cuvee.search.space import Experiment
from cuvee.types import FloatArray

_DRAWN = 2048  # even ones, and as many sparse ones
_AVERAGED = 5  # of all; the paper averages 128 of 100,000


@dataclass(frozen=True)
class LawOptimum:
    """The method, with its settings."""

    law: str
    """A row of ``LAWS`` for one scale."""
    runs: int = 64
    """Measured experiments at the cheapest fidelity that the law is fitted to."""
    paper: str = "https://arxiv.org/abs/2407.01492"
    deviations: str = (
        "64 runs and not 512, drawn evenly. The optimum is the mean of the best 5 of 4096 draws, half of "
        "them even, and is asked for first; the other draws follow in order. Rows of a pool come in order."
    )

    @property
    def name(self) -> str:
        """Name of the row."""
        return f"law_optimum_{self.law}"

    @property
    def needs(self) -> str:
        """See ``Method.needs``."""
        return f"a cheap fidelity that ranks mixtures as the target does; {law_named(self.law).needs}"

    @property
    def cost(self) -> str:
        """See ``Method.cost``."""
        return f"a fit of the law, {law_named(self.law).cost}, and some 4000 draws, once"

    def ask(self, history: History, count: int, seed: int) -> list[Experiment]:
        """See ``Method.ask``; waits for the last cheap runs before it fits. Failed ones are replaced."""
        return runs_then_verified(history, self.runs, count, seed, partial(_ranked, self.law))


@lru_cache(maxsize=2)
def _ranked(law: str, known: FirstRuns, seed: int) -> FloatArray:
    """Mixtures for the target [C, S], the best first. Kept, as every ask needs it again."""
    history, space, trials = known.history, known.history.space, known.history.trials
    fidelity = space.fidelities[space.cheapest]
    wanted = np.flatnonzero(history.weights > 0)
    metrics = tuple(trials.metrics[i] for i in wanted)
    scale, own = Scale(fidelity.params, fidelity.tokens), own_sources(metrics, space.sources)
    fitted = law_named(law).fit(
        LawData(space.sources, metrics, trials.shares, trials.costs[:, wanted], scale, own)
    )
    if space.pool is not None:
        offered = space.pool[space.rows(space.target)]
    else:
        rng, sources = np.random.default_rng(seed), len(space.sources)
        sparse = space.region.sample(_DRAWN, rng, np.full(sources, 1.0 / sources))
        offered = np.concatenate([space.drawn(_DRAWN, rng), [one.shares for one in sparse]])
    if not len(offered):
        return offered
    costs = fitted.costs(offered, scale) @ history.weights[wanted]
    ranked: FloatArray = offered[np.argsort(costs, kind="stable")]
    if space.pool is not None:
        return ranked
    optimum = space.region.project(ranked[:_AVERAGED].mean(axis=0)).shares
    return np.concatenate([optimum[None], ranked])


LAW_OPTIMA = (LawOptimum("regmix"), LawOptimum("effective_data"))
