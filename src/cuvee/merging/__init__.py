"""Averaging the models of a pool: rosters, merges as values, flat parameters, lengths and angles."""

from cuvee.merging.geometry import Geometry, barrier, barrier_warnings, effective_number
from cuvee.merging.interface import Merger
from cuvee.merging.linear import Linear, merge_block
from cuvee.merging.merge import Merge
from cuvee.merging.pool import Branch, FlatPool
from cuvee.merging.registry import MERGERS
from cuvee.merging.roster import Member, Roster

__all__ = [
    "MERGERS",
    "Branch",
    "FlatPool",
    "Geometry",
    "Linear",
    "Member",
    "Merge",
    "Merger",
    "Roster",
    "barrier",
    "barrier_warnings",
    "effective_number",
    "merge_block",
]
