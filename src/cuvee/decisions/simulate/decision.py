"""What is concluded from a simulation: the value objects of ``simulation.json``.

Conventions of every object in this file:

- Costs are in runs at the target fidelity, every experiment charged.
- A *gap* is the distance of a mixture's true target from the lowest there is, in units of the distance of the
  median mixture: 0 is the best mixture, 1 the median one. The target is lower for better mixtures.
- Infinity, for a cost or a gap, means that a trajectory never got there; it is written as "inf". NaN means
  "not known" and is written as ``null``.
- Times are left out: the same runs, question and version give the same bytes.
"""

from dataclasses import dataclass, replace
from typing import ClassVar, Literal, Self

from cuvee.decisions.document import JsonDocument, decode, renamed, rows_renamed
from cuvee.decisions.provenance import Origin
from cuvee.types import Json

ADAPTIVE, SIMPLE = "cost_aware", "transfer"
"""The methods whose comparison says whether adaptivity pays."""

Adaptivity = Literal["pays", "costs", "not clear", "not compared"]
"""Whether the adaptive method gets there for less than the simple one, for more, or neither beyond chance."""


@dataclass(frozen=True)
class SimulatedFidelity:
    """One way of measuring a mixture."""

    name: str
    """``PARAMS/TOKENS``, as ``--target-fidelity`` takes it."""
    kind: str
    parameters: float
    tokens: float
    flops: float
    """Of one experiment."""
    price: float
    """Of one experiment, in runs at the target."""
    mixtures: int
    """Different ones that were run."""
    common: int
    """Mixtures that can be had here and at the target."""
    rank: float
    """Spearman's correlation of the target over them, here and at the target."""
    is_target: bool = False


@dataclass(frozen=True)
class CostToReach:
    """What it costs until a completed run at the target is good enough."""

    gap: float
    """That is good enough."""
    median: float
    """Half of the trajectories get there for this or less."""
    high: float
    """Nine of ten."""
    failures: float
    """Part of the trajectories that do not get there within the budget."""


@dataclass(frozen=True)
class RegretAt:
    """How far the recommended mixture is from the best, if the budget ended here."""

    budget: float
    median: float
    """Gap."""


@dataclass(frozen=True)
class CurvePoint:
    """The best completed run at the target so far."""

    spent: float
    median: float
    """Gap."""
    low: float
    """A tenth of the trajectories is at this gap or below."""
    high: float
    """Nine tenths."""


@dataclass(frozen=True)
class MethodRow:
    """What a method did."""

    name: str
    needs: str
    """In words."""
    experiments: float
    """Of a trajectory, median."""
    reach: tuple[CostToReach, ...]
    regret: tuple[RegretAt, ...]
    curve: tuple[CurvePoint, ...]


@dataclass(frozen=True)
class MethodComparison:
    """The adaptive method beside the simple one, for one gap."""

    gap: float
    adaptive: float
    """Median cost."""
    simple: float
    chance: float
    """That a trajectory of the adaptive method costs less than one of the simple one; ties count half."""
    p_value: float
    """Of the Mann-Whitney test that both cost the same."""


@dataclass(frozen=True, eq=False)
class Simulation(JsonDocument):
    """What methods of search do on a table of runs. Two are equal when their JSON is."""

    by: ClassVar[str] = "simulation"
    schema: ClassVar[int] = 2

    table: str
    created_from: Origin
    headline: tuple[str, ...]
    runs: int
    target: dict[str, float]
    """Metric -> weight."""
    law: str
    """Taken for the truth; empty where only what was run can be asked."""
    noise: dict[str, float]
    """Metric -> standard deviation of a run around the law; empty without one."""
    fidelities: tuple[SimulatedFidelity, ...]
    """From the cheapest to the most expensive."""
    seeds: int
    budget: float
    batch: int
    optimum: float
    """Lowest target of the mixtures that can be had, without noise."""
    median: float
    methods: tuple[MethodRow, ...]
    verdict: Adaptivity
    comparisons: tuple[MethodComparison, ...]
    notes: tuple[str, ...] = ()

    @property
    def target_fidelity(self) -> SimulatedFidelity:
        """The fidelity at which the best mixture is wanted."""
        return next(one for one in self.fidelities if one.is_target)

    @property
    def cheapest(self) -> SimulatedFidelity:
        """The fidelity of the lowest price."""
        return self.fidelities[0]

    @property
    def ranked(self) -> tuple[MethodRow, ...]:
        """The methods, cheapest first: by the hardest gap, then slow trajectories, then the last regret."""
        return tuple(sorted(self.methods, key=_cost))

    def method(self, name: str) -> MethodRow:
        """The row of that name.

        Raises:
            KeyError: it was not compared.
        """
        for row in self.methods:
            if row.name == name:
                return row
        raise KeyError(name)

    @classmethod
    def from_older(cls, schema: int, body: Json) -> Self | None:
        """Schema 1 had other keys, and another word where adaptivity makes no clear difference."""
        body = renamed(body, {"levels": "fidelities"})
        if body.get("verdict") == "not told":
            body["verdict"] = "not clear"
        return decode(cls, rows_renamed(body, "fidelities", {"params": "parameters"}), cls.by)

    def with_headline(self, headline: tuple[str, ...]) -> Self:
        """The same simulation under other first lines."""
        return replace(self, headline=headline)


def _cost(row: MethodRow) -> tuple[float, ...]:
    costs = [number for reach in reversed(row.reach) for number in (reach.median, reach.high)]
    return (*costs, row.regret[-1].median)
