"""EvidenceGap: where a reduced space has no evidence, and what to run there (floor 3).

Runs speak for the mixtures between them: a law interpolates inside their convex hull and extrapolates
outside. A mixture counts as having no evidence when more than ``margin`` of its tokens would have to move
before it were a blend of runs, that is when

    min over blends b of the runs   0.5 * sum_i |u_i - b_i|   >   margin

which is a linear programme. A source that was just added has share zero in all runs, so that all but a
thin layer is outside; the parts of a source that was just split lie on one line. Inside the hull there
may still be too few runs for a law: that shows in its spread, not here.
"""

from dataclasses import dataclass
from itertools import islice

import numpy as np

from cuvee.errors import ConfigError
from cuvee.mixture import designs
from cuvee.mixture.mixture import Mixture
from cuvee.mixture.region import Region
from cuvee.runs.observations import Observations
from cuvee.runs.reduced_space import Collapsed, ReducedSpace
from cuvee.types import FloatArray

MARGIN = 0.05
"""Share of the tokens by which a mixture may lie outside the runs and still count as covered."""

_PROBES = 256
"""Random allowed mixtures by which the part without evidence is measured: to within some 3 %."""

_OVERSAMPLING = (1, 4, 16)
"""A design is looked for among this many times its mixtures: a gap below 1/16 is not filled up."""

_SOLVER_ROUNDING = 1e-6


@dataclass(frozen=True, eq=False)
class EvidenceGap:
    """What stays valid, what is missing, and the runs that supply it. Made by ``what_must_run``."""

    space: ReducedSpace
    region: Region
    """What is allowed over the reduced sources."""
    evidence: Collapsed
    """The runs that hold there."""
    margin: float
    """How far outside the runs a mixture may lie and still count as covered, in total variation."""
    missing: float
    """Part of the region, from 0 to 1, that has no evidence; an estimate."""
    design: tuple[Mixture, ...]
    """Mixtures over the reduced sources to run, all of them without evidence."""

    @property
    def runs(self) -> tuple[Mixture, ...]:
        """The design over all sources: what to train on."""
        return tuple(self.space.expand(mixture) for mixture in self.design)

    @property
    def statement(self) -> str:
        """What stays valid and what must be run, in sentences."""
        held = ", ".join(f"{name} {part:.3g}" for name, part in self.space.existing.as_dict().items())
        valid = self.evidence.observations
        lines = [
            f"{self.space.name!r} stands for {held}.",
            f"{len(valid)} of {len(self.evidence.exact)} runs stay valid over {', '.join(self.space.names)};"
            f" {self.evidence.left_out} have other ratios within {self.space.name!r} and are left out.",
            f"About {self.missing:.0%} of the allowed mixtures lie outside the runs, by more than"
            f" {self.margin:.3g} of their tokens.",
        ]
        for index, name in enumerate(self.space.names if len(valid) else ()):
            low, high = valid.shares[:, index].min(), valid.shares[:, index].max()
            least, most = _range(self.region, index)
            if least < low - self.margin or most > high + self.margin:
                lines.append(
                    f"{name!r} has shares from {low:.3g} to {high:.3g} in the runs;"
                    f" {least:.3g} to {most:.3g} are allowed."
                )
        if self.design:
            lines.append(f"Must be run: the {len(self.design)} mixtures of the design.")
        elif self.missing == 0.0:
            lines.append("Nothing must be run.")
        else:
            lines.append("No mixture to run was found there: the gap is small, or none was asked for.")
        return "\n".join(lines)


def what_must_run(
    space: ReducedSpace,
    region: Region,
    observations: Observations,
    n: int,
    *,
    seed: int,
    margin: float = MARGIN,
) -> EvidenceGap:
    """Where ``observations`` say nothing over the reduced space, and up to ``n`` runs that fill it.

    The design is what falls into the gap of a space-filling design of the whole region, the first that has
    ``n`` such mixtures; fewer where the gap is smaller than a sixteenth of the region or a single mixture.

    Args:
        space: the sources held together, and those that are not.
        region: what is allowed, over all sources.
        observations: runs over all sources (``Remapped.observations``); give those of the scale, kind and
            metrics that a law is to be fitted on.
        n: most runs of the design.
        seed: of the design and of the mixtures that measure the gap.
        margin: see the head of this file.

    Raises:
        ConfigError: ``n`` is negative or the margin not in [0, 1), or observations of an unknown source.
        InfeasibleRegion: the region allows no mixture of the reduced sources.

    Cost: up to 256 + 21 n linear programmes of some milliseconds each.
    """
    if n < 0 or not 0.0 <= margin < 1.0:
        raise ConfigError(f"no design of {n} runs with a margin of {margin}; use n >= 0 and 0 <= margin < 1")
    evidence = space.collapse_observations(observations)
    reduced = space.region(region)
    runs = np.unique(evidence.observations.shares, axis=0)

    def without_evidence(mixture: Mixture) -> bool:
        return _is_outside(mixture.shares, runs, margin)

    probes = reduced.sample(_PROBES, np.random.default_rng(seed))
    missing = float(np.mean([without_evidence(mixture) for mixture in probes]))
    design: list[Mixture] = []
    for factor in _OVERSAMPLING:
        # A region of one mixture has a design of one.
        size = min(n, 1) if reduced.totals.is_point else factor * n
        candidates = filter(without_evidence, designs.space_filling(reduced, size, seed))
        design = list(islice(candidates, n))
        if len(design) == n or missing == 0.0:
            break
    return EvidenceGap(space, reduced, evidence, margin, missing, tuple(design))


def _is_outside(point: FloatArray, runs: FloatArray, margin: float) -> bool:
    """Whether a mixture [B] is more than ``margin`` from all blends of runs [R, B] in total variation."""
    if not len(runs):
        return True
    # No share of a blend is beyond those of the runs, and one share alone can be the whole difference.
    if max((point - runs.max(axis=0)).max(), (runs.min(axis=0) - point).max()) > margin + _SOLVER_ROUNDING:
        return True
    return _distance(point, runs) > margin + _SOLVER_ROUNDING


def _distance(point: FloatArray, runs: FloatArray) -> float:
    """Total variation between a mixture [B] and the nearest blend of runs [R, B].

    Variables: the weights of the runs, and per source what the point has above and below the blend.
    """
    from scipy.optimize import linprog

    size = len(point)
    identity = np.eye(size)
    found = linprog(
        np.concatenate([np.zeros(len(runs)), np.full(2 * size, 0.5)]),
        A_eq=np.block([[runs.T, identity, -identity], [np.ones((1, len(runs))), np.zeros((1, 2 * size))]]),
        b_eq=np.append(point, 1.0),
    )
    return float(found.fun)


def _range(region: Region, index: int) -> tuple[float, float]:
    """Least and largest share that a region allows a source."""
    cost = np.zeros(len(region.names))
    cost[index] = 1.0
    least, most = region.linear_minimum(cost), region.linear_minimum(-cost)
    return float(least.shares[index]), float(most.shares[index])
