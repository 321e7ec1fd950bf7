"""Transfer: some cheap runs, one surrogate, and its best mixtures at the target in rank order (floor 5).

The simple strategy that has to be beaten: where cheap runs rank mixtures as the target does, nothing adaptive
does better. It learns nothing from target runs; what they measure only says which of them was best.
"""

from dataclasses import dataclass

import numpy as np

from cuvee.search.candidates import candidates
from cuvee.search.proposer import History
from cuvee.search.space import Experiment
from cuvee.search.surrogate import Surrogate
from cuvee.search.trials import Trials
from cuvee.search.untried import at_level, untried, untried_draws

_LEAST_RUNS = 4


@dataclass(frozen=True)
class Transfer:
    """The method, with its settings."""

    runs: int = 16
    """Measured experiments at the cheapest level."""
    name: str = "transfer"
    paper: str = "https://arxiv.org/abs/2407.01492"
    needs: str = "a cheap level that ranks mixtures as the target does"
    cost: str = "of an ask: a fit of the surrogate, tenths of a second"
    deviations: str = "16 runs, and a law with a process of what it misses in place of trees."

    def ask(self, history: History, count: int, seed: int) -> list[Experiment]:
        """See ``Method.ask``; waits for the last cheap runs before it fits. Failed ones are replaced."""
        space, rng = history.space, history.rng(seed)
        cheap = space.cheapest
        measured = history.trials.at(cheap)
        if len(measured) < self.runs:
            waiting = sum(one.level == cheap for one in history.running)
            missing = max(0, self.runs - len(measured) - waiting)
            fresh = untried_draws(history, cheap, min(count, missing), rng)
            if len(fresh) or waiting:
                return at_level(fresh, cheap)
        if len(measured) < _LEAST_RUNS:
            return at_level(untried_draws(history, space.target, count, rng), space.target)
        rows = measured[: self.runs]
        trials = Trials(
            history.trials.metrics,
            history.trials.shares[rows],
            history.trials.level[rows],
            history.trials.costs[rows],
        )
        known = History(space, history.weights, trials)
        surrogate = Surrogate.of(known, seed=seed)
        offered = candidates(known, surrogate, np.random.default_rng(seed))
        if space.pool is not None:
            offered = space.pool[space.rows(space.target)]
        places = surrogate.places(offered, np.full(len(offered), space.target))
        ranked = offered[np.argsort(surrogate.mean(places) @ history.weights, kind="stable")]
        return at_level(untried(history, ranked, space.target)[:count], space.target)
