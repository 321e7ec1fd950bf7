"""A law of several scales, asked at one."""

from dataclasses import dataclass

from cuvee.laws.asked import CheckedQuestions
from cuvee.laws.interface import UNKNOWN_SCALE, FittedLaw, Scale
from cuvee.types import FloatArray, Json

OF_SCALE = (
    "additive_scaling",
    "joint_scaling",
    "nested",
    "capacity_allocation",
    "effective_data_scaling",
)
"""Laws that predict nothing without parameters and tokens, and are fitted to runs of several of each."""


@dataclass(frozen=True, eq=False)
class AtScale(CheckedQuestions):
    """The law, with a scale for whoever names none."""

    fitted: FittedLaw
    scale: Scale

    @property
    def law(self) -> str:
        """Name of the law."""
        return self.fitted.law

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the sources."""
        return self.fitted.sources

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics."""
        return self.fitted.metrics

    @property
    def convex(self) -> bool:
        """See ``FittedLaw.convex``."""
        return self.fitted.convex

    def costs(self, shares: FloatArray, scale: Scale = UNKNOWN_SCALE) -> FloatArray:
        """See ``FittedLaw.costs``."""
        return self.fitted.costs(shares, self._asked(scale))

    def slopes(self, shares: FloatArray, scale: Scale = UNKNOWN_SCALE) -> FloatArray:
        """See ``FittedLaw.slopes``."""
        return self.fitted.slopes(shares, self._asked(scale))

    def uncertainty(self, shares: FloatArray, scale: Scale = UNKNOWN_SCALE) -> FloatArray:
        """See ``FittedLaw.uncertainty``."""
        return self.fitted.uncertainty(shares, self._asked(scale))

    def as_json(self) -> Json:
        """See ``FittedLaw.as_json``."""
        return self.fitted.as_json()

    def _asked(self, scale: Scale) -> Scale:
        return scale if scale.known else self.scale
