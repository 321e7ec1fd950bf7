"""Question: what is asked of a table of runs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from cuvee.errors import ConfigError
from cuvee.laws.transport_planes import TransportPlanes
from cuvee.mixture.region import Region
from cuvee.runs.formats.direction import Direction
from cuvee.search.objective import Aim

LEVEL = 0.8
LAW = "effective_data"
"""The recommended law, minimised where none is named and no other does clearly better on left-out runs. It is
convex, so that its optimum is certain."""
LAWS_COMPARED = ("linear", "log_linear", "effective_data", "gp_sqrt", "gp_log", "ensemble")
"""Laws that are judged beside it on left-out runs."""
OF_TRANSPORT = "projektor"
"""The law that stands beside them where distances of mixtures are given."""


@dataclass(frozen=True)
class Question:
    """Metrics to lower or raise, and the mixtures that may be chosen.

    Raises:
        ConfigError: numbers out of range, or caps on epochs without token counts.
    """

    weights: dict[str, float] = field(default_factory=dict)
    """Of the metrics in the target, scaled to sum to one; empty: all equally."""
    directions: dict[str, Direction] = field(default_factory=dict)
    """Of every metric that weighs or is guarded; one not named is better when lower."""
    guards: dict[str, float] = field(default_factory=dict)
    """Metric -> by how much it may get worse than at the baseline, in its unit."""
    aim: Aim = "mean"
    baseline: str = ""
    """A run of the table, or ``uniform``, ``proportional`` or ``unimax``; empty: proportional if tokens are
    known, else uniform."""
    minimum: dict[str, float] = field(default_factory=dict)
    """Source -> smallest share."""
    maximum: dict[str, float] = field(default_factory=dict)
    ratios: tuple[dict[str, float], ...] = ()
    """Groups of sources whose shares keep a ratio."""
    tokens: dict[str, int] = field(default_factory=dict)
    """Unique tokens of every source; empty where unknown."""
    target_tokens: float = math.nan
    """Of the run the mixture is for."""
    target_params: float = math.nan
    """Parameters of that run, which laws of several scales are asked at."""
    max_epochs: float = math.nan
    """How often that run may read a source."""
    prior_strength: float = 0.0
    """Pull towards the baseline, in units of the target for each nat of KL."""
    law: str = ""
    """That is minimised; empty: chosen on left-out runs (``flows/fit/law_choice.py``)."""
    level: float = LEVEL
    """Of all intervals."""
    seed: int = 0
    front: tuple[str, ...] = ()
    """Two metrics of which is asked what one costs the other, or none."""
    transport: TransportPlanes | None = None
    """Distances of mixtures from a target; with them the law ``projektor`` stands beside the others."""

    def __post_init__(self) -> None:
        if self.front and (len(self.front) != 2 or self.front[0] == self.front[1]):
            raise ConfigError(
                f"a Pareto front compares two metrics (--pareto twice); given were: {', '.join(self.front)}"
            )
        if not 0.5 <= self.level < 1.0:
            raise ConfigError(f"level {self.level}: use one from 0.5 to below 1, such as 0.8")
        if self.max_epochs <= 0.0:
            raise ConfigError(f"at most {self.max_epochs:g} epochs: a source that is read needs more than 0")
        if math.isfinite(self.max_epochs) and not (self.tokens and math.isfinite(self.target_tokens)):
            raise ConfigError(
                "a cap on epochs needs the tokens of every source and the tokens of the target run"
            )
        for given, what in ((self.target_tokens, "tokens"), (self.target_params, "parameters")):
            if not math.isnan(given) and not 0 < given < math.inf:
                raise ConfigError(f"target {what} {given}: give a positive number")
        if not 0.0 <= self.prior_strength < math.inf:
            raise ConfigError(f"prior {self.prior_strength:g}: a pull towards the baseline is at least 0")
        values = list(self.weights.values())
        if any(not math.isfinite(weight) or weight < 0 for weight in values):
            raise ConfigError(
                "weights of metrics must be finite and at least 0; directions say what is better"
            )
        if values and not sum(values) > 0:
            raise ConfigError("the target has no metric of positive weight")

    @property
    def laws_compared(self) -> tuple[str, ...]:
        """The laws that are judged on left-out runs."""
        return LAWS_COMPARED if self.transport is None else (*LAWS_COMPARED, OF_TRANSPORT)

    @property
    def lowest_mean(self) -> bool:
        """Nothing but the weighted mean of the metrics is to be low."""
        return self.aim == "mean" and self.prior_strength == 0

    def region(self, sources: Sequence[str]) -> Region:
        """The mixtures that may be chosen.

        Raises:
            MixtureError: a source is unknown.
            ConfigError: tokens of some of the sources, or of others.
            InfeasibleRegion: no mixture is allowed.
        """
        self._check_tokens(sources)
        region = Region.bounded(sources, self.minimum, self.maximum)
        if math.isfinite(self.max_epochs):
            region = region.with_epoch_caps(self.tokens, self.target_tokens, self.max_epochs)
        for ratio in self.ratios:
            region = region.with_ratio(ratio)
        return region

    def target(self, metrics: Sequence[str]) -> dict[str, float]:
        """Weight of every metric, in order; they sum to one.

        Raises:
            ConfigError: a metric is not there.
        """
        for name in (*self.weights, *self.guards, *self.front):
            if name not in metrics:
                raise ConfigError(f"no metric {name!r} in the table; there are: {', '.join(metrics)}")
        if not metrics:
            raise ConfigError(
                "the runs have no metric, so nothing can be lowered or raised; give a table with results of "
                "the same runs too (columns m:NAME are metrics)"
            )
        if not self.weights:
            return dict.fromkeys(metrics, 1.0 / len(metrics))
        total = sum(self.weights.values())
        return {name: self.weights.get(name, 0.0) / total for name in metrics}

    def _check_tokens(self, sources: Sequence[str]) -> None:
        """They belong to all sources or to none: caps and baselines compare sources by them."""
        if unknown := [name for name in self.tokens if name not in sources]:
            raise ConfigError(
                f"--tokens names {', '.join(unknown)}, no source of the runs; there are: {', '.join(sources)}"
            )
        if self.tokens and (missing := [name for name in sources if name not in self.tokens]):
            raise ConfigError(
                f"--tokens is missing for {', '.join(missing)}; give it for every source, as in "
                f"--tokens {missing[0]}=COUNT"
            )
