"""Pareto front: what one aim costs the other."""

from dataclasses import dataclass, replace

import numpy as np

from cuvee.errors import ConfigError
from cuvee.laws.interface import FittedLaw
from cuvee.mixture.mixture import Mixture
from cuvee.mixture.region import Region
from cuvee.search.objective import Objective
from cuvee.search.optimum import minimise

POINTS = 9


@dataclass(frozen=True, eq=False)
class ParetoPoint:
    """A mixture that no other beats on both aims."""

    mixture: Mixture
    first: float
    """The first objective there, under the law."""
    second: float


def pareto_front(
    first: Objective, second: Objective, law: FittedLaw, region: Region, points: int = POINTS
) -> tuple[ParetoPoint, ...]:
    """Mixtures from the best for ``first`` to the best for ``second``.

    Weighted sums with the weight moved evenly, after both are divided by their difference
    between the two ends. With a convex law they reach the whole front (Miettinen 1999, theorem 3.1.4). Guards
    and prior are those of ``first``.

    Raises:
        ConfigError: fewer than two points, or aims other than weighted means.
    """
    if points < 2 or first.aim != "mean" or second.aim != "mean":
        raise ConfigError("a front needs two weighted means and at least two points")
    values = (first.of(law), second.of(law))
    ends = [minimise(replace(first, weights=one.weights), law, region).mixture for one in (first, second)]
    shares = [end.reindexed(law.sources).shares for end in ends]
    ranges = [abs(float((v.costs(shares[0]) - v.costs(shares[1])) @ v.weights)) or 1.0 for v in values]
    found: list[ParetoPoint] = []
    start = ends[0]
    for part in np.linspace(0.0, 1.0, points):
        if part in (0.0, 1.0):
            start = ends[int(part)]
        else:
            weights: dict[str, float] = {}
            for one, share, size in ((first, 1.0 - part, ranges[0]), (second, part, ranges[1])):
                for name, weight in one.weights.items():
                    weights[name] = weights.get(name, 0.0) + float(share) * weight / size
            start = minimise(replace(first, weights=weights), law, region, start).mixture
        here = start.reindexed(law.sources).shares
        worth = [float(v.costs(here) @ v.weights) for v in values]
        found.append(ParetoPoint(start, worth[0], worth[1]))
    return tuple(
        one
        for one in found
        if not any(
            (other.first < one.first and other.second <= one.second)
            or (other.first <= one.first and other.second < one.second)
            for other in found
        )
    )
