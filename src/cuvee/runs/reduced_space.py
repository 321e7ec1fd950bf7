"""ReducedSpace: sources at fixed ratios seen as one virtual source (floor 3).

Mixture reuse (Olmix, Chen et al. 2026, arXiv:2602.12237): when some sources change, the others keep the
ratios p_i that an earlier decision gave them and become one source, ``existing``. A mixture u over
{existing} + affected sources stands for

    w_i = p_i u_existing   for a source of existing,      w_i = u_i   for an affected one

so that a new swarm varies few shares. The bounds of existing are the tightest of its members' over their
ratio: lower max_i l_i / p_i, upper min_i c_i / p_i, and with epoch caps in c_i also its epoch cap.
"""

from dataclasses import dataclass, replace

import numpy as np

from cuvee.errors import ConfigError, InfeasibleRegion, MixtureError
from cuvee.mixture.distance import total_variation
from cuvee.mixture.mixture import Mixture, checked_names
from cuvee.mixture.region import TOLERANCE as BOUND_TOLERANCE
from cuvee.mixture.region import Region
from cuvee.runs.observations import Observations
from cuvee.types import BoolArray, FloatArray

TOLERANCE = 1e-6
"""Share of tokens that a mixture may have off the fixed ratios; rounding stays far below."""

_RATIO_ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class Collapsed:
    """The observations that hold in a reduced space."""

    observations: Observations
    """The rows that keep the fixed ratios, over the reduced sources."""
    exact: BoolArray
    """Whether an old row [R] is one of them, read-only."""

    @property
    def left_out(self) -> int:
        """Rows whose members of the virtual source have other ratios."""
        return int((~self.exact).sum())


