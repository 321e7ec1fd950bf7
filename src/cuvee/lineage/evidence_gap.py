"""Where a region has no evidence: the mixtures that lie outside all runs.

Runs speak for the mixtures between them: what is learnt from them interpolates inside their convex hull and
extrapolates outside. A mixture counts as uncovered when more than ``margin`` of its tokens would have to move
before it were a blend of runs, that is when

    min over blends b of the runs   0.5 * sum_i |u_i - b_i|   >   margin

which is a linear programme. The parts of a source that was just split lie on one line of all old runs. Inside
the hull there may still be too few runs: that shows in the spread of what is predicted, not here.
"""

import numpy as np

from cuvee.mixture.mixture import Mixture
from cuvee.mixture.region import Region
from cuvee.types import FloatArray

MARGIN = 0.05
"""Share of the tokens by which a mixture may lie outside the runs and still count as covered."""

_PROBES = 256
"""Random allowed mixtures by which the uncovered part is measured: to within some 3 %."""

_SOLVER_ROUNDING = 1e-6


def uncovered(region: Region, runs: FloatArray, *, seed: int, margin: float = MARGIN) -> float:
    """Part of a region, from 0 to 1, that lies outside the runs [R, S]; an estimate.

    Cost: up to 256 linear programmes of some milliseconds each.
    """
    distinct = np.unique(runs, axis=0)
    probes = region.sample(_PROBES, np.random.default_rng(seed))
    return float(np.mean([is_outside(mixture, distinct, margin) for mixture in probes]))


def is_outside(mixture: Mixture, runs: FloatArray, margin: float = MARGIN) -> bool:
    """Whether a mixture over S sources is more than ``margin`` from all blends of runs [R, S]."""
    point = mixture.shares
    if not len(runs):
        return True
    # No share of a blend is beyond those of the runs, and one share alone can be the whole difference.
    if max((point - runs.max(axis=0)).max(), (runs.min(axis=0) - point).max()) > margin + _SOLVER_ROUNDING:
        return True
    return _distance(point, runs) > margin + _SOLVER_ROUNDING


def _distance(point: FloatArray, runs: FloatArray) -> float:
    """Total variation between a mixture [S] and the nearest blend of runs [R, S].

    Variables: the weights of the runs, and per source what the point has above and below the blend.
    """
    from scipy.optimize import linprog

    size = len(point)
    identity = np.eye(size)
    found = linprog(
        np.concatenate([np.zeros(len(runs)), np.full(2 * size, 0.5)]),
        A_eq=np.block([[runs.T, identity, -identity], [np.ones((1, len(runs))), np.zeros((1, 2 * size))]]),
        b_eq=np.append(point, 1.0),
    )
    return float(found.fun)
