"""Whether an order survives: answers known by hand, and how often intervals hold the truth."""

import math

import numpy as np
import pytest

from cuvee.errors import ConfigError
from cuvee.honesty.order import ConditionLosses, OrderKept, Survival, order_kept, survival
from cuvee.honesty.trainings import TrainingNoise
from cuvee.types import FloatArray

LADDER = np.array([0.1 * place for place in range(8)])
KNOWN = 10**9
"""Degrees of freedom of a variance that is known."""


def measured(losses: FloatArray, seeds: int = 1, error: float = 0.0) -> ConditionLosses:
    """Losses [k] that every seed and every resample of the documents repeats."""
    count = len(losses)
    each = np.repeat(losses[:, None], seeds, axis=1)
    return ConditionLosses(
        each, losses[None], np.full((count, count), error), np.full((count, count), float(KNOWN))
    )


def kept(here: FloatArray, there: FloatArray, deviation: float, error: float = 0.0) -> OrderKept:
    """Two trainings of each mixture here, and one there."""
    noise = TrainingNoise(deviation**2, KNOWN)
    return order_kept(measured(here, 2, error), measured(there, 1, error), noise, seed=0, draws=400)


def test_a_perfect_order_survives() -> None:
    found = kept(LADDER, 5.0 + 3.0 * LADDER, 0.001)
    assert (found.pairs, found.differing, found.kept, found.survival) == (28, 28, 28, "survives")
    assert (found.spearman, found.spearman_low, found.spearman_high) == (1.0, 1.0, 1.0)
    assert (found.kept_low, found.kept_high) == (1.0, 1.0)


def test_a_reversed_order_does_not() -> None:
    found = kept(LADDER, -LADDER, 0.001)
    assert (found.differing, found.kept, found.survival) == (28, 0, "does not survive")
    assert (found.spearman, found.spearman_low, found.spearman_high) == (-1.0, -1.0, -1.0)
    assert (found.kept_low, found.kept_high) == (0.0, 0.0)


def test_of_losses_that_noise_explains_nothing_can_be_said() -> None:
    found = kept(LADDER, -LADDER, 10.0)
    assert (found.differing, found.kept, found.survival) == (0, 0, "cannot be said")
    assert math.isnan(found.kept_low) and math.isnan(found.kept_high)
    # What is left of the losses is noise, so the correlation could be anything.
    assert found.spearman == -1.0 and found.spearman_high > 0.5


def test_what_documents_decide_is_noise_as_well() -> None:
    assert kept(LADDER, LADDER, 0.001, error=10.0).differing == 0


def test_pairs_are_counted_as_by_hand() -> None:
    """The standard error of a difference is 1 of two trainings each, and sqrt(2) of one: limits of 1.96 and
    2.77. Here all pairs differ but (0, 1), there all but (0, 2) and (1, 2)."""
    found = kept(np.array([0.0, 1.9, 4.0, 10.0]), np.array([0.0, 5.0, 2.7, 10.0]), 1.0)
    assert (found.pairs, found.differing, found.kept) == (6, 3, 3)
    assert found.spearman == pytest.approx(1 - 6 * 2 / (4 * 15))
    swapped = kept(np.array([0.0, 1.9, 4.0, 10.0]), np.array([0.0, 5.0, 2.7, -10.0]), 1.0)
    assert (swapped.differing, swapped.kept) == (3, 0)


def test_the_rank_correlation_is_that_of_single_trainings() -> None:
    """Of two seeds here, one keeps the order and one swaps a pair of four."""
    here = ConditionLosses(
        np.array([[0.0, 0.0], [1.0, 2.0], [2.0, 1.0], [3.0, 3.0]]),
        np.array([[0.0, 1.5, 1.5, 3.0]]),
        np.zeros((4, 4)),
        np.full((4, 4), float(KNOWN)),
    )
    found = order_kept(here, measured(np.arange(4.0)), TrainingNoise(1e-9, KNOWN), seed=0, draws=10)
    assert found.spearman == pytest.approx((1.0 + 0.8) / 2)


@pytest.mark.parametrize(
    ("differing", "same", "said"),
    [
        (0, 0, "cannot be said"),
        (4, 4, "cannot be said"),
        (4, 0, "cannot be said"),
        (5, 5, "survives"),
        (5, 4, "cannot be said"),
        (5, 3, "does not survive"),
        (10, 9, "survives"),
        (20, 18, "survives"),
        (20, 17, "does not survive"),
    ],
)
def test_what_so_many_pairs_say(differing: int, same: int, said: Survival) -> None:
    assert survival(differing, same) == said


def test_the_same_seed_gives_the_same_numbers() -> None:
    assert kept(LADDER, LADDER[::-1].copy(), 0.1) == kept(LADDER, LADDER[::-1].copy(), 0.1)


def test_intervals_hold_what_other_trainings_would_say() -> None:
    """The mean over trainings of the correlation of two seeds, which no single pair of them shows."""
    rng, deviation = np.random.default_rng(0), 0.15
    layouts = LADDER[:, None] + deviation * rng.standard_normal((2000, 8, 2))
    places = layouts.argsort(axis=1).argsort(axis=1)
    truth = 1.0 - np.square(places[..., 0] - places[..., 1]).sum(axis=1).mean() * 6 / (8 * 63)
    held = []
    for layout in layouts[:100]:
        first, second = measured(layout[:, 0]), measured(layout[:, 1])
        found = order_kept(first, second, TrainingNoise(deviation**2, KNOWN), seed=1, draws=200)
        held.append(found.spearman_low <= truth <= found.spearman_high)
        assert found.spearman_low <= found.spearman <= found.spearman_high
    assert np.mean(held) >= 0.9


def test_other_mixtures_have_no_common_order() -> None:
    with pytest.raises(ConfigError, match="order of 8 mixtures here and 5 there"):
        kept(LADDER, LADDER[:5], 0.1)
    with pytest.raises(ConfigError, match="losses of 3 mixtures"):
        measured(LADDER[:3])
