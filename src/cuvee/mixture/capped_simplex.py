"""Exact geometry of the simplex cut by lower and upper bounds.

    C = { v [B] : sum v = 1, lower <= v <= upper }

A `Region` reduces itself to this set by collapsing sources of fixed ratio into one total. Both
projections have the form v(t) = clip(unconstrained value at multiplier t, lower, upper), where sum v(t)
does not fall as t rises. So the breakpoints, at which a coordinate meets a bound, are sorted, the two
around sum = 1 are found by bisection, and between them the equation is solved in closed form (Held,
Wolfe & Crowder 1974; Kiwiel 2008 for the quadratic case; Krichene et al. 2015 for the entropic case).
Cost O(B log B).
"""

import math
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cuvee.types import BoolArray, FloatArray, IntArray

_EPSILON = float(np.finfo(np.float64).eps)
_POINT = 1e-12
"""Slack below which the set counts as a single point."""


@dataclass(frozen=True, eq=False)
class CappedSimplex:
    """Points of sum one between bounds. The caller sees to 0 <= lower <= upper <= 1 and feasibility."""

    lower: FloatArray
    """Lower bounds [B]."""
    upper: FloatArray
    """Upper bounds [B]."""

    @property
    def slack(self) -> float:
        """What is left to share out when all coordinates are at their lower bounds."""
        return max(0.0, 1.0 - math.fsum(self.lower))

    @property
    def free(self) -> IntArray:
        """Indices of the coordinates whose bounds differ."""
        return np.flatnonzero(self.upper > self.lower).astype(np.int64)

    @property
    def is_point(self) -> bool:
        """Whether only one point satisfies the bounds (to 1e-12)."""
        reach = math.fsum(self.upper) - 1.0
        return self.slack <= _POINT or reach <= _POINT or self.free.size <= 1

    @property
    def centre(self) -> FloatArray:
        """The point [B] that lies equally far, relatively, between all bounds; in the relative interior."""
        width = self.upper - self.lower
        total = math.fsum(width)
        fraction = min(1.0, self.slack / total) if total > 0.0 else 0.0
        return settle(self.lower + fraction * width, self.lower, self.upper)

    def project(self, point: FloatArray, curvature: FloatArray) -> FloatArray:
        """The v [B] in C that minimises sum_b curvature_b (v_b - point_b)^2.

        Stationarity: v_b = clip(point_b + t / curvature_b), t the multiplier of the sum.

        Args:
            point: any finite numbers [B].
            curvature: positive weights [B].
        """
        low = curvature * (self.lower - point)
        high = curvature * (self.upper - point)

        def total(t: float) -> float:
            return math.fsum(np.clip(point + t / curvature, self.lower, self.upper))

        fixed, free = self._segment(low, high, total)
        if free.any():
            remainder = math.fsum([1.0, *(-fixed[~free]), *(-point[free])])
            fixed[free] = point[free] + remainder / math.fsum(1.0 / curvature[free]) / curvature[free]
        return settle(fixed, self.lower, self.upper)

    def scale(self, log_weights: FloatArray) -> FloatArray:
        """The v [B] in C that minimises the divergence sum_b v_b log(v_b / exp(log_weights_b)).

        Stationarity: v_b = clip(e^t weight_b). A weight of zero (logarithm -inf) is the limit of a small
        one: its coordinate stays at the lower bound. The caller sees to it that the others reach one.
        """
        positive = np.isfinite(log_weights)
        weights = np.where(positive, log_weights, 0.0)
        with np.errstate(divide="ignore"):
            low = np.where(positive, np.log(self.lower) - weights, np.inf)
            high = np.where(positive, np.log(self.upper) - weights, np.inf)

        def values(t: float) -> FloatArray:
            # No upper bound exceeds one, so cutting the exponent at zero only prevents overflow.
            grown = np.where(positive, np.exp(np.minimum(weights + t, 0.0)), 0.0)
            return np.clip(grown, self.lower, self.upper)

        fixed, free = self._segment(low, high, lambda t: math.fsum(values(t)))
        if free.any():
            grown = np.exp(weights[free] - weights[free].max())
            remainder = max(0.0, math.fsum([1.0, *(-fixed[~free])]))
            fixed[free] = grown / math.fsum(grown) * remainder
        return settle(fixed, self.lower, self.upper)

    def cheapest(self, cost: FloatArray) -> FloatArray:
        """The v [B] in C that minimises cost @ v: fill the cheapest coordinates first, ties in order."""
        order = np.argsort(cost, kind="stable")
        width = (self.upper - self.lower)[order]
        before = np.concatenate([[0.0], np.cumsum(width)[:-1]])
        result = self.lower.copy()
        result[order] += np.clip(self.slack - before, 0.0, width)
        return settle(result, self.lower, self.upper)

    def _segment(
        self, low: FloatArray, high: FloatArray, total: Callable[[float], float]
    ) -> tuple[FloatArray, BoolArray]:
        """The stretch between neighbouring breakpoints that holds the root of total(t) = 1.

        Args:
            low: multiplier [B] at which a coordinate leaves its lower bound.
            high: multiplier [B] at which it meets its upper bound.
            total: sum of the clipped coordinates at a multiplier; non-decreasing.

        Returns:
            The values [B] of the coordinates at a bound there, and the mask [B] of those between bounds.
        """
        breakpoints = np.unique(np.concatenate([low, high]))
        knots = breakpoints[np.isfinite(breakpoints)].tolist()
        index = bisect_right(knots, 1.0, key=total)
        left = knots[index - 1] if index > 0 else -math.inf
        right = knots[index] if index < len(knots) else math.inf
        free = (low <= left) & (high >= right) & (low < high)
        return np.where(high <= left, self.upper, self.lower), free


def settle(values: FloatArray, lower: FloatArray, upper: FloatArray) -> FloatArray:
    """``values`` [B] moved inside the bounds and to sum one exactly (to the last bit that rounding allows).

    The input is right up to rounding. What is missing goes to the largest coordinate that can take all
    of it, where it changes the least relatively and leaves zeros zero.
    """
    result = np.clip(values, lower, upper)
    for _ in range(result.size + 2):
        gap = 1.0 - math.fsum(result)
        if abs(gap) <= 0.5 * _EPSILON:
            break
        room = upper - result if gap > 0.0 else result - lower
        able = room >= abs(gap)
        index = int(np.where(able, result, -1.0).argmax() if able.any() else room.argmax())
        if room[index] <= 0.0:
            break
        result[index] = np.clip(result[index] + gap, lower[index], upper[index])
    return result
