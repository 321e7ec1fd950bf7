"""Mixtures spread evenly over the region, at the target fidelity.

The points of ``space_filling`` (``mixture/designs.py``): scrambled Sobol points (Sobol 1967; Owen 1998)
carried to the simplex. The design belongs to the seed; the n-th experiment at the target is its n-th point.
"""

from dataclasses import dataclass

import numpy as np

from cuvee.mixture import designs
from cuvee.search.proposer import History
from cuvee.search.space import Experiment
from cuvee.search.untried import at_fidelity, nearest_untried, untried
from cuvee.types import FloatArray


@dataclass(frozen=True)
class Sobol:
    """The method."""

    name: str = "sobol"
    paper: str = "https://doi.org/10.1016/0041-5553(67)90144-9"
    needs: str = "nothing"
    cost: str = "milliseconds an ask; under tight caps seconds from some thousand experiments on"
    deviations: str = (
        "Sorted spacings carry the points to the simplex. Where caps leave too few, random points far from "
        "each other are chosen, anew whenever their number doubles beyond 64."
    )

    def ask(self, history: History, count: int, seed: int) -> list[Experiment]:
        """See ``Method.ask``; of a pool the nearest untried rows to the points."""
        space = history.space
        begin = int((history.trials.fidelity == space.target).sum())
        begin += sum(one.fidelity == space.target for one in history.running)
        points = _design(history, begin + count, seed)[begin : begin + count]
        if space.pool is None:
            return at_fidelity(untried(history, points, space.target), space.target)
        return at_fidelity(nearest_untried(history, points, space.target), space.target)


def _design(history: History, least: int, seed: int) -> FloatArray:
    """At least so many points [n, S]; a power of two, so that few different designs are ever made."""
    region = history.space.region
    size = 1 << max(0, least - 1).bit_length()
    if region.totals.is_point:
        return np.tile(region.expand(region.totals.centre).shares, (size, 1))
    return np.stack([one.shares for one in designs.space_filling(region, size, seed)])
