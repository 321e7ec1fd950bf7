"""How a search opens, the runs that simple methods learn from, and checkpoints that are left out."""

from dataclasses import replace

import numpy as np
import pytest

from cuvee.mixture.region import Region
from cuvee.search.checkpoints import without_checkpoints
from cuvee.search.first_runs import FirstRuns, missing_runs
from cuvee.search.initial_design import InitialDesign
from cuvee.search.proposer import History
from cuvee.search.space import Experiment, Fidelity, Space
from cuvee.search.trials import Trials
from cuvee.types import FloatArray

NAMES = ("a", "b", "c", "d")
REGION = Region.simplex(NAMES)


def fidelity(params: float, tokens: float, flops: float, kind: str = "trained") -> Fidelity:
    return Fidelity(kind, params, tokens, flops)


# Prices in target runs: 0.001, 0.004, 0.03, 0.2, 1.
LEVELS = (
    fidelity(1e6, 1e8, 0.001),
    fidelity(1e6, 1e9, 0.004),
    fidelity(1e7, 1e9, 0.03),
    fidelity(3e7, 1e9, 0.2),
    fidelity(1e8, 1e9, 1.0),
)
SPACE = Space(REGION, LEVELS, 4)


def nothing(space: Space = SPACE) -> History:
    return History(space, np.ones(1), Trials.none(space, ("loss",)))


def opened(space: Space, design: InitialDesign, seed: int = 0) -> list[Experiment]:
    """All experiments of an initial design, one after the other."""
    history, asked = nothing(space), []
    while (one := design.next(history, history.rng(seed))) is not None:
        asked.append(one)
        history = history.plus(one)
    return asked


def told(space: Space, shares: FloatArray, fidelities: list[int], costs: list[float]) -> History:
    trials = Trials(("loss",), shares, np.array(fidelities), np.array(costs)[:, None])
    return replace(nothing(space), trials=trials)


def test_levels_are_the_nearest_that_can_be_paid() -> None:
    design = InitialDesign.of(SPACE, 8, 6, 0.25)
    assert (design.far, design.near) == (1, 2)  # not the cheapest, which is farther in tokens
    assert design.flops(SPACE) == pytest.approx(8 * 0.004 + 6 * 0.03)
    assert InitialDesign.of(SPACE, 8, 6, 2.0).near == 3


def test_without_cheap_levels_the_cheapest_serves_for_both() -> None:
    space = Space(REGION, LEVELS[3:], 1)
    design = InitialDesign.of(space, 3, 2, 0.25)
    assert (design.far, design.near) == (0, 0)
    asked = opened(space, design)
    assert len(asked) == 3 and {one.fidelity for one in asked} == {0}
    history = nothing(space)
    for one in asked:
        history = history.plus(one)
    assert design.goes_on_with_best(history)
    more = REGION.sample(2, np.random.default_rng(0))
    for mixture in more:
        history = history.plus(Experiment(tuple(mixture.shares.tolist()), 0))
    assert not design.goes_on_with_best(history)


def test_a_target_alone_is_opened_with_its_own_runs() -> None:
    design = InitialDesign.of(Space(REGION, LEVELS[4:], 0), 3, 2, 0.25)
    assert (design.far, design.near) == (0, 0)
    assert not design.goes_on_with_best(nothing(Space(REGION, LEVELS[4:], 0)))


def test_a_cheap_kind_begins_and_the_targets_kind_follows() -> None:
    merged = fidelity(1e8, 1e9, 0.002, "merged")
    design = InitialDesign.of(Space(REGION, (*LEVELS, merged), 4), 8, 6, 0.25)
    assert (design.far, design.near) == (5, 2)


def test_the_same_mixtures_follow_nearer_to_the_target() -> None:
    asked = opened(SPACE, InitialDesign.of(SPACE, 5, 3, 0.25))
    assert [one.fidelity for one in asked] == [1] * 5 + [2] * 3
    assert [one.shares for one in asked[5:]] == [one.shares for one in asked[:3]]
    assert asked == opened(SPACE, InitialDesign.of(SPACE, 5, 3, 0.25))


def test_what_a_pool_does_not_offer_nearer_is_replaced() -> None:
    pool = np.random.default_rng(1).dirichlet(np.ones(4), 10)
    offered = np.ones((10, 5), dtype=np.bool_)
    offered[:9, 2] = False
    space = Space(REGION, LEVELS, 4, pool, offered)
    asked = opened(space, InitialDesign.of(space, 9, 1, 0.1))
    assert asked[-1] == Experiment(tuple(pool[9].tolist()), 2)


def test_the_first_mixtures_lie_far_apart() -> None:
    asked = np.array([one.shares for one in opened(SPACE, InitialDesign.of(SPACE, 8, 1, 0.25))])[:8]
    random = np.stack([one.shares for one in REGION.sample(8, np.random.default_rng(0))])

    def nearest(shares: FloatArray) -> float:
        roots = np.sqrt(shares)
        apart = np.linalg.norm(roots[:, None] - roots[None], axis=2) + 9.0 * np.eye(len(roots))
        return float(apart.min(axis=1).mean())

    assert nearest(asked) > 1.5 * nearest(random)


def test_of_a_run_the_last_checkpoint_is_kept() -> None:
    shares = np.array([[0.25] * 4, [0.25] * 4, [0.25] * 4, [1.0, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]])
    history = told(SPACE, shares, [0, 1, 2, 1, 0], [5.0, 4.0, 3.0, np.nan, 6.0])
    kept = without_checkpoints(history.trials, replace(SPACE, curves=True))
    # Of 1M the longer one, 10M is another run, and of the last the longer one failed.
    assert kept.fidelity.tolist() == [1, 2, 0]
    # Trainings of their own are all kept.
    assert without_checkpoints(history.trials, SPACE).fidelity.tolist() == [0, 1, 2, 0]
    assert kept.costs[:, 0].tolist() == [4.0, 3.0, 6.0]


def test_first_runs_are_equal_where_the_same_was_measured_in_equal_spaces() -> None:
    shares = np.eye(4)
    history = told(SPACE, shares, [0, 0, 0, 4], [1.0, 2.0, 3.0, 9.0])
    later = told(SPACE, np.concatenate([shares, shares[:1]]), [0, 0, 0, 4, 0], [1.0, 2.0, 3.0, 8.0, 4.0])
    once, again = FirstRuns.of(history, 3), FirstRuns.of(later, 3)
    assert once == again and hash(once) == hash(again) and len(once) == 3
    assert once != FirstRuns.of(history, 2)
    assert once != FirstRuns.of(replace(history, weights=np.array([2.0])), 3)
    equal, other = replace(SPACE), replace(SPACE, target=3)
    assert once == FirstRuns.of(told(equal, shares, [0, 0, 0, 4], [1.0, 2.0, 3.0, 9.0]), 3)
    assert once != FirstRuns.of(told(other, shares, [0, 0, 0, 4], [1.0, 2.0, 3.0, 9.0]), 3)


def test_first_runs_that_fail_are_replaced_and_the_last_are_waited_for() -> None:
    history = told(SPACE, np.eye(4)[:2], [0, 0], [1.0, np.nan])
    asked = missing_runs(history, 3, 5, seed=0)
    assert asked is not None and len(asked) == 2
    for one in asked:
        history = history.plus(one)
    assert missing_runs(history, 3, 5, seed=0) == []
    assert missing_runs(told(SPACE, np.eye(4)[:3], [0] * 3, [1.0] * 3), 3, 5, seed=0) is None
