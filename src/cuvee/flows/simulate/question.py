"""Simulation question: which methods are played, against what, how often and how long."""

import math
from dataclasses import dataclass, field

from cuvee.errors import ConfigError
from cuvee.laws.registry import law_named
from cuvee.runs.formats.direction import Direction
from cuvee.search.methods.registry import method_named

METHODS = ("cost_aware", "transfer", "law_optimum_effective_data", "expected_improvement", "random")
"""Methods that are compared where none is named: ours, and cheap ones beside it."""


@dataclass(frozen=True)
class SimulationQuestion:
    """What is asked of a table of runs.

    Raises:
        ConfigError: an unknown method or law (the message names all), a method twice, a number out of range.
    """

    weights: dict[str, float] = field(default_factory=dict)
    """Of the metrics in the target; empty: all equally. Methods see no metric without weight."""
    directions: dict[str, Direction] = field(default_factory=dict)
    """Of the metrics; one not named is better when lower."""
    methods: tuple[str, ...] = METHODS
    seeds: int = 20
    """Trajectories of each method."""
    budget: float = 20.0
    """Of a trajectory, in runs at the target fidelity."""
    batch: int = 1
    """Experiments asked for at once."""
    target_fidelity: str = ""
    """PARAMS/TOKENS of the runs at which the best mixture is wanted; empty: those of the highest price."""
    law: str = ""
    """Fitted to the runs and taken for the truth; empty: only what was run can be asked."""
    noise: float = math.nan
    """Standard deviation of a run around the law, in the unit of the metrics; NaN: its held-out error."""

    def __post_init__(self) -> None:
        for name in self.methods:
            method_named(name)
        if not self.methods:
            raise ConfigError("no method to trajectory; name at least one")
        if twice := [name for name in self.methods if self.methods.count(name) > 1]:
            raise ConfigError(f"method {twice[0]!r} is named twice")
        if self.law:
            law_named(self.law)
        for name in ("seeds", "batch"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} {getattr(self, name)}: give at least 1")
        if not (math.isfinite(self.budget) and self.budget >= 1.0):
            raise ConfigError(
                f"budget {self.budget:g}: give at least 1 run at the target, or none is ever made"
            )
        if not math.isnan(self.noise):
            if not self.law:
                raise ConfigError("noise is added to a law; runs that were made have their own: name a law")
            if not (math.isfinite(self.noise) and self.noise >= 0):
                raise ConfigError(f"noise {self.noise}: give a number of at least 0")
