"""How far a mixture lies from the runs that speak for it."""

import math

import numpy as np
from scipy.optimize import linprog

from cuvee.decisions.fit.result import Distance
from cuvee.mixture.distance import total_variation
from cuvee.runs.observations import Observations
from cuvee.types import FloatArray


def distance(observations: Observations, shares: FloatArray) -> Distance:
    """From a mixture [S] to the nearest run and to the convex hull of all runs, in total variation."""
    runs = observations.shares
    away = total_variation(runs, shares)
    nearest = int(away.argmin())
    typical = math.nan
    if len(runs) > 1:
        # Row by row: all pairs at once would take R^2 S numbers.
        closest = []
        for index, run in enumerate(runs):
            others = total_variation(runs, run)
            others[index] = np.inf
            closest.append(float(others.min()))
        typical = float(np.median(closest))
    return Distance(observations.keys[nearest], float(away[nearest]), typical, _outside(runs, shares))


def _outside(runs: FloatArray, point: FloatArray) -> float:
    """Total variation from a point [S] to the convex hull of runs [R, S]: a linear programme."""
    count, sources = runs.shape
    equal = np.block(
        [
            [runs.T, np.eye(sources), -np.eye(sources)],
            [np.ones((1, count)), np.zeros((1, 2 * sources))],
        ]
    )
    cost = np.r_[np.zeros(count), np.full(2 * sources, 0.5)]
    found = linprog(cost, A_eq=equal, b_eq=np.r_[point, 1.0], method="highs")
    return max(0.0, float(found.fun))
