"""The first cheap runs, for methods that learn from nothing else."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Self

from cuvee.hashing import digest, digest_bytes
from cuvee.search.proposer import History
from cuvee.search.space import Experiment
from cuvee.search.trials import Trials
from cuvee.search.untried import at_fidelity, untried, untried_draws
from cuvee.types import FloatArray

LEAST_RUNS = 4
"""Fewer carry no ranking."""


@dataclass(frozen=True)
class FirstRuns:
    """A history of these runs alone. Equal where the same was measured in equal spaces: can be a key."""

    content: str
    """Digest of what was measured, of the weights and of the space."""
    history: History = field(compare=False)

    @classmethod
    def of(cls, history: History, runs: int) -> Self:
        """The first that measured everything at the cheapest fidelity."""
        trials, space = history.trials, history.space
        rows = trials.at(space.cheapest)[:runs]
        known = Trials(trials.metrics, trials.shares[rows], trials.fidelity[rows], trials.costs[rows])
        parts = (known.shares, known.costs, history.weights)
        content = digest(
            [space.content, list(known.metrics), *(digest_bytes(part.tobytes()) for part in parts)]
        )
        return cls(content, replace(history, trials=known, running=()))

    def __len__(self) -> int:
        return len(self.history.trials)


def runs_then_verified(
    history: History, runs: int, count: int, seed: int, ranked: Callable[[FirstRuns, int], FloatArray]
) -> list[Experiment]:
    """The next of the first runs; after them target runs, in the order that a ranking gives to mixtures.

    Args:
        history: what was tried.
        runs: how many cheap ones to begin with; those that fail are replaced.
        count: at most so many are asked for, none while the last cheap runs are running.
        seed: of what is drawn.
        ranked: the first runs and the seed -> mixtures for the target [C, S], the best first.
    """
    first = missing_runs(history, runs, count, seed)
    if first is not None:
        return first
    known, target = FirstRuns.of(history, runs), history.space.target
    if len(known) < LEAST_RUNS:
        return at_fidelity(untried_draws(history, target, count, history.rng(seed)), target)
    return at_fidelity(untried(history, ranked(known, seed), target)[:count], target)


def missing_runs(history: History, runs: int, count: int, seed: int) -> list[Experiment] | None:
    """The next of the first runs, none while the last are running; None where there are enough or no more."""
    cheap = history.space.cheapest
    measured = len(history.trials.at(cheap))
    if measured >= runs:
        return None
    waiting = sum(one.fidelity == cheap for one in history.running)
    fresh = untried_draws(history, cheap, min(count, max(0, runs - measured - waiting)), history.rng(seed))
    return at_fidelity(fresh, cheap) if len(fresh) or waiting else None
