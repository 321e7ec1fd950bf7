"""Differences between mixtures trained more than once: textbook intervals, and how often these hold."""

import math

import numpy as np
import pytest
from scipy import stats

from cuvee.errors import ConfigError
from cuvee.honesty.trainings import Difference, deviation, difference, pooled_noise
from cuvee.types import FloatArray

LAYOUT = np.array([[3.10, 3.14, 3.12, 3.20], [3.18, 3.17, 3.22, 3.25]])
THIRD = np.array([[3.30, 3.31, 3.36, 3.37]])
OTHERS = np.array([[2.9, 3.0], [3.1, 3.16], [2.8, 2.87]])


def of(losses: FloatArray, *others: FloatArray, error: float = 0.0, documents: int = 100) -> Difference:
    """The first row minus the second."""
    return difference(losses, (0, 1), pooled_noise([losses, *others]), error, documents - 1, 0.95)


def test_two_mixtures_are_a_paired_t_test() -> None:
    found = of(LAYOUT)
    expected = stats.ttest_rel(LAYOUT[0], LAYOUT[1])
    interval = expected.confidence_interval(0.95)
    assert found.mean == pytest.approx(LAYOUT[0].mean() - LAYOUT[1].mean())
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert found.training_error == pytest.approx(found.mean / expected.statistic)


def test_the_noise_is_what_a_two_way_analysis_leaves_over() -> None:
    """Sums of squares by hand: total less mixtures less seeds, over (A - 1)(n - 1) of freedom."""
    losses = np.concatenate([LAYOUT, THIRD])
    total = np.square(losses - losses.mean()).sum()
    mixtures = 4 * np.square(losses.mean(axis=1) - losses.mean()).sum()
    seeds = 3 * np.square(losses.mean(axis=0) - losses.mean()).sum()
    noise = pooled_noise([losses])
    assert (noise.variance, noise.freedom) == (pytest.approx((total - mixtures - seeds) / 6), 6)
    both = pooled_noise([losses, OTHERS])
    pairs = OTHERS[:, 1] - OTHERS[:, 0]
    squares = total - mixtures - seeds + np.square(pairs - pairs.mean()).sum() / 2
    assert (both.variance, both.freedom) == (pytest.approx(squares / 8), 8)


def test_other_trainings_lend_their_freedom() -> None:
    found, noise = of(LAYOUT, OTHERS), pooled_noise([LAYOUT, OTHERS])
    half = stats.t.ppf(0.975, 3 + 2) * math.sqrt(2 * noise.variance / 4)
    assert (found.low, found.high) == pytest.approx((found.mean - half, found.mean + half))


def test_documents_are_a_second_part_with_freedom_of_their_own() -> None:
    found, noise = of(LAYOUT, error=0.02, documents=8), pooled_noise([LAYOUT])
    trainings, documents = 2 * noise.variance / 4, 0.02**2
    freedom = (trainings + documents) ** 2 / (trainings**2 / 3 + documents**2 / 7)
    half = stats.t.ppf(0.975, freedom) * math.sqrt(trainings + documents)
    assert (found.low, found.high) == pytest.approx((found.mean - half, found.mean + half))
    assert found.training_error == pytest.approx(math.sqrt(trainings)), "without the documents"


def test_what_a_seed_does_to_all_mixtures_cancels() -> None:
    losses = np.concatenate([LAYOUT, THIRD])
    shifted = losses + np.array([5.0, -3.0, 0.5, 20.0])
    one, other = of(losses, OTHERS), of(shifted, OTHERS)
    assert vars(other) == pytest.approx(vars(one))


def test_mixtures_that_scatter_more_than_others_keep_their_own_noise() -> None:
    """Then it is the paired t test of these two, however quiet the others are."""
    rng = np.random.default_rng(0)
    losses = np.array([[3.0], [3.0], [3.1], [3.2]]) + 0.001 * rng.standard_normal((4, 5))
    losses[0] += np.array([0.1, -0.1, 0.2, 0.0, -0.2])
    wide = of(losses)
    interval = stats.ttest_rel(losses[0], losses[1]).confidence_interval(0.95)
    assert (wide.low, wide.high) == pytest.approx((interval.low, interval.high))
    noise = pooled_noise([losses])
    narrow = difference(losses, (2, 3), noise, 0.0, 100, 0.95)
    assert narrow.training_error == pytest.approx(math.sqrt(2 * noise.variance / 5)), "never less than all's"


