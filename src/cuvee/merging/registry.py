"""The table of merging methods; ``merging.method`` of a study file names a row."""

from cuvee.merging.adapted import AdaptedPool, SummedProducts
from cuvee.merging.fisher import DiagonalFisher
from cuvee.merging.interface import Merger
from cuvee.merging.linear import LinearMerge
from cuvee.merging.pool import FlatPool
from cuvee.merging.regmean import RegMean
from cuvee.merging.statistics import FISHER, GRAM

LINEAR = "linear"
REGMEAN = "regmean"
DIAGONAL_FISHER = "fisher"

MERGERS: dict[str, Merger] = {LINEAR: LinearMerge(), REGMEAN: RegMean(), DIAGONAL_FISHER: DiagonalFisher()}

ADAPTED_MERGERS: dict[str, Merger] = {LINEAR: SummedProducts()}
"""The same methods for pools of adapters, as far as there are any."""

NEEDS: dict[str, str] = {REGMEAN: GRAM, DIAGONAL_FISHER: FISHER}
"""The kind of statistics that a method needs of every member of a pool; none where it is not named."""


def merger_of(method: str, pool: FlatPool) -> Merger:
    """The row of a method for a pool."""
    return (ADAPTED_MERGERS if isinstance(pool, AdaptedPool) else MERGERS)[method]
