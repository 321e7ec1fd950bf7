"""The table of merging methods; ``merging.method`` of a study file names a row."""

from cuvee.merging.interface import Merger
from cuvee.merging.linear import LinearMerge

LINEAR = "linear"

MERGERS: dict[str, Merger] = {LINEAR: LinearMerge()}