@dataclass(frozen=True)
class ReducedSpace:
    """Some sources at fixed ratios as one virtual source, and the others as they are.

    With ``lineage.py``: ``ReducedSpace(lineage.after.names, lineage.carry(decision))``.

    Raises:
        MixtureError: a fixed source is not among the sources, or the virtual name is taken.
    """

    sources: tuple[str, ...]
    """All source names [S]."""
    existing: Mixture
    """Ratios of the sources that are held together; one of share zero is held at zero."""
    name: str = "existing"
    """Name of the virtual source."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "sources", checked_names(self.sources))
        if unknown := [name for name in self.existing.names if name not in self.sources]:
            raise MixtureError(
                f"{self.name!r} holds source {unknown[0]!r}, which is not there; there are:"
                f" {', '.join(self.sources)}"
            )
        if not self.name or self.name in self.affected:
            raise MixtureError(f"the virtual source needs a name of its own, not {self.name!r}")

    @property
    def affected(self) -> tuple[str, ...]:
        """The sources that stay by themselves, in their order."""
        return tuple(name for name in self.sources if name not in self.existing.names)

    @property
    def names(self) -> tuple[str, ...]:
        """The reduced sources [B]: the virtual one, then the affected ones."""
        return (self.name, *self.affected)

    # Mixtures

    def collapse(self, mixture: Mixture, tolerance: float = TOLERANCE) -> Mixture:
        """A mixture over the sources as one over the reduced sources; ``expand`` is the inverse.

        Raises:
            MixtureError: it has a share of another source, or does not keep the ratios to within
                ``tolerance`` (in total variation).
        """
        shares = mixture.reindexed(self.sources).shares[np.newaxis]
        reduced, off = self._collapsed(shares)
        if off[0] > tolerance:
            raise MixtureError(
                f"the mixture does not keep the ratios of {self.name!r}: {off[0]:.3g} of its tokens would"
                f" move; {mixture} has not {self.existing}"
            )
        return Mixture(self.names, reduced[0])

    def expand(self, mixture: Mixture) -> Mixture:
        """A mixture over the reduced sources as one over all sources.

        Raises:
            MixtureError: it has a share of a source that is no reduced one.
        """
        reduced = mixture.reindexed(self.names)
        shares = reduced.as_dict()
        total = shares[self.name]
        wide = {name: shares[name] for name in self.affected}
        wide |= {name: total * part for name, part in self.existing.as_dict().items()}
        return Mixture.of(wide).reindexed(self.sources)

    def collapse_observations(self, observations: Observations, tolerance: float = TOLERANCE) -> Collapsed:
        """The rows that keep the ratios, over the reduced sources; the others are left out.

        Metrics do not change: a row that keeps the ratios is the same run, under fewer names. This holds
        for every kind of row.

        Raises:
            ConfigError: the observations have a source that is not among the sources.
        """
        if unknown := [name for name in observations.sources if name not in self.sources]:
            raise ConfigError(
                f"the observations have source {unknown[0]!r}; the reduced space is over"
                f" {', '.join(self.sources)}. Carry them over to these sources first"
            )
        shares = np.zeros((len(observations), len(self.sources)))
        shares[:, [self.sources.index(name) for name in observations.sources]] = observations.shares
        reduced, off = self._collapsed(shares)
        exact = off <= tolerance
        exact.setflags(write=False)
        kept = replace(observations.select(exact), sources=self.names, shares=reduced[exact])
        return Collapsed(kept, exact)

    def _collapsed(self, shares: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Reduced shares [R, B] of shares [R, S], and how far [R] each is off the ratios."""
        held = shares[:, [self.sources.index(name) for name in self.existing.names]]
        total = held.sum(axis=1, keepdims=True)
        off = total_variation(held, total * self.existing.shares)
        alone = shares[:, [self.sources.index(name) for name in self.affected]]
        return np.hstack([total, alone]), off

    # Regions

    def region(self, full: Region) -> Region:
        """What is allowed over the reduced sources: a mixture is, exactly when its expansion is.

        Fixed ratios of ``full`` stay: those among affected sources as they are, those with members of
        the virtual source as ratios to it.

        Raises:
            InfeasibleRegion: no such mixture, or ``full`` asks for another ratio of two fixed sources.
            MixtureError: the region is over other sources.
        """
        if set(full.names) != set(self.sources):
            raise MixtureError(
                f"the region is over {', '.join(full.names)};"
                f" the reduced space is over {', '.join(self.sources)}"
            )
        lower = dict(zip(full.names, full.lower.tolist(), strict=True))
        upper = dict(zip(full.names, full.upper.tolist(), strict=True))
        parts = self.existing.as_dict()
        for name, part in parts.items():
            if part == 0.0 and lower[name] > BOUND_TOLERANCE:
                raise InfeasibleRegion(
                    f"source {name} must have at least {lower[name]:.10g}, but {self.name!r} holds it at 0"
                )
        positive = [name for name, part in parts.items() if part > 0.0]
        lowest = max(lower[name] / parts[name] for name in positive)
        highest = min(upper[name] / parts[name] for name in positive)
        region = Region(
            self.names,
            np.array([lowest, *(lower[name] for name in self.affected)]),
            np.array([highest, *(upper[name] for name in self.affected)]),
        )
        tied: dict[str, float] = {}
        for ratio in full.ratios:
            held = {name: parts[name] / weight for name, weight in ratio.items() if name in parts}
            alone = {name: weight for name, weight in ratio.items() if name not in parts}
            if not held:
                region = region.with_ratio(ratio)
                continue
            least, most = min(held.values()), max(held.values())
            if most - least > _RATIO_ROUNDING * most:
                raise InfeasibleRegion(
                    f"sources {', '.join(held)} have another fixed ratio in the region than in {self.name!r};"
                    " give both the same"
                )
            if alone and most == 0.0:
                raise InfeasibleRegion(
                    f"the region ties {', '.join(alone)} to {', '.join(held)}, which {self.name!r} holds at 0"
                )
            tied |= {name: weight * most for name, weight in alone.items()}
        return region.with_ratio({self.name: 1.0, **tied}) if tied else region
