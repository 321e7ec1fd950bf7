"""Falling power laws whose curves share an exponent.

    y = E + A (x / unit)^-a,   A >= 0

Given a, the best E and A of each curve are those of a straight line in x^-a, so that a alone is searched: on
a grid, then by golden section between the neighbours of its best point. Nothing is started at random, and
all groups are searched at once.

Shapes: G groups of one exponent each, P points, Q curves a group.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cuvee.types import FloatArray

LEAST, MOST = 0.03, 3.0
"""Of an exponent."""

_GRID = np.geomspace(LEAST, MOST, 60)
_GOLDEN = (np.sqrt(5.0) - 1.0) / 2.0
_STEPS = 45  # of golden section; each leaves 0.62 of the interval


@dataclass(frozen=True, eq=False)
class TiedPowers:
    """Fitted curves. Made by ``fit``."""

    floor: FloatArray
    """E, [G, Q]; NaN where a curve has no two different x."""
    fall: FloatArray
    """A, [G, Q], in the unit."""
    exponent: FloatArray
    """a, [G]."""
    unit: float

    @classmethod
    def fit(
        cls,
        sizes: FloatArray,
        values: FloatArray,
        spread: FloatArray,
        unit: float,
        exponent: FloatArray | None = None,
    ) -> "TiedPowers":
        """Least squares.

        Args:
            sizes: x, [G, P]; any number where there are no values.
            values: y, [G, P, Q], NaN where not measured.
            spread: what is as much in one curve as in another, [Q]; squares are divided by its square.
            unit: of x.
            exponent: [G] where it is known.
        """
        logs, weights = np.log(sizes / unit), np.isfinite(values) / spread**2
        known = np.where(np.isfinite(values), values, 0.0)

        def squares(exponents: FloatArray) -> FloatArray:
            return _lines(np.exp(-exponents[:, None] * logs), known, weights)[2]

        best = _least(squares, len(logs)) if exponent is None else exponent
        floor, fall, _ = _lines(np.exp(-best[:, None] * logs), known, weights)
        return cls(floor, fall, best, unit)

    def at(self, size: float) -> FloatArray:
        """The curves [G, Q] at an x."""
        result: FloatArray = self.floor + self.fall * (size / self.unit) ** -self.exponent[:, None]
        return result


def _lines(x: FloatArray, y: FloatArray, weights: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Straight lines that do not fall: floors and slopes [G, Q], sums of squares [G]."""
    total = np.maximum(weights.sum(axis=1), 1e-300)
    x_mean, y_mean = ((weights * part).sum(axis=1) / total for part in (x[..., None], y))
    x_away, y_away = x[..., None] - x_mean[:, None], y - y_mean[:, None]
    variation = (weights * x_away**2).sum(axis=1)
    varies = variation > 1e-20 * total * x_mean**2
    slope = (weights * x_away * y_away).sum(axis=1) / np.where(varies, variation, 1.0)
    slope = np.maximum(slope, 0.0) * varies
    left = (weights * (y_away - slope[:, None] * x_away) ** 2).sum(axis=(1, 2))
    return np.where(varies, y_mean - slope * x_mean, np.nan), np.where(varies, slope, np.nan), left


def _least(squares: Callable[[FloatArray], FloatArray], groups: int) -> FloatArray:
    """The exponents [G] of the least squares."""
    place = np.stack([squares(np.full(groups, exponent)) for exponent in _GRID]).argmin(axis=0)
    low = np.log(_GRID[np.maximum(place - 1, 0)])
    high = np.log(_GRID[np.minimum(place + 1, len(_GRID) - 1)])
    for _ in range(_STEPS):
        left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        falls = squares(np.exp(left)) < squares(np.exp(right))
        low, high = np.where(falls, low, left), np.where(falls, right, high)
    result: FloatArray = np.exp((low + high) / 2.0)
    return result
