"""What a ladder has measured before it concludes."""

from dataclasses import dataclass

from cuvee.decisions.interval import Interval
from cuvee.mixture.mixture import Mixture
from cuvee.mixture.region import Region
from cuvee.study.laboratory import Planned
from cuvee.study.scale.ladder import Ladder, Rung, ScaledRun
from cuvee.study.scale.law import ScaleLaw
from cuvee.study.scale.optima import Optima, RungLosses


@dataclass(frozen=True, eq=False)
class CheckRuns:
    """The mixtures trained above the rungs."""

    rung: Rung
    mixtures: dict[str, Mixture]
    """By the method that found them; two methods may have found the same."""
    trainings: tuple[ScaledRun, ...]
    planned: tuple[Planned, ...]
    """Of every training."""
    foretold: dict[str, Interval]
    """Target losses, told before they were measured."""

    def of(self, name: str) -> list[int]:
        """The trainings of a mixture, by seed."""
        key = self.mixtures[name].key
        return [i for i, one in enumerate(self.trainings) if one.mixture.key == key]


@dataclass(frozen=True, eq=False)
class ScaleFindings:
    """Everything a decision across scales is made from."""

    ladder: Ladder
    region: Region
    available: dict[str, int]
    """Tokens of each source at the target run."""
    rungs: tuple[RungLosses, ...]
    planned: tuple[tuple[Planned, ...], ...]
    """Of every run of every rung."""
    optima: Optima
    law: ScaleLaw
    """Of the runs of the rungs alone."""
    checks: CheckRuns | None
