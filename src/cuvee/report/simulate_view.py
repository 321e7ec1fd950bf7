"""``SimulateView``: what the page of a simulation shows, before any rendering."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from cuvee.decisions.simulate.decision import (
    ADAPTIVE,
    SIMPLE,
    Adaptivity,
    CurvePoint,
    MethodRow,
    Simulation,
)
from cuvee.precision import Precision
from cuvee.report.badge import Badge
from cuvee.report.wording import Words

_COLOURS = ("accent", "cool", "warm", "good", "care", "ink")
_DASHES = ("none", "6 3", "2 3")
"""With a new one for every round through the colours."""


@dataclass(frozen=True)
class Course:
    """One method's line in the chart."""

    method: str
    style: str
    """CSS of the stroke."""
    fill: str
    """CSS of the band."""
    points: tuple[CurvePoint, ...]


@dataclass(frozen=True)
class Chart:
    """The best so far against what was spent."""

    courses: tuple[Course, ...]
    budget: float
    flops: float
    """Of one run at the target; NaN where unknown."""


@dataclass(frozen=True)
class SimulateView:
    """A simulation, ordered for reading. Made by ``of``."""

    decision: Simulation
    badge: Badge
    rows: tuple[MethodRow, ...]
    """The method that gets there for least first."""
    chart: Chart
    seconds: Mapping[str, float] = field(default_factory=dict)
    """Method -> seconds for each experiment; empty where they are not known."""

    @classmethod
    def of(cls, simulation: Simulation, seconds: Mapping[str, float] | None = None) -> Self:
        """Order a simulation; ``seconds`` of an experiment of each method are shown where they are given."""
        rows = simulation.ranked
        courses = tuple(
            Course(
                row.name,
                f"stroke:var(--{_COLOURS[place % len(_COLOURS)]});"
                f"stroke-dasharray:{_DASHES[place // len(_COLOURS) % len(_DASHES)]}",
                f"fill:var(--{_COLOURS[place % len(_COLOURS)]})",
                row.curve,
            )
            for place, row in enumerate(rows)
        )
        chart = Chart(courses, simulation.budget, simulation.target_fidelity.flops)
        return cls(simulation, _badge(simulation), rows, chart, seconds or {})

    @property
    def words(self) -> Words:
        """Of the target."""
        return Words(Precision.of((self.decision.optimum, self.decision.median)))

    def searches(self, part: float) -> str:
        """A part of the plays of a method, as their number."""
        return f"{round(part * self.decision.seeds)} of {self.decision.seeds}"


def _badge(simulation: Simulation) -> Badge:
    chances = "; ".join(
        f"{ADAPTIVE} came within {one.gap:.0%} for less than {SIMPLE} in {one.chance:.0%} of all pairs of "
        f"searches ({_probability(one.p_value)})"
        for one in simulation.comparisons
    )
    badges: dict[Adaptivity, Badge] = {
        "pays": Badge("believed", "Adaptivity pays here", f"{chances}."),
        "costs": Badge("not-believed", "The simple strategy does better here", f"{chances}."),
        "not clear": Badge("untested", "Adaptive or simple: no clear difference here", f"{chances}."),
        "not compared": Badge(
            "untested",
            "Adaptivity was not judged",
            f"That takes both {ADAPTIVE} and {SIMPLE}; they were not both played.",
        ),
    }
    return badges[simulation.verdict]


def _probability(p_value: float) -> str:
    if math.isnan(p_value) or p_value >= 0.995:
        return "no difference"
    return f"p = {p_value:.2f}" if p_value >= 0.01 else "p < 0.01"
