"""A law that is a formula with parameters, and such a formula fitted.

A paper's law is a ``Formula`` here: names of parameters, values and derivatives. How it is fitted is shared:
``fit_from_starts`` below, as published, or with learnt priors (``laws/hierarchical.py``).

Formulas work on standardised costs z = (y - shift) / scale and are given in the metric's own unit by
``natural``; shift and scale are the metric's smallest cost and its standard deviation among the runs. So the
unit of a metric changes no fit: limits and first steps are parts of its spread.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from cuvee.errors import ConfigError
from cuvee.laws.asked import CheckedQuestions
from cuvee.laws.interface import UNKNOWN_SCALE, LawData, Scale
from cuvee.laws.least_squares import ParameterPrior, Target, solve
from cuvee.types import FloatArray, Json

_ROUNDING = 1e-12  # of the size of a metric: differences below it are those of rounding
_LEAST_FOR_A_LINE = 3
_LEAST_AGREEMENT = 0.2  # so that a metric that two scales disagree on is not turned around


class Formula(Protocol):
    """Costs as a function of shares, scale and parameters. Stateless.

    B problems (metrics, starts, resamples) are evaluated on the same R mixtures [R, S].
    """

    @property
    def law(self) -> str:
        """Name of the law."""
        ...

    @property
    def text(self) -> str:
        """The formula in plain characters, with the names that ``natural`` gives."""
        ...

    @property
    def convex(self) -> bool:
        """Costs are convex in the shares for all parameters within the bounds."""
        ...

    def names(self, sources: int) -> tuple[str, ...]:
        """Names of the parameters [P], as they are fitted."""
        ...

    def values(self, theta: FloatArray, shares: FloatArray, scale: Scale) -> FloatArray:
        """Costs [B, R] under parameters [B, P]."""
        ...

    def jacobian(self, theta: FloatArray, shares: FloatArray, scale: Scale) -> tuple[FloatArray, FloatArray]:
        """Costs [B, R] and their derivatives [B, R, P] in the parameters."""
        ...

    def slopes(self, theta: FloatArray, shares: FloatArray, scale: Scale) -> FloatArray:
        """Derivatives [B, R, S] of the costs in the shares."""
        ...

    def natural(self, theta: FloatArray, shift: float, scale: float, sources: int) -> Json:
        """The parameters [P] of one metric as ``text`` names them, for costs shift + scale * z."""
        ...


@runtime_checkable
class Holding(Protocol):
    """A formula that does not move along every axis of scale (``laws/axes.py``)."""

    def held_back(self, theta: FloatArray, shares: FloatArray, scale: Scale) -> FloatArray:
        """What it would have moved by to a scale [B, R], had it not been held; zeros where nothing is."""
        ...


@dataclass(frozen=True, eq=False)
class FittedFormula(CheckedQuestions):
    """A formula with parameters for every metric."""

    formula: Formula
    sources: tuple[str, ...]
    metrics: tuple[str, ...]
    theta: FloatArray
    """[E, P]."""
    shift: FloatArray
    """[E] of the standardisation."""
    spread: FloatArray
    """[E] of the standardisation."""
    objective: FloatArray
    """[E] what the fit minimised, at its end."""

    @property
    def law(self) -> str:
        """Name of the law."""
        return self.formula.law

    @property
    def convex(self) -> bool:
        """See ``FittedLaw.convex``."""
        return self.formula.convex

    def costs(self, shares: FloatArray, scale: Scale = UNKNOWN_SCALE) -> FloatArray:
        """See ``FittedLaw.costs``."""
        values = self.formula.values(self.theta, np.atleast_2d(shares), scale)
        return (self.shift[:, None] + self.spread[:, None] * values).T

    def slopes(self, shares: FloatArray, scale: Scale = UNKNOWN_SCALE) -> FloatArray:
        """See ``FittedLaw.slopes``."""
        slopes = self.formula.slopes(self.theta, np.atleast_2d(shares), scale)
        return (self.spread[:, None, None] * slopes).transpose(1, 0, 2)

    def uncertainty(self, shares: FloatArray, scale: Scale = UNKNOWN_SCALE) -> FloatArray:
        """See ``FittedLaw.uncertainty``; nothing is known of it but what is held back."""
        return np.abs(self.held_back(np.atleast_2d(shares), scale))

    def held_back(self, shares: FloatArray, scale: Scale) -> FloatArray:
        """What costs [M, E] would have moved by to a scale along axes that no run has moved along."""
        if not isinstance(self.formula, Holding):
            return np.zeros((len(shares), len(self.metrics)))
        return (self.formula.held_back(self.theta, shares, scale) * self.spread[:, None]).T

    def as_json(self) -> Json:
        """See ``FittedLaw.as_json``."""
        return {
            "law": self.law,
            "formula": self.formula.text,
            "sources": list(self.sources),
            "metrics": {
                name: self.formula.natural(
                    self.theta[i], float(self.shift[i]), float(self.spread[i]), len(self.sources)
                )
                for i, name in enumerate(self.metrics)
            },
        }


@dataclass(frozen=True, eq=False)
class Standardised:
    """Standardised costs, with weight zero where a metric was not measured."""

    values: FloatArray
    """[E, R]."""
    weights: FloatArray
    """[E, R], zero or one."""
    shift: FloatArray
    spread: FloatArray

    @classmethod
    def of(cls, data: LawData, shifted: bool = True) -> "Standardised":
        """Standardise each metric; where it may not be shifted, bring its median size to one.

        Raises:
            ConfigError: a metric was never measured.
        """
        measured = np.isfinite(data.costs)
        if not measured.any(axis=0).all():
            name = data.metrics[int(np.argmin(measured.any(axis=0)))]
            raise ConfigError(f"metric {name!r} was measured in none of the {len(data)} runs; leave it out")
        shift, spread = np.nanmin(data.costs, axis=0), np.nanstd(data.costs, axis=0)
        if not shifted:
            shift, spread = np.zeros_like(shift), np.nanmedian(np.abs(data.costs), axis=0)
        # A constant metric has no spread but that of rounding; it stays as constant as it was measured.
        least = _ROUNDING * np.nanmax(np.abs(data.costs), axis=0)
        spread = np.maximum(spread, np.where(least > 0.0, least, 1.0))
        values = np.where(measured, (data.costs - shift) / spread, 0.0)
        return cls(values.T, measured.T.astype(np.float64), shift, spread)

    @classmethod
    def like(
        cls, data: LawData, shift: FloatArray, spread: FloatArray, predicted: FloatArray
    ) -> "Standardised":
        """Standardise so that predictions of another fit, mapped to these runs by a straight line, stay what
        they were: shift and spread [E] are that fit's, ``predicted`` [R, E] what it says of the runs.

        Raises:
            ConfigError: fewer than three runs have a metric.
        """
        measured = np.isfinite(data.costs)
        shifts, spreads = np.empty_like(shift), np.empty_like(spread)
        for index, name in enumerate(data.metrics):
            rows = measured[:, index]
            if rows.sum() < _LEAST_FOR_A_LINE:
                raise ConfigError(
                    f"metric {name!r}: {int(rows.sum())} runs are too few to bring a law to them"
                )
            x, y = predicted[rows, index], data.costs[rows, index]
            agreement = float(np.corrcoef(x, y)[0, 1]) if np.ptp(x) > 0 and np.ptp(y) > 0 else 0.0
            slope = max(agreement, _LEAST_AGREEMENT) * float(y.std() / x.std()) if x.std() > 0 else 1.0
            slope = slope or 1.0
            spreads[index] = slope * spread[index]
            shifts[index] = float(y.mean()) + slope * (shift[index] - float(x.mean()))
        values = np.where(measured, (data.costs - shifts) / spreads, 0.0)
        return cls(values.T, measured.T.astype(np.float64), shifts, spreads)


def fit_from_starts(
    formula: Formula,
    data: LawData,
    starts: FloatArray,
    *,
    huber: float | None = None,
    prior: ParameterPrior | None = None,
    lower: FloatArray | float = -np.inf,
    upper: FloatArray | float = np.inf,
    steps: int = 200,
    shifted: bool = True,
) -> FittedFormula:
    """Least squares, or Huber's, from several starts; for each metric the best end is kept.

    Args:
        formula: the law.
        data: what it is fitted to.
        starts: [E, K, P], K starts for each metric.
        huber: in spreads of a metric, so that its unit changes nothing; none for squares.
        prior: of the parameters [E, P], in squares of a metric's spread; none for none.
        lower: bounds [P] of the parameters.
        upper: see ``lower``.
        steps: of Levenberg-Marquardt.
        shifted: costs may be shifted when they are standardised (formulas that are closed under a
            factor only say no).
    """
    costs = Standardised.of(data, shifted)
    metrics, count, width = starts.shape
    repeated = [np.repeat(part, count, axis=0) for part in (costs.values, costs.weights)]
    limit = None if huber is None else np.full(metrics * count, huber)
    if prior is None:
        prior = ParameterPrior(np.zeros((metrics, width)), np.zeros((metrics, width)))
    solution = solve(
        lambda theta: formula.values(theta, data.shares, data.scale),
        lambda theta: formula.jacobian(theta, data.shares, data.scale),
        starts.reshape(metrics * count, width),
        Target(repeated[0], repeated[1], np.ones(metrics * count), limit),
        ParameterPrior(*(np.repeat(part, count, axis=0) for part in (prior.mean, prior.precision))),
        steps=steps,
        lower=lower,
        upper=upper,
    )
    objective = solution.objective.reshape(metrics, count)
    best = objective.argmin(axis=1)
    theta = solution.parameters.reshape(metrics, count, width)[np.arange(metrics), best]
    return FittedFormula(
        formula, data.sources, data.metrics, theta, costs.shift, costs.spread, objective.min(axis=1)
    )
