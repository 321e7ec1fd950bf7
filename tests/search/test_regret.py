"""What a search could still gain, and what a training costs that was begun."""

import numpy as np
import pytest

from cuvee.mixture.region import Region
from cuvee.search.proposer import History
from cuvee.search.regret import Regret
from cuvee.search.space import CHECKPOINT, Experiment, Fidelity, Space
from cuvee.search.surrogate import Surrogate
from cuvee.search.trials import Trials
from cuvee.types import FloatArray

NAMES = ("a", "b", "c")
LEVELS = (
    Fidelity("merged", 1e6, 9e6, 1.0),
    Fidelity("trained", 1e6, 1e6, 10.0),
    Fidelity(CHECKPOINT, 1e6, 3e6, 30.0),
    Fidelity(CHECKPOINT, 1e6, 6e6, 60.0),
    Fidelity("trained", 1e6, 9e6, 90.0),
)
SPACE = Space(Region.simplex(NAMES), LEVELS, 4)
WEIGHTS = np.array([0.7, 0.3])


def costs(shares: FloatArray) -> FloatArray:
    """Two losses [n, 2], lowest near (0.6, 0.3, 0.1) and (0.2, 0.5, 0.3)."""
    first = 3.0 + ((shares - [0.6, 0.3, 0.1]) ** 2).sum(axis=1)
    return np.stack([first, 2.0 + ((shares - [0.2, 0.5, 0.3]) ** 2).sum(axis=1)], axis=1)


def history(count: int, noise: float = 0.0, fidelity: int = 4) -> History:
    rng = np.random.default_rng(1)
    shares = rng.dirichlet(np.ones(3), count)
    told = costs(shares) + noise * rng.normal(size=(count, 2))
    trials = Trials(("one", "two"), shares, np.full(count, fidelity), told)
    return History(SPACE, WEIGHTS, trials)


def regret(told: History, **options: bool) -> Regret:
    return Regret.of(told, Surrogate.of(told), 0, **options)


def test_more_trainings_leave_less_to_gain() -> None:
    few, many = regret(history(6)), regret(history(40))
    assert 0 <= many.expected < few.expected
    assert many.expected < 0.02
    assert many.tested and few.tested


def test_probabilities_fall_with_the_tolerance_and_agree_with_the_draws() -> None:
    one = regret(history(12))
    values = [one.probability(tolerance) for tolerance in (0.0, 0.01, 0.05, 1.0)]
    assert values == sorted(values, reverse=True) and values[-1] == 0
    assert one.probability(0.01) == pytest.approx((one.lost > 0.01).mean())
    assert np.all(one.lost >= 0) and one.expected == pytest.approx(one.lost.mean())


def test_the_pick_is_the_tested_mixture_that_is_expected_to_be_best() -> None:
    told = history(20, noise=0.02)
    one = regret(told)
    surrogate = Surrogate.of(told)
    expected = surrogate.mean(surrogate.places(told.trials.shares, told.trials.fidelity)) @ WEIGHTS
    assert np.array_equal(one.pick, told.trials.shares[np.argmin(expected)])
    free = regret(told, tested_only=False)
    assert free.cost.mean() <= one.cost.mean() + 1e-9


def test_without_a_training_at_the_target_the_pick_is_not_tested() -> None:
    one = regret(history(12, fidelity=1))
    assert not one.tested
    assert np.isclose(one.pick.sum(), 1)


def test_intervals_hold_the_pick_and_winners_are_mixtures() -> None:
    one = regret(history(12))
    low, high = one.interval(0.8)
    assert np.all(low <= one.pick) and np.all(one.pick <= high)
    assert np.allclose(one.winners.sum(axis=1), 1) and np.all(one.winners >= 0)


def test_the_same_history_and_seed_give_the_same() -> None:
    told = history(12)
    assert np.array_equal(regret(told).lost, regret(told).lost)


# Prices of what was begun


def test_only_the_dearest_training_is_cut_into_parts() -> None:
    assert SPACE.on_the_way(4) == (2, 3, 4)
    assert SPACE.on_the_way(3) == (2, 3)
    assert SPACE.on_the_way(2) == (2,)
    assert SPACE.on_the_way(1) == (1,)
    assert SPACE.on_the_way(0) == (0,)


def test_a_training_that_was_begun_costs_only_the_rest() -> None:
    begun, other = (0.2, 0.3, 0.5), (0.5, 0.3, 0.2)
    trials = Trials.none(SPACE, ("one", "two"))
    trials = trials.plus([Experiment(begun, 2)], np.ones((1, 2)))
    told = History(SPACE, WEIGHTS, trials)
    assert [told.price(np.array(begun), fidelity) for fidelity in range(5)] == [1, 10, 30, 30, 60]
    assert [told.price(np.array(other), fidelity) for fidelity in range(5)] == [1, 10, 30, 60, 90]
    further = trials.plus([Experiment(begun, 3)], np.full((1, 2), np.nan))
    assert History(SPACE, WEIGHTS, further).price(np.array(begun), 4) == 30
