"""A fitted law with calibrated spread, in the units of the metrics.

This is what the rest of the house asks: "what would this mixture do, and how sure is that?"
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from cuvee.errors import ConfigError
from cuvee.laws.asked import checked
from cuvee.laws.interface import UNKNOWN_SCALE, Asked, FittedLaw, LawData, Scale, signs
from cuvee.laws.rivals import NO_RIVALS, RivalLaws
from cuvee.laws.spread import Spread
from cuvee.laws.validation import HeldOut, Validated
from cuvee.runs.formats.direction import Direction
from cuvee.types import FloatArray, Json

SCHEMA = 1


@dataclass(frozen=True, eq=False)
class PredictedMetrics:
    """Metrics of mixtures [M, E] with central intervals, in the metrics' own units."""

    metrics: tuple[str, ...]
    mean: FloatArray
    low: FloatArray
    high: FloatArray
    deviation: FloatArray
    """Calibrated standard deviation of one run."""
    level: float


@dataclass(frozen=True, eq=False)
class CalibratedLaw:
    """What stands for training."""

    fitted: FittedLaw
    held_out: HeldOut
    spread: Spread
    data: LawData
    sign: FloatArray
    """[E]: 1 where lower is better, -1 where higher is."""
    rivals: RivalLaws = NO_RIVALS
    """Whose distance from the law widens its intervals."""

    @classmethod
    def of(
        cls,
        validated: Validated,
        data: LawData,
        directions: Mapping[str, Direction] | None = None,
        rivals: RivalLaws = NO_RIVALS,
    ) -> "CalibratedLaw":
        """A validated law with intervals; ``directions`` as given to ``LawData.of``."""
        sign = np.array([signs((directions or {}).get(name, "lower")) for name in data.metrics])
        return cls(validated.fitted, validated.held_out, Spread.of(validated.held_out), data, sign, rivals)

    def predict(self, mixtures: Asked, scale: Scale = UNKNOWN_SCALE, level: float = 0.8) -> PredictedMetrics:
        """Metrics of mixtures with central intervals of ``level``.

        Raises:
            ConfigError: the level is not between 0 and 1.
            MixtureError: see ``FittedLaw.predict``.
        """
        if not 0.0 < level < 1.0:
            raise ConfigError(f"level {level}: intervals need one between 0 and 1")
        shares, scale = checked(mixtures, scale, self.data.sources)
        mean = self.fitted.costs(shares, scale) * self.sign
        apart = self.rivals.apart(self.fitted, shares, np.eye(len(self.sign)), scale)
        deviation = np.hypot(self.spread.deviation(self.fitted.uncertainty(shares, scale)), apart)
        half = self.spread.quantile(level) * deviation
        return PredictedMetrics(self.data.metrics, mean, mean - half, mean + half, deviation, level)

    def as_json(self) -> Json:
        """Formula, parameters and spread: enough to predict without cuvee."""
        return {
            "schema": SCHEMA,
            **self.fitted.as_json(),
            "predicts": {
                name: "the formula" if sign > 0 else "minus the formula"
                for name, sign in zip(self.data.metrics, self.sign, strict=True)
            },
            "spread": {
                name: {"floor": float(floor), "factor": float(factor)}
                for name, floor, factor in zip(
                    self.data.metrics, self.spread.floor, self.spread.factor, strict=True
                )
            },
            **self._rivals(),
            "quantiles": {str(level): self.spread.quantile(level) for level in (0.5, 0.8, 0.9, 0.95)},
            "held_out": {
                "runs": len(self.data),
                # A metric that never changes has no ranks.
                "spearman": self._by_metric(self.held_out.spearman()),
                "mean_absolute_error": self._by_metric(self.held_out.mean_absolute_error()),
            },
        }

    def _rivals(self) -> Json:
        """Their root mean squared distance from the formula, by weight, adds to floor and factor."""
        pairs = zip(self.rivals.weights, self.rivals.laws, strict=True)
        found = [{"weight": weight, **law.as_json()} for weight, law in pairs]
        return {"rivals": found} if found else {}

    def _by_metric(self, values: FloatArray) -> dict[str, float | None]:
        """None for NaN, of which JSON has no word."""
        known = [None if math.isnan(value) else value for value in values.tolist()]
        return dict(zip(self.data.metrics, known, strict=True))
