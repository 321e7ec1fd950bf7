"""The table of merging methods (floor 3)."""

from cuvee.merging.interface import Merger
from cuvee.merging.linear import Linear

MERGERS: dict[str, Merger] = {"linear": Linear()}
