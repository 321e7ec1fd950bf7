"""A law that a notebook fitted: predictions with intervals, agreement on runs not seen, the optimum."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from threadpoolctl import threadpool_limits

from cuvee.errors import ConfigError
from cuvee.excerpt import excerpt
from cuvee.laws.at_scale import OF_SCALE
from cuvee.laws.interface import UNKNOWN_SCALE, LawData, Scale
from cuvee.laws.registry import law_named
from cuvee.laws.surrogate import CalibratedLaw, PredictedMetrics
from cuvee.laws.validation import HeldOut, validate
from cuvee.mixture.mixture import Mixture
from cuvee.mixture.region import Region
from cuvee.notebook.law_runs import check_alike, in_words
from cuvee.notebook.shares import Shares, mixtures_of
from cuvee.quantities import number, size
from cuvee.runs.formats.direction import Direction
from cuvee.runs.observations import Observations
from cuvee.search.objective import Objective
from cuvee.search.optimum import Best, minimise
from cuvee.types import FloatArray

LEVEL = 0.8
"""Of intervals, where no other is asked for."""


@dataclass(frozen=True, eq=False)
class Predicted:
    """What a law says of mixtures."""

    mixtures: tuple[Mixture, ...]
    values: PredictedMetrics
    """Means and ends of intervals [M, E] in the units of the metrics."""
    on: str
    """The runs that the law was fitted to, in words."""

    def _repr_html_(self) -> str:
        values, sources = self.values, self.mixtures[0].names
        rows = [
            (
                *(f"{share:.1%}" for share in mixture.shares),
                *(
                    f"{number(mean, 4)} [{number(low, 4)}, {number(high, 4)}]"
                    for mean, low, high in zip(*(part[row].tolist() for part in self._parts), strict=True)
                ),
            )
            for row, mixture in enumerate(self.mixtures)
        ]
        title = f"Predicted, with intervals of {values.level:.0%}"
        return excerpt(title, (f"By a law fitted to {self.on}.",), (*sources, *values.metrics), rows)

    @property
    def _parts(self) -> tuple[FloatArray, ...]:
        return self.values.mean, self.values.low, self.values.high


@dataclass(frozen=True, eq=False, repr=False)
class FittedToRuns:
    """A fitted law with the runs behind it. Made by ``Opened.fit``."""

    law: str
    """Its row in ``docs/registries.md``."""
    runs: Observations
    surrogate: CalibratedLaw
    """The law itself, with calibrated spread."""
    objective: Callable[[], Objective]
    """What its optimum lowers."""
    region: Callable[[], Region]
    """Where its optimum may lie."""

    @classmethod
    def of(
        cls,
        law: str,
        runs: Observations,
        data: LawData,
        objective: Callable[[], Objective],
        region: Callable[[], Region],
        directions: Mapping[str, Direction] | None = None,
    ) -> "FittedToRuns":
        """Fit and cross-validate.

        Raises:
            ConfigError: no such law, too few runs, or runs that are not measurements of one thing.
        """
        row = law_named(law)
        check_alike(runs, several_sizes=law in OF_SCALE)
        with threadpool_limits(limits=1):
            surrogate = CalibratedLaw.of(validate(row, data), data, directions)
        return cls(law, runs, surrogate, objective, region)

    @property
    def on(self) -> str:
        """The runs that it was fitted to: how many, of which kind, role and size."""
        return in_words(self.runs)

    @property
    def held_out(self) -> HeldOut:
        """What fits without a run said of it, for every run."""
        return self.surrogate.held_out

    def predict(
        self, mixtures: Shares | Sequence[Shares], *, scale: Scale = UNKNOWN_SCALE, level: float = LEVEL
    ) -> Predicted:
        """Metrics of mixtures.

        Args:
            mixtures: one or several.
            scale: of the runs that are asked about; laws of several sizes need it.
            level: of the intervals.

        Raises:
            ConfigError: the law needs a scale, or the level is not between 0 and 1.
            MixtureError: shares that are no mixture of the law's sources.
        """
        self._check_scale(scale)
        asked = mixtures_of(mixtures, self.runs.sources)
        return Predicted(asked, self.surrogate.predict(list(asked), scale, level), self.on)

    def optimum(self, scale: Scale = UNKNOWN_SCALE) -> Best:
        """The mixture of the region that it predicts to be best.

        Raises:
            ConfigError: the law needs a scale.
            InfeasibleRegion: no mixture is allowed.
        """
        self._check_scale(scale)
        objective = replace(self.objective(), scale=scale)
        with threadpool_limits(limits=1):
            return minimise(objective, self.surrogate.fitted, self.region())

    def __repr__(self) -> str:
        return f"FittedToRuns({self.law!r}, fitted to {self.on})"

    def _check_scale(self, scale: Scale) -> None:
        given = [("parameters", scale.params, self.runs.params), ("tokens", scale.tokens, self.runs.tokens)]
        for word, asked, runs in given:
            self._check_size(word, np.asarray(asked, dtype=np.float64), runs)
        if self.law in OF_SCALE and (np.isnan(scale.params).any() or np.isnan(scale.tokens).any()):
            raise ConfigError(
                f"the law {self.law} predicts at a size; say which, as in scale=Scale(1e9, 20e9): parameters "
                "and tokens (cuvee.laws.Scale)"
            )

    def _check_size(self, word: str, asked: FloatArray, runs: FloatArray) -> None:
        """A size that the law can say something of."""
        if np.isnan(asked).all():
            return
        if not (np.isfinite(asked) & (asked > 0)).all():
            raise ConfigError(f"scale: {word} must be positive numbers")
        if self.law not in OF_SCALE:
            raise ConfigError(
                f"the law {self.law} knows no sizes: it speaks of runs of the size of its own; leave `scale` "
                f"out, or fit one of {', '.join(sorted(OF_SCALE))}"
            )
        there = np.unique(runs[np.isfinite(runs)])
        if len(there) == 1 and not np.allclose(asked, there[0], rtol=1e-6):
            own, named = size(float(there[0])), size(float(asked.max()))
            raise ConfigError(f"all runs have {own} {word}: they say nothing of {named}")

    def _repr_html_(self) -> str:
        agreement = zip(self.held_out.spearman(), self.held_out.mean_absolute_error(), strict=True)
        rows = [
            (name, number(float(rank), 2), number(float(error), 4))
            for name, (rank, error) in zip(self.surrogate.data.metrics, agreement, strict=True)
        ]
        head = ("metric", "rank correlation, runs not seen", "mean absolute error, runs not seen")
        return excerpt(f"Law {self.law}", (f"Fitted to {self.on}.",), head, rows)
