"""Does the order of mixtures survive another condition?

The same k mixtures were trained here and there: at another seed, learning rate, length or size. Two
questions are asked of their losses.

*Pairs.* Those pairs count that differ beyond the noise of trainings and the choice of documents at both
conditions (``trainings.difference``): how many of them keep their order? Pairs that noise alone can turn say
nothing.

*Ranks.* Spearman's correlation of one training here with one there, the mean over the trainings of each
mixture. Two seeds at one condition give its ceiling. Its interval is a parametric bootstrap: losses on
resampled documents, drawn towards their mean by what noise adds to their variance, with the noise of a
training added anew.

There the noise of a training is taken to be what it is here.
"""

from dataclasses import dataclass
from itertools import combinations
from math import nan
from typing import Literal

import numpy as np

from cuvee.errors import ConfigError
from cuvee.honesty.bootstrap import DRAWS, LEVEL, percentile_interval
from cuvee.honesty.statistics import MINIMUM_ROWS, rank_correlation
from cuvee.honesty.trainings import TrainingNoise, difference
from cuvee.types import BoolArray, FloatArray

Survival = Literal["survives", "does not survive", "cannot be said"]

SURVIVES_FROM = 0.9
"""Least share of the pairs that differ to keep their order, for the order to survive."""
FEWEST_PAIRS = 5
"""Pairs that differ below which nothing is said: so few hang on one or two mixtures."""
FEWEST_SWAPS = 2
"""Pairs that change places below which an order is not lost: at 95 %, one of forty pairs that are equal there
seems to differ the other way."""


@dataclass(frozen=True, eq=False)
class ConditionLosses:
    """Target losses of k mixtures at one condition."""

    losses: FloatArray
    """[k, n]; all mixtures have the same n seeds."""
    resampled: FloatArray
    """[B, k] means over the seeds, on resampled documents; the same resamples at all conditions."""
    document_error: FloatArray
    """[k, k] standard errors of the differences by the choice of documents."""
    document_freedom: FloatArray
    """[k, k] degrees of freedom of these."""

    def __post_init__(self) -> None:
        count = len(self.losses)
        shapes = self.resampled.shape[1:], self.document_error.shape, self.document_freedom.shape
        if count < MINIMUM_ROWS or shapes != ((count,), (count, count), (count, count)):
            raise ConfigError(
                f"order of mixtures: losses of {count} mixtures (at least {MINIMUM_ROWS} are needed) with "
                f"resamples and errors of shapes {shapes}"
            )


@dataclass(frozen=True)
class OrderKept:
    """What becomes of an order."""

    pairs: int
    """Of all mixtures."""
    differing: int
    """Pairs that differ beyond noise at both conditions."""
    kept: int
    """Of these, those that keep their order."""
    kept_low: float
    """Ends of the interval of their share; NaN where no pair differs."""
    kept_high: float
    spearman: float
    """Rank correlation of the losses of single trainings; NaN where all are equal."""
    spearman_low: float
    spearman_high: float

    @property
    def survival(self) -> Survival:
        """What may be said of the order."""
        return survival(self.differing, self.kept)


def survival(differing: int, kept: int) -> Survival:
    """What so many pairs that differ, and keep their order, say."""
    if differing < FEWEST_PAIRS:
        return "cannot be said"
    if kept >= SURVIVES_FROM * differing:
        return "survives"
    return "does not survive" if differing - kept >= FEWEST_SWAPS else "cannot be said"


def order_kept(
    here: ConditionLosses,
    there: ConditionLosses,
    noise: TrainingNoise,
    seed: int,
    confidence: float = LEVEL,
    draws: int = DRAWS,
) -> OrderKept:
    """Compare the orders at two conditions.

    Args:
        here: losses of the mixtures.
        there: of the same mixtures, in the same order.
        noise: of one training.
        seed: of the draws.
        confidence: of the intervals, and of pairs being different.
        draws: of the bootstrap; O(draws n^2 k^2).

    Raises:
        ConfigError: other mixtures there.
    """
    if len(here.losses) != len(there.losses):
        raise ConfigError(f"order of {len(here.losses)} mixtures here and {len(there.losses)} there")
    signs = _signs(here, noise, confidence), _signs(there, noise, confidence)
    differ = signs[0] * signs[1] != 0
    kept = int((signs[0] * signs[1] > 0).sum())
    rng = np.random.default_rng(seed)
    drawn = [_drawn(one, noise, rng, draws) for one in (here, there)]
    spearman = float(_spearman(here.losses.T, there.losses.T))
    shares = _kept_shares(drawn[0].mean(axis=0), drawn[1].mean(axis=0), differ)
    ranks = _spearman(*drawn)
    share = kept / int(differ.sum()) if differ.any() else nan
    return OrderKept(
        len(differ),
        int(differ.sum()),
        kept,
        *_around(share, shares, confidence),
        spearman,
        *_around(spearman, ranks, confidence),
    )


def _signs(one: ConditionLosses, noise: TrainingNoise, confidence: float) -> FloatArray:
    """Of every pair which is the worse [pairs]: -1 or 1, and 0 within the noise."""
    found = []
    for rows in combinations(range(len(one.losses)), 2):
        error, freedom = one.document_error[rows], one.document_freedom[rows]
        pair = difference(one.losses, rows, noise, float(error), float(freedom), confidence)
        found.append(np.sign(pair.mean) if pair.low > 0 or pair.high < 0 else 0.0)
    return np.array(found)


def _drawn(one: ConditionLosses, noise: TrainingNoise, rng: np.random.Generator, draws: int) -> FloatArray:
    """Losses of other trainings on other documents [n, draws, k]."""
    count, seeds = one.losses.shape
    variance = float(one.losses.mean(axis=1).var(ddof=1))
    left = 1.0 - noise.variance / seeds / variance if variance > 0 else 0.0
    centre = one.resampled.mean(axis=1, keepdims=True)
    shrunk = centre + np.sqrt(max(0.0, left)) * (one.resampled - centre)
    turns = np.arange(draws) % len(shrunk)
    return np.asarray(shrunk[turns] + rng.normal(0.0, np.sqrt(noise.variance), (seeds, draws, count)))


def _spearman(here: FloatArray, there: FloatArray) -> FloatArray:
    """[...] the mean over all pairs of a training here [n, ..., k] and one there [m, ..., k]."""
    first, second = here[:, None], there[None]
    shape = np.broadcast_shapes(first.shape, second.shape)
    groups, ones = np.zeros(shape[-1], dtype=np.int64), np.ones(shape)
    pairs = np.broadcast_to(first, shape), np.broadcast_to(second, shape)
    return np.asarray(rank_correlation(*pairs, groups, ones).mean(axis=(0, 1)))


def _kept_shares(here: FloatArray, there: FloatArray, differ: BoolArray) -> FloatArray:
    """[draws] share of the pairs that differ whose order here [draws, k] is that there."""
    first, second = np.triu_indices(here.shape[-1], 1)
    if not differ.any():
        return np.full(len(here), nan)
    gaps = [np.sign(losses[:, first] - losses[:, second])[:, differ] for losses in (here, there)]
    return np.asarray((gaps[0] * gaps[1] > 0).mean(axis=1))


def _around(value: float, samples: FloatArray, confidence: float) -> tuple[float, float]:
    """The interval of the samples, widened to hold the value."""
    low, high = percentile_interval(samples, confidence)
    return min(low, value), max(high, value)
