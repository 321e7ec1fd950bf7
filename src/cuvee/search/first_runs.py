"""The first cheap runs, for methods that learn from nothing else (floor 5)."""

from dataclasses import dataclass, field, replace
from typing import Self

from cuvee.search.proposer import History
from cuvee.search.space import Experiment
from cuvee.search.trials import Trials
from cuvee.search.untried import at_level, untried_draws

LEAST_RUNS = 4
"""Fewer carry no ranking."""


@dataclass(frozen=True)
class FirstRuns:
    """A history of these runs alone. Equal where the same was measured in the same space: can be a key."""

    measured: tuple[int, bytes]
    history: History = field(compare=False)

    @classmethod
    def of(cls, history: History, runs: int) -> Self:
        """The first that measured everything at the cheapest level."""
        trials, space = history.trials, history.space
        rows = trials.at(space.cheapest)[:runs]
        known = Trials(trials.metrics, trials.shares[rows], trials.level[rows], trials.costs[rows])
        told = b"".join(part.tobytes() for part in (known.shares, known.costs, history.weights))
        # Whoever keeps this keeps the space, so that no other can come to have its number.
        return cls((id(space), told), replace(history, trials=known, running=()))

    def __len__(self) -> int:
        return len(self.history.trials)


def missing_runs(history: History, runs: int, count: int, seed: int) -> list[Experiment] | None:
    """The next of the first runs, none while the last are running; None where there are enough or no more.

    Those that fail are replaced.
    """
    cheap = history.space.cheapest
    measured = len(history.trials.at(cheap))
    if measured >= runs:
        return None
    waiting = sum(one.level == cheap for one in history.running)
    fresh = untried_draws(history, cheap, min(count, max(0, runs - measured - waiting)), history.rng(seed))
    return at_level(fresh, cheap) if len(fresh) or waiting else None
