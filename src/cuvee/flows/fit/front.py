"""Front: what the best value of one metric costs another, under the law of the question."""

from collections.abc import Mapping
from dataclasses import replace

from cuvee.decisions.fit.result import FrontPoint
from cuvee.laws.interface import FittedLaw, signs
from cuvee.mixture.region import Region
from cuvee.runs.formats.direction import Direction
from cuvee.search.objective import Objective
from cuvee.search.pareto import pareto_front


def front_of(
    metrics: tuple[str, ...],
    objective: Objective,
    law: FittedLaw,
    region: Region,
    directions: Mapping[str, Direction],
) -> tuple[FrontPoint, ...]:
    """Mixtures from the best for the first metric to the best for the second, in the metrics' own units.

    Args:
        metrics: two, or none for no front.
        objective: of the question; its guards hold all along.
        law: fitted to all runs.
        region: the mixtures that may be chosen.
        directions: of the metrics.
    """
    if not metrics:
        return ()
    aims = [replace(objective, weights={name: 1.0}, aim="mean", prior_strength=0.0) for name in metrics]
    ways = [signs(directions.get(name, "lower")) for name in metrics]
    return tuple(
        FrontPoint(
            f"front {place}",
            tuple(one.mixture.shares.tolist()),
            (one.first * ways[0], one.second * ways[1]),
        )
        for place, one in enumerate(pareto_front(aims[0], aims[1], law, region), start=1)
    )
