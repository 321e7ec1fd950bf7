"""The loop of every search: ask, charge, measure, observe.

A replayed table (``search/replay.py``) and the trainings of a study are both an ``Oracle``: they price and
measure experiments. A ``Searcher`` says what to ask for next and keeps what it wants to know of the outcomes.
All that decides how a search goes on is the history of its proposer.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from cuvee.search.proposer import History, Proposer
from cuvee.search.space import Experiment, Space
from cuvee.search.trials import Trials
from cuvee.types import FloatArray

_ROUNDING = 1e-9


class Oracle(Protocol):
    """What measures experiments."""

    @property
    def space(self) -> Space:
        """All experiments that may be asked for."""
        ...

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of what is measured [E]."""
        ...

    def price(self, experiment: Experiment, history: History) -> float:
        """What an experiment is charged, in the unit of the budget, whether it fails or not."""
        ...

    def measure(self, experiments: Sequence[Experiment]) -> FloatArray:
        """Costs [n, E] of experiments that are made side by side, a row of NaN for one that failed."""
        ...

    def along(self, experiment: Experiment, trials: Trials) -> tuple[list[Experiment], FloatArray]:
        """Parts of a measured experiment that are no trials yet, with their costs [p, E]."""
        ...


@dataclass(frozen=True, eq=False)
class Outcome:
    """An experiment that was charged, measured and observed."""

    experiment: Experiment
    place: int
    """In its batch."""
    costs: FloatArray
    """[E]"""
    price: float
    spent: float
    """After it."""
    observed: int
    """Trials that it added to the history: itself, and parts that were not known."""


class Searcher(Protocol):
    """Decides what a search asks for."""

    def ask(self) -> Sequence[Experiment]:
        """The next batch; none ends the search."""
        ...

    def record(self, outcome: Outcome) -> None:
        """Called for every experiment of the batch in order, after it was observed."""
        ...


@dataclass(eq=False)
class Loop:
    """A search under way."""

    proposer: Proposer
    oracle: Oracle
    budget: float
    spent: float = 0.0

    @property
    def history(self) -> History:
        """All that was observed."""
        return self.proposer.history

    @property
    def left(self) -> float:
        """Of the budget; what lies above it by rounding alone can still be paid."""
        return self.budget * (1 + _ROUNDING) - self.spent

    def price(self, experiment: Experiment) -> float:
        """See ``Oracle.price``."""
        return self.oracle.price(experiment, self.history)

    def affordable(self, asked: Sequence[Experiment]) -> Sequence[Experiment]:
        """The first of them that the budget pays for together."""
        return asked[: int((self._charged(asked) <= self.budget * (1 + _ROUNDING)).sum())]

    def run(self, searcher: Searcher) -> None:
        """Until nothing more is asked for."""
        while asked := searcher.ask():
            for outcome in self._outcomes(asked):
                searcher.record(outcome)

    def _outcomes(self, asked: Sequence[Experiment]) -> Iterator[Outcome]:
        prices = [self.price(one) for one in asked]
        charged = self._charged(asked).tolist()
        costs = self.oracle.measure(asked)
        for place, one in enumerate(asked):
            parts, along = self.oracle.along(one, self.history.trials)
            self.proposer.tell([*parts, one], np.concatenate([along, costs[place : place + 1]]))
            self.spent = charged[place]
            yield Outcome(one, place, costs[place], prices[place], self.spent, len(parts) + 1)

    def _charged(self, asked: Sequence[Experiment]) -> FloatArray:
        """What is spent after each of them."""
        charged: FloatArray = self.spent + np.cumsum([self.price(one) for one in asked])
        return charged
