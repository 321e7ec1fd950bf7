"""UtiliMax: a portfolio of sources from how useful each is alone.

    min over w of  || U' w - 1 ||_2  +  D sum_i w_i^2,     w in the region

U [S, E] in [0, 1] is the utility of each source for each metric, D the number of sources (Held, Paranjape,
Koura, Lewis, Zhang & Mihaylov 2025, https://arxiv.org/abs/2501.11747: the distance to a mixture that is of
full use everywhere, and the risk of putting all on few). Uniform utilities give UniMax.
"""

import numpy as np

from cuvee.errors import ConfigError
from cuvee.laws.interface import LawData
from cuvee.mixture.mirror_descent import mirror_descent
from cuvee.mixture.mixture import Mixture
from cuvee.mixture.region import Region
from cuvee.types import FloatArray

_ALONE = 1.0 - 1e-9


def utilimax(utilities: FloatArray, region: Region, tolerance: float = 1e-8) -> Mixture:
    """The mixture of the region that UtiliMax chooses.

    Args:
        utilities: [S, E] in [0, 1], sources in the order of ``region.names``.
        region: bounds and epoch caps.
        tolerance: of the objective.

    Raises:
        ConfigError: utilities of another shape or out of range.
    """
    if utilities.ndim != 2 or len(utilities) != len(region.names):
        raise ConfigError(f"utilities of shape {utilities.shape} for {len(region.names)} sources")
    if not (np.isfinite(utilities).all() and utilities.min() >= 0 and utilities.max() <= 1):
        raise ConfigError("utilities must lie between 0 and 1")
    sources = len(utilities)

    def objective(shares: FloatArray) -> tuple[float, FloatArray]:
        missing = utilities.T @ shares - 1.0
        size = float(np.sqrt(missing @ missing))
        slope = utilities @ missing / max(size, 1e-12) + 2.0 * sources * shares
        return size + sources * float(shares @ shares), slope

    return mirror_descent(objective, region, tolerance=tolerance, max_evaluations=2000).mixture


def utilities_of(data: LawData) -> FloatArray | None:
    """Utilities [S, E] from runs on single sources: one for the best source of a metric, zero for the worst.

    None where a source was never run alone. Metrics on which all sources are alike are left out.
    """
    costs = np.full((len(data.sources), len(data.metrics)), np.nan)
    for source in range(len(data.sources)):
        rows = data.costs[data.shares[:, source] >= _ALONE]
        if not len(rows) or not np.isfinite(rows).any(axis=0).all():
            return None
        costs[source] = np.nanmean(rows, axis=0)
    worst, best = costs.max(axis=0), costs.min(axis=0)
    ranked = worst > best
    if not ranked.any():
        return None
    result: FloatArray = ((worst - costs) / np.where(ranked, worst - best, 1.0))[:, ranked]
    return result
