"""Differences between mixtures that were trained more than once, with the noise of trainings.

Trainings stand in *layouts*: mixtures by seeds, every mixture trained with every seed. What a seed does to
all mixtures alike cancels in a difference, so the noise of a difference is what a two-way analysis of
variance leaves over:

    y_as = m_a + s_s + e_as,      Var(mean difference) = 2 sigma^2 / n + (document error)^2,

with sigma^2 the mean square of the residuals, pooled over layouts (Scheffe, The Analysis of Variance, ch. 4).
Two mixtures whose difference scatters more from seed to seed than all others do, beyond chance, keep its
variance. The interval is Student's, with the degrees of freedom of Welch (1947) and Satterthwaite (1946).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cuvee.errors import ConfigError
from cuvee.types import FloatArray

_DIFFERS = 0.1
"""Chance by which two mixtures whose trainings scatter like the others' are taken to scatter more. With three
seeds and three mixtures 95 % of the intervals then hold the truth where all scatter alike, and 93 % where one
scatters twice as much (92 % with a chance of 0.01)."""


@dataclass(frozen=True)
class TrainingNoise:
    """The variance of one training about its mixture and seed."""

    variance: float
    """NaN where nothing was trained twice."""
    freedom: int


@dataclass(frozen=True)
class Difference:
    """Mean loss of one mixture minus another's, with its central interval; NaN where the noise is unknown."""

    mean: float
    low: float = math.nan
    high: float = math.nan
    training_error: float = math.nan
    """Standard error of the mean by the noise of trainings alone."""


def pooled_noise(layouts: Sequence[FloatArray]) -> TrainingNoise:
    """Over layouts [mixtures, seeds] of losses; those of one mixture or one seed add nothing."""
    squares, freedom = 0.0, 0
    for losses in layouts:
        squares += float(np.square(_residuals(losses)).sum())
        freedom += (losses.shape[0] - 1) * (losses.shape[1] - 1)
    return TrainingNoise(squares / freedom if freedom > 0 else math.nan, max(freedom, 0))


def deviation(layouts: Sequence[FloatArray]) -> float:
    """Standard deviation of one training about its mixture, whatever its seed; NaN where none was
    repeated."""
    squares = sum(float(np.square(one - one.mean(axis=1, keepdims=True)).sum()) for one in layouts)
    freedom = sum(one.shape[0] * (one.shape[1] - 1) for one in layouts)
    return math.sqrt(squares / freedom) if freedom else math.nan


def difference(
    losses: FloatArray,
    rows: tuple[int, int],
    noise: TrainingNoise,
    document_error: float,
    document_freedom: float,
    confidence: float,
) -> Difference:
    """The first mixture minus the second, over paired trainings.

    Args:
        losses: a layout [mixtures, seeds].
        rows: the two mixtures.
        noise: of one training, from this layout and others.
        document_error: standard error of the difference by the choice of documents.
        document_freedom: degrees of freedom of that.
        confidence: of the interval.

    Raises:
        ConfigError: a row twice.
    """
    if rows[0] == rows[1]:
        raise ConfigError(f"difference: row {rows[0]} against itself")
    from scipy.special import stdtrit

    differences = losses[rows[0]] - losses[rows[1]]
    mean, seeds = float(differences.mean()), len(differences)
    noise = _of_pair(differences, noise)
    parts = [(2.0 * noise.variance / seeds, noise.freedom), (document_error**2, document_freedom)]
    variance = sum(part for part, _ in parts)
    if not math.isfinite(variance):
        return Difference(mean)
    below = sum(part**2 / freedom for part, freedom in parts if freedom)
    freedom = variance**2 / below if below > 0 else math.inf
    half = float(stdtrit(freedom, 0.5 + confidence / 2)) * math.sqrt(variance) if variance > 0 else 0.0
    return Difference(mean, mean - half, mean + half, math.sqrt(parts[0][0]))


def _of_pair(differences: FloatArray, noise: TrainingNoise) -> TrainingNoise:
    """The noise of two mixtures: everybody's, unless their own differences scatter more beyond chance.

    What differs between the two is independent of the rest of everybody's noise, so that the ratio of both is
    Fisher's F. A mixture's own scatter would not do: what a seed does to all mixtures is in it.
    """
    from scipy.special import fdtrc

    own = len(differences) - 1
    rest = noise.freedom - own
    if own < 1 or rest < 1 or not noise.variance > 0:
        return noise
    squares = float(np.square(differences - differences.mean()).sum()) / 2.0
    others = max(noise.variance * noise.freedom - squares, 0.0) / rest
    by_chance = float(fdtrc(own, rest, squares / own / others)) if others > 0 else 0.0
    return TrainingNoise(squares / own, own) if by_chance < _DIFFERS else noise


def _residuals(losses: FloatArray) -> FloatArray:
    return np.asarray(
        losses - losses.mean(axis=1, keepdims=True) - losses.mean(axis=0, keepdims=True) + losses.mean()
    )
