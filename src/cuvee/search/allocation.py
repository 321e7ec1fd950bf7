"""Allocation: from what sources are worth to a mixture that may serve as a prior.

Values are brought to utilities between 0 (the worst source) and 1 (the best), and UtiliMax (``utilimax.py``)
spreads the tokens over them under the caps in epochs of the region. It knows neither interactions of sources
nor scale: a prior, and no decision.
"""

from collections.abc import Sequence

import numpy as np

from cuvee.errors import ConfigError
from cuvee.mixture.mixture import Mixture
from cuvee.mixture.region import Region
from cuvee.search.utilimax import utilimax
from cuvee.types import FloatArray

DRAWS = 64
"""Allocations behind the interval of a share: its ends move by some tenth of its width from seed to seed."""
_TOLERANCE = 1e-6  # of the objective: shares move by less than that from 1e-8, which takes 100 times longer
_NORMAL_95 = 1.96


def allocate(values: Sequence[float], region: Region) -> Mixture:
    """The mixture of a region that UtiliMax chooses for values of its sources.

    Args:
        values: of each source in the order of ``region.names``, higher = better; NaN counts as the worst.
        region: bounds and caps.

    Raises:
        ConfigError: another number of values than sources.
    """
    if len(values) != len(region.names):
        raise ConfigError(f"allocation: {len(values)} values for {len(region.names)} sources")
    return utilimax(_utilities(np.array(values, dtype=np.float64))[:, None], region, _TOLERANCE)


def allocated_ends(
    values: Sequence[float], ends: Sequence[tuple[float, float]], region: Region, seed: int
) -> tuple[FloatArray, FloatArray]:
    """Between which shares the allocation lies 95 % of the time where values lie in their intervals [S], [S].

    Args:
        values: as ``allocate``.
        ends: 95 % intervals of the values; one that is not finite makes every share possible.
        region: bounds and caps.
        seed: of the draws.
    """
    mean, spread = np.array(values, dtype=np.float64), np.array(ends, dtype=np.float64)
    if not np.isfinite(spread).all():
        unknown = np.full(len(mean), np.nan)
        return unknown, unknown
    deviation = (spread[:, 1] - spread[:, 0]) / (2.0 * _NORMAL_95)
    rng = np.random.default_rng([seed, len(mean)])
    drawn = mean + deviation * rng.standard_normal((DRAWS, len(mean)))
    shares = np.stack([allocate(row.tolist(), region).shares for row in drawn])
    low, high = np.quantile(shares, [0.025, 0.975], axis=0)
    return low, high


def _utilities(values: FloatArray) -> FloatArray:
    known = np.isfinite(values)
    if not known.any():
        return np.ones(len(values))
    worst, best = values[known].min(), values[known].max()
    scaled = (
        (np.where(known, values, worst) - worst) / (best - worst) if best > worst else np.ones(len(values))
    )
    return np.asarray(scaled)