def test_one_training_each_tells_no_error() -> None:
    losses = np.array([[3.0], [3.2]])
    noise = pooled_noise([losses])
    assert math.isnan(noise.variance) and noise.freedom == 0
    found = of(losses, error=0.01)
    assert found.mean == pytest.approx(-0.2)
    assert math.isnan(found.low) and math.isnan(found.high) and math.isnan(found.training_error)


def test_one_training_each_has_the_error_of_others_that_were_repeated() -> None:
    found, noise = of(np.array([[3.0], [3.2]]), OTHERS), pooled_noise([OTHERS])
    half = stats.t.ppf(0.975, 2) * math.sqrt(2 * noise.variance)
    assert (found.low, found.high) == pytest.approx((-0.2 - half, -0.2 + half))


def test_one_document_tells_no_error() -> None:
    assert math.isnan(of(LAYOUT, error=math.inf, documents=1).low)


def test_trainings_without_noise_are_sure() -> None:
    found = of(np.array([[3.0, 3.0], [3.5, 3.5]]))
    assert (found.mean, found.low, found.high) == (-0.5, -0.5, -0.5)


def test_one_mixture_alone_tells_nothing_of_differences() -> None:
    noise = pooled_noise([np.array([[3.0, 3.1, 3.2]])])
    assert math.isnan(noise.variance) and noise.freedom == 0


def test_the_deviation_of_a_training_holds_what_its_seed_does() -> None:
    assert deviation([LAYOUT]) == pytest.approx(math.sqrt(LAYOUT.var(axis=1, ddof=1).mean()))
    both = (3 * LAYOUT.var(axis=1, ddof=1).sum() + OTHERS.var(axis=1, ddof=1).sum()) / (2 * 3 + 3)
    assert deviation([LAYOUT, OTHERS]) == pytest.approx(math.sqrt(both))
    assert math.isnan(deviation([np.array([[3.0], [3.1]])]))


def test_a_mixture_against_itself_is_refused() -> None:
    with pytest.raises(ConfigError, match="row 1 against itself"):
        difference(LAYOUT, (1, 1), pooled_noise([LAYOUT]), 0.0, 10, 0.95)


# How often 95 % intervals hold the truth


WORLDS = 2000
SLACK = 3 * math.sqrt(0.95 * 0.05 / WORLDS)
"""Three standard errors of a share of 95 %."""


def coverage(scatter: tuple[float, ...], seeds: int, others: int = 0, error: float = 0.0) -> float:
    """Share of worlds whose interval holds the true difference of zero; seeds move all mixtures alike."""
    rng = np.random.default_rng([seeds, others, len(scatter)])
    held = 0
    for _ in range(WORLDS):
        losses = np.array(scatter)[:, None] * rng.standard_normal((len(scatter), seeds))
        losses += 3.0 * rng.standard_normal(seeds)
        losses[0] += error * rng.standard_normal()
        layouts = [rng.standard_normal((others, 2))] if others else []
        found = of(losses, *layouts, error=error, documents=50)
        held += found.low <= 0.0 <= found.high
    return held / WORLDS


@pytest.mark.parametrize("others", [0, 4])
@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_intervals_of_equally_noisy_mixtures_hold_the_truth_as_often_as_they_say(
    seeds: int, others: int
) -> None:
    assert coverage((1.0, 1.0, 1.0), seeds, others) == pytest.approx(0.95, abs=SLACK)


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_two_mixtures_alone_may_scatter_as_they_like(seeds: int) -> None:
    assert coverage((5.0, 1.0), seeds) == pytest.approx(0.95, abs=SLACK)


@pytest.mark.parametrize("others", [0, 4])
@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_intervals_of_a_mixture_twice_as_noisy_as_all_others_hold_it_nearly_as_often(
    seeds: int, others: int
) -> None:
    """From few trainings it cannot be seen that one scatters more; the more there are, the better it is."""
    assert 0.95 + SLACK > coverage((2.0, 1.0, 1.0), seeds, others) > {2: 0.87, 3: 0.89, 5: 0.90}[seeds]


def test_intervals_with_documents_hold_the_truth_as_often_as_they_say() -> None:
    assert coverage((1.0, 1.0, 1.0), 3, error=0.5) == pytest.approx(0.95, abs=SLACK + 0.01)
