"""An objective divided by its own spread, so that no search depends on the unit of a metric.

Tolerances, first steps and limits of optimisers are numbers near one. So what they are given is the
objective over the spread that it has under the law, and each guard over that of its metric: the median
distance from the value at equal shares to those at mixtures half of which is one source.
"""

import numpy as np

from cuvee.search.objective import BoundObjective
from cuvee.types import FloatArray

_ROUNDING = 1e-12  # of a value: smaller differences are no spread


class Spreads:
    """A bound objective with its values and guards over their spreads."""

    def __init__(self, bound: BoundObjective) -> None:
        self.bound = bound
        count = len(bound.law.sources)
        equal = np.full(count, 1.0 / count)
        halves = 0.5 * (equal + np.eye(count))
        self.unit = _spread(bound.value(equal), np.array([bound.value(one) for one in halves]))
        """Of the objective."""
        at_equal, at_halves = bound.violations(equal), np.array([bound.violations(one) for one in halves])
        self.units = np.array([_spread(at, at_halves[:, i]) for i, at in enumerate(at_equal.tolist())])
        """Of the guards [guards]."""

    def value(self, shares: FloatArray) -> float:
        """See ``BoundObjective.value``; so are the others."""
        return self.bound.value(shares) / self.unit

    def parts(self, shares: FloatArray) -> FloatArray:
        return self.bound.parts(shares) / self.unit

    def part_slopes(self, shares: FloatArray) -> FloatArray:
        return self.bound.part_slopes(shares) / self.unit

    def violations(self, shares: FloatArray) -> FloatArray:
        result: FloatArray = self.bound.violations(shares) / self.units
        return result

    def violation_slopes(self, shares: FloatArray) -> FloatArray:
        result: FloatArray = self.bound.violation_slopes(shares) / self.units[:, None]
        return result


def _spread(at_equal: float, others: FloatArray) -> float:
    away = np.abs(others - at_equal)
    least = _ROUNDING * abs(at_equal)
    seen = away[away > least]
    # Of a metric that most sources leave alone, the few that do not give the spread.
    return float(np.median(seen)) if len(seen) else least or 1.0
