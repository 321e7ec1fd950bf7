"""Differences between mixtures that were trained more than once, with the noise of trainings (floor 5).

Trainings stand in *layouts*: mixtures by seeds, every mixture trained with every seed. What a seed does to
all mixtures alike cancels in a difference, so the noise of a difference is what a two-way analysis of
variance leaves over:

    y_as = m_a + s_s + e_as,      Var(mean difference) = 2 sigma^2 / n + (document error)^2,

with sigma^2 the mean square of the residuals, pooled over layouts (Scheffe, The Analysis of Variance, ch. 4).
A mixture whose own trainings scatter more than the others' beyond chance keeps its own variance. The interval
is Student's, with the degrees of freedom of Welch (1947) and Satterthwaite (1946).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cuvee.errors import ConfigError
from cuvee.types import FloatArray

_DIFFERS = 0.01
"""Chance by which a mixture whose trainings scatter like the others' is taken to scatter more."""


@dataclass(frozen=True)
class Noise:
    """The variance of one training about its mixture and seed."""

    variance: float
    """NaN where nothing was trained twice."""
    freedom: int


@dataclass(frozen=True)
class Difference:
    """Mean loss of one mixture minus another's, with its central interval; NaN where the noise is unknown."""

    mean: float
    low: float
    high: float


def pooled_noise(layouts: Sequence[FloatArray]) -> Noise:
    """Over layouts [mixtures, seeds] of losses; those of one mixture or one seed tell nothing."""
    squares, freedom = 0.0, 0
    for losses in layouts:
        squares += float(np.square(_residuals(losses)).sum())
        freedom += (losses.shape[0] - 1) * (losses.shape[1] - 1)
    return Noise(squares / freedom if freedom > 0 else math.nan, max(freedom, 0))


def deviation(layouts: Sequence[FloatArray]) -> float:
    """Standard deviation of one training about its mixture, whatever its seed; NaN where none was
    repeated."""
    squares = sum(float(np.square(one - one.mean(axis=1, keepdims=True)).sum()) for one in layouts)
    freedom = sum(one.shape[0] * (one.shape[1] - 1) for one in layouts)
    return math.sqrt(squares / freedom) if freedom else math.nan


def difference(
    losses: FloatArray,
    rows: tuple[int, int],
    noise: Noise,
    document_error: float,
    documents: int,
    confidence: float,
) -> Difference:
    """The first mixture minus the second, over paired trainings.

    Args:
        losses: a layout [mixtures, seeds].
        rows: the two mixtures.
        noise: of one training, from this layout and others.
        document_error: standard error of the difference by the choice of documents.
        documents: how many that rests on.
        confidence: of the interval.

    Raises:
        ConfigError: a row twice.
    """
    if rows[0] == rows[1]:
        raise ConfigError(f"difference: row {rows[0]} against itself")
    from scipy.special import stdtrit

    seeds = losses.shape[1]
    mean = float((losses[rows[0]] - losses[rows[1]]).mean())
    parts = [(_own(losses, row, noise), seeds) for row in rows]
    squares = [(one.variance / seeds, one.freedom) for one, _ in parts] + [(document_error**2, documents - 1)]
    variance = sum(square for square, _ in squares)
    if not math.isfinite(variance):
        return Difference(mean, math.nan, math.nan)
    below = sum(
        square**2 / freedom for square, freedom in _pooled(squares, parts[0][0] is parts[1][0]) if freedom
    )
    freedom = variance**2 / below if below > 0 else math.inf
    half = float(stdtrit(freedom, 0.5 + confidence / 2)) * math.sqrt(variance) if variance > 0 else 0.0
    return Difference(mean, mean - half, mean + half)


def _pooled(squares: list[tuple[float, int]], shared: bool) -> list[tuple[float, int]]:
    """Two variances that are one estimate count as one."""
    if not shared:
        return squares
    (first, freedom), (second, _), documents = squares
    return [(first + second, freedom), documents]


def _own(losses: FloatArray, row: int, noise: Noise) -> Noise:
    """The noise of one mixture: everybody's, unless its own is larger beyond chance."""
    from scipy.special import fdtrc

    seeds = losses.shape[1]
    if seeds < 3 or not noise.variance > 0:
        return noise
    residuals = losses[row] - losses[row].mean()
    own = float(np.square(residuals).sum()) / (seeds - 1)
    by_chance = float(fdtrc(seeds - 1, noise.freedom, own / noise.variance))
    return Noise(own, seeds - 1) if by_chance < _DIFFERS else noise


def _residuals(losses: FloatArray) -> FloatArray:
    return np.asarray(
        losses - losses.mean(axis=1, keepdims=True) - losses.mean(axis=0, keepdims=True) + losses.mean()
    )
