"""The mixture that a fit picks: the optimum, unless a run or a baseline is predicted to be better.

A descent may end early, and a law that is not convex has several optima. So the answer is compared with what
it is shown beside, and the descent goes on from whatever is better.
"""

from dataclasses import dataclass

import numpy as np

from cuvee.laws.interface import FittedLaw
from cuvee.mixture.mixture import Mixture
from cuvee.mixture.region import Region
from cuvee.search.objective import BoundObjective, Objective
from cuvee.search.optimum import Best, descend, minimise
from cuvee.types import BoolArray, FloatArray

_SAME = 1e-4  # of the spread of the target: what is better by less is not


@dataclass(frozen=True, eq=False)
class Allowed:
    """Mixtures that could have been picked, in place of the one that was."""

    names: tuple[str, ...]
    shares: FloatArray
    """[M, S]."""

    @classmethod
    def of(
        cls, names: tuple[str, ...], shares: FloatArray, bound: BoundObjective, region: Region
    ) -> "Allowed":
        """Those that keep the region and, under the law, the guards."""
        kept = np.flatnonzero(could_be_picked(shares, bound, region)).tolist()
        return cls(tuple(names[i] for i in kept), shares[kept])

    def better(self, best: Best, bound: BoundObjective, spread: float) -> tuple[tuple[str, float], ...]:
        """Those that are predicted to be better than the pick, the best first, with their objective."""
        if not self.names:
            return ()
        found = [
            (name, value)
            for name, value in zip(self.names, bound.values(self.shares).tolist(), strict=True)
            if value < best.value - _SAME * spread
        ]
        return tuple(sorted(found, key=lambda one: one[1]))


def could_be_picked(shares: FloatArray, bound: BoundObjective, region: Region) -> BoolArray:
    """Which mixtures [M, S] keep the region and, under the law, the guards."""
    inside = [region.contains(Mixture(region.names, row), tolerance=1e-6) for row in shares]
    return np.asarray(bound.keeps_guards(shares) & np.array(inside, dtype=np.bool_))


def pick(
    objective: Objective,
    law: FittedLaw,
    region: Region,
    names: tuple[str, ...],
    shares: FloatArray,
    spread: float,
    seed: int,
) -> tuple[Best, tuple[str, ...]]:
    """The best mixture found, and the names of mixtures that are predicted to be better all the same.

    Args:
        objective: what is to be low.
        law: predicts the metrics.
        region: the mixtures that may be chosen.
        names: of runs and baselines [M].
        shares: theirs [M, S].
        spread: of the target among the runs.
        seed: see ``minimise``.
    """
    best, bound = minimise(objective, law, region, seed=seed), objective.of(law)
    allowed = Allowed.of(names, shares, bound, region)
    if better := allowed.better(best, bound, spread):
        begin = allowed.shares[allowed.names.index(better[0][0])]
        found = descend(objective, law, region, Mixture(region.names, begin))
        best = min(best, found, key=lambda one: one.value)
    return best, tuple(name for name, _ in allowed.better(best, bound, spread))


def spread_of(costs: FloatArray, weights: FloatArray) -> float:
    """Standard deviation of the target among the runs [R, E] that have all of it."""
    measured = np.isfinite(costs[:, weights > 0]).all(axis=1)
    return float(np.std(np.nan_to_num(costs[measured]) @ weights))
