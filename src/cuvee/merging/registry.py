"""The table of merging methods; ``merging.method`` of a study file names a row."""

from cuvee.merging.adapted import AdaptedPool, SummedProducts
from cuvee.merging.interface import Merger
from cuvee.merging.linear import LinearMerge
from cuvee.merging.pool import FlatPool

LINEAR = "linear"

MERGERS: dict[str, Merger] = {LINEAR: LinearMerge()}

ADAPTED_MERGERS: dict[str, Merger] = {LINEAR: SummedProducts()}
"""The same methods for pools of adapters, as far as there are any."""


def merger_of(method: str, pool: FlatPool) -> Merger:
    """The row of a method for a pool."""
    return (ADAPTED_MERGERS if isinstance(pool, AdaptedPool) else MERGERS)[method]
