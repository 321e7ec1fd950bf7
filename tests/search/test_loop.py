"""The loop of every search: what is charged, measured and observed, by hand."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from cuvee.mixture.region import Region
from cuvee.search.loop import Loop, Outcome
from cuvee.search.methods.registry import method_named
from cuvee.search.proposer import Proposer
from cuvee.search.replay import Replay
from cuvee.search.space import Experiment, Fidelity, Space
from cuvee.types import FloatArray

HALF, FULL = 0, 1
LEVELS = (Fidelity("trained", 1.0, 1.0, 1.0), Fidelity("trained", 1.0, 2.0, 4.0))
SPACE = Space(Region.simplex(("a", "b")), LEVELS, FULL, curves=True)
EVEN, ODD = (0.5, 0.5), (0.25, 0.75)


def truth(shares: FloatArray, fidelity: int) -> FloatArray:
    failed = np.where(shares[:, :1] > 0.9, np.nan, 1.0)
    return (shares[:, :1] + fidelity) * failed


def loop(budget: float) -> Loop:
    replay = Replay(SPACE, ("loss",), truth)
    return Loop(Proposer(method_named("random"), SPACE, ("loss",), np.ones(1)), replay, budget)


@dataclass
class Scripted:
    """Asks for batches from a list."""

    batches: list[list[Experiment]]
    outcomes: list[Outcome] = field(default_factory=list)

    def ask(self) -> Sequence[Experiment]:
        return self.batches.pop(0) if self.batches else ()

    def record(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)


def test_every_experiment_is_charged_and_brings_its_parts() -> None:
    under_way = loop(10.0)
    searcher = Scripted([[Experiment(EVEN, HALF)], [Experiment(EVEN, FULL), Experiment(ODD, FULL)]])
    under_way.run(searcher)
    assert [one.price for one in searcher.outcomes] == [0.25, 1.0, 1.0]
    assert [one.spent for one in searcher.outcomes] == [0.25, 1.25, 2.25]
    assert [one.place for one in searcher.outcomes] == [0, 0, 1]
    # The half of the first is known when the whole is asked for, that of the second is not.
    assert [one.observed for one in searcher.outcomes] == [1, 1, 2]
    trials = under_way.history.trials
    assert trials.fidelity.tolist() == [HALF, FULL, HALF, FULL]
    assert trials.costs[:, 0].tolist() == [0.5, 1.5, 0.25, 1.25]
    assert trials.experiments[2] == Experiment(ODD, HALF)
    assert under_way.left == pytest.approx(7.75)


def test_what_failed_is_charged_and_keeps_its_row() -> None:
    under_way, searcher = loop(10.0), Scripted([[Experiment((1.0, 0.0), HALF), Experiment(EVEN, HALF)]])
    under_way.run(searcher)
    assert under_way.spent == 0.5
    assert np.array_equal(under_way.history.trials.costs[:, 0], [np.nan, 0.5], equal_nan=True)
    assert np.isnan(searcher.outcomes[0].costs).all()


def test_the_first_that_the_budget_pays_for_together() -> None:
    asked = [Experiment(EVEN, FULL), Experiment(ODD, HALF), Experiment(ODD, FULL)]
    assert list(loop(1.25).affordable(asked)) == asked[:2]
    assert list(loop(1.0).affordable(asked)) == asked[:1]
    assert list(loop(0.9).affordable(asked)) == []
