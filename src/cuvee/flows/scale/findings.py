"""What a ladder has measured before it concludes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cuvee.decisions.interval import Interval
from cuvee.flows.scale.ladder import Ladder, Rung, ScaledRun
from cuvee.flows.scale.law import ScaleLaw
from cuvee.flows.scale.optima import Optima, RungLosses
from cuvee.mixture.mixture import Mixture
from cuvee.mixture.region import Region
from cuvee.runs.observations import Observations
from cuvee.study.plan.planned import Planned

FOUND = "training the mixtures found"
"""The stage of the trainings above the rungs."""


@dataclass(frozen=True, eq=False)
class CheckRuns:
    """The mixtures trained above the rungs."""

    rung: Rung
    mixtures: dict[str, Mixture]
    """By the method that found them; two methods may have found the same."""
    trainings: tuple[ScaledRun, ...]
    planned: tuple[Planned, ...]
    """Of every training."""
    observed: Observations
    """A row for every training."""
    predicted: dict[str, Interval]
    """Target losses, predicted before they were measured."""

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
    observed: Observations
    """A row for every run, rung by rung."""
    optima: Optima
    law: ScaleLaw
    """Of the runs of the rungs alone."""
    checks: CheckRuns | None


def by_rung(observed: Observations, planned: Sequence[Sequence[Planned]]) -> list[Observations]:
    """The rows of each rung."""
    ends = np.cumsum([len(of_rung) for of_rung in planned])
    return [observed.select(rows) for rows in np.split(np.arange(len(observed)), ends[:-1])]
