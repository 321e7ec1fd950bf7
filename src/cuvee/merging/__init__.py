"""Averaging the models of a pool: rosters, flat parameters, methods of merging, lengths and angles."""

from cuvee.merging.fisher import DiagonalFisher
from cuvee.merging.geometry import Geometry, barrier, barrier_warnings
from cuvee.merging.interface import Merger
from cuvee.merging.linear import LinearMerge
from cuvee.merging.pool import Branch, FlatPool
from cuvee.merging.registry import MERGERS
from cuvee.merging.regmean import RegMean
from cuvee.merging.roster import Member, Roster

__all__ = [
    "MERGERS",
    "Branch",
    "DiagonalFisher",
    "FlatPool",
    "Geometry",
    "LinearMerge",
    "Member",
    "Merger",
    "RegMean",
    "Roster",
    "barrier",
    "barrier_warnings",
]
