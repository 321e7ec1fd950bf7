"""Capacity allocation: sources compete for the parameters of the model.

    L_e = E_e + sum_i v_ei (c_i x_i^-b_i + A_i (D (w_i + eps_i))^-a_i)

    x minimises sum_i (w_i + eps_i) c_i x_i^-b_i    with sum_i x_i = N

(Dai & Zheng 2026, https://arxiv.org/abs/2606.08167.) The model gives each source the capacity x_i that lowers
its training loss most. A source with more of the tokens gets more, at the cost of the others. All metrics
share c, b, A, a and eps, which are fitted to them jointly; x is solved for in ``allocation.py``.

A metric on held-out text of a source has v = 1 there and zero elsewhere: the paper's law. A second metric of
that source has a factor of its own. A metric of no source is a weighted sum of what is left to learn of all
sources, with factors v >= 0 that are fitted; the paper has no such metrics.

At w = 0 the paper's law diverges: it keeps a floor under x, and leaves sources of small shares out of the
fit. Here each share counts as w + eps, in x and in the data, with 0 < eps <= 1 fitted for each source: what
the other sources teach of it, as a share. The law is finite and smooth everywhere. It is not convex.

Where all runs have the same N or D the law stays there, whatever is asked (``laws/axes.py``).

Priors are weak and normal, those of all but E on logarithms; the variance of the residuals is learnt in turn.
"""

from dataclasses import dataclass, replace

import numpy as np

from cuvee.errors import ConfigError
from cuvee.laws.asked import CheckedQuestions
from cuvee.laws.axes import SPANNED, Axes
from cuvee.laws.capacity_formula import CapacityFormula
from cuvee.laws.formula import Standardised
from cuvee.laws.interface import NO_SOURCE, UNKNOWN_SCALE, LawData, Scale
from cuvee.laws.least_squares import ParameterPrior, Solution, Target, solve
from cuvee.types import FloatArray, Json

EXPONENT, EPS = 0.3, 1e-3
"""Where the priors of b and a, and of eps, have their middle."""

_STARTS = ((0.3, 0.3), (0.1, 0.3), (0.3, 0.8), (0.8, 0.15))  # of b and a
_DEVIATIONS = {"c": 2.0, "b": 0.7, "A": 2.0, "a": 0.7, "eps": 1.5, "E": 3.0, "v": 1.5}
_FIRST_VARIANCE, _LEAST_VARIANCE = 0.03, 1e-10  # of the residuals, as shares of a metric's variance
_START_ROWS = 300  # that starts are compared on
_ROUNDS, _STEPS = 3, 80


@dataclass(frozen=True, eq=False)
class FittedCapacityAllocation(CheckedQuestions):
    """The law with its parameters."""

    sources: tuple[str, ...]
    metrics: tuple[str, ...]
    formula: CapacityFormula
    theta: FloatArray
    """[1, P]."""
    curvature: FloatArray
    """[P, P] of the objective at the parameters."""
    axes: Axes = SPANNED
    """Where it is held, as all runs stand there."""
    law: str = "capacity_allocation"
    convex: bool = False

    def held(self, axes: Axes) -> "FittedCapacityAllocation":
        """See ``Holdable.held``."""
        return replace(self, axes=axes)

    def costs(self, shares: FloatArray, scale: Scale = UNKNOWN_SCALE) -> FloatArray:
        """See ``FittedLaw.costs``."""
        costs: FloatArray = self.formula.values(self.theta, np.atleast_2d(shares), self.axes.held(scale))[0]
        return costs

    def slopes(self, shares: FloatArray, scale: Scale = UNKNOWN_SCALE) -> FloatArray:
        """See ``FittedLaw.slopes``."""
        slopes: FloatArray = self.formula.slopes(self.theta, np.atleast_2d(shares), self.axes.held(scale))[0]
        return slopes

    def uncertainty(self, shares: FloatArray, scale: Scale = UNKNOWN_SCALE) -> FloatArray:
        """See ``FittedLaw.uncertainty``: what the parameters leave open (Laplace's approximation).

        And what it would have moved by, had it not been held.
        """
        shares = np.atleast_2d(shares)
        costs, jacobians = self.formula.jacobian(self.theta, shares, self.axes.held(scale))
        jacobian = jacobians[0]
        solved = np.linalg.solve(self.curvature, jacobian.reshape(-1, len(self.curvature)).T).T
        variance = (jacobian * solved.reshape(jacobian.shape)).sum(axis=2)
        if self.axes.beyond(scale):
            variance += (self.formula.values(self.theta, shares, scale) - costs)[0] ** 2
        result: FloatArray = np.sqrt(np.maximum(variance, 0.0))
        return result

    def as_json(self) -> Json:
        """See ``FittedLaw.as_json``."""
        log_c, log_b, log_A, log_a, log_eps, floors, _ = self.formula.split(self.theta[0])
        b, a = np.exp(log_b), np.exp(log_a)
        factors = self.formula.factors(self.theta)[0]
        return {
            "law": self.law,
            "formula": (
                "E + sum_i v[i] * (c[i] * x[i]**-b[i] + A[i] * (D * (w[i] + eps[i]))**-a[i]); x minimises "
                "sum_i (w[i] + eps[i]) * c[i] * x[i]**-b[i] with sum_i x[i] = N: "
                "x[i] = ((w[i] + eps[i]) * b[i] * c[i] / lambda)**(1 / (1 + b[i]))" + self.axes.in_formula
            ),
            "sources": list(self.sources),
            "c": (np.exp(log_c) * self.formula.params**b).tolist(),
            "b": b.tolist(),
            "A": (np.exp(log_A) * self.formula.tokens**a).tolist(),
            "a": a.tolist(),
            "eps": np.exp(log_eps).tolist(),
            "metrics": {
                name: {
                    "E": float(self.formula.shift[i] + self.formula.spread[i] * floors[i]),
                    "v": factors[i].tolist(),
                }
                for i, name in enumerate(self.metrics)
            },
        }


@dataclass(frozen=True)
class CapacityAllocation:
    """The law, ready to be fitted."""

    name: str = "capacity_allocation"
    paper: str = "https://arxiv.org/abs/2606.08167"
    needs: str = (
        "runs of known parameters and tokens, at several of each; losses on held-out text of the sources, in "
        "one unit; c and b of a source without one are known only by what the others lose to it"
    )
    cost: str = (
        "tenths of a second for 4 sources and 250 rows, 3 seconds for 17 sources, 13 metrics and 500 rows; "
        "20 seconds for 5 sources and 1400 rows of 23 metrics of no source"
    )
    deviations: str = (
        "Shares count as w + eps, eps fitted for each source, in place of a floor under x and of leaving out "
        "small shares; a metric of no source is a sum over the sources with fitted factors; squares in "
        "units of a metric's spread; weak priors and four starts in place of basin-hopping."
    )

    def parameters(self, sources: int) -> int:
        """See ``Law.parameters``: of a metric of no source, if it were alone; all but S + 1 are shared."""
        return 6 * sources + 1

    def fit(self, data: LawData, seed: int = 0) -> FittedCapacityAllocation:
        """See ``Law.fit``; ``seed`` draws the rows on which starts are compared."""
        costs = Standardised.of(data)
        formula = _formula(data, costs)
        prior = _prior(formula, data, costs)
        some = np.sort(np.random.default_rng(seed).permutation(len(data))[:_START_ROWS])
        found = []
        for b, a in _STARTS:
            start = prior.mean.copy()
            _, log_b, _, log_a, *_ = formula.split(start)
            log_b[:], log_a[:] = np.log(b), np.log(a)
            found.append(_solve(formula, data.select(some), prior, start, _FIRST_VARIANCE))
        best = min(found, key=lambda solution: float(solution.objective[0]))
        for _ in range(_ROUNDS):
            missed = (data.costs - formula.values(best.parameters, data.shares, data.scale)[0]) / costs.spread
            variance = max(float(np.nanmean(missed**2)), _LEAST_VARIANCE)
            best = _solve(formula, data, prior, best.parameters, variance)
        return FittedCapacityAllocation(
            data.sources, data.metrics, formula, best.parameters, best.curvature[0], Axes.of(data.scale)
        )


def _formula(data: LawData, costs: Standardised) -> CapacityFormula:
    units = []
    for sizes, what in ((data.scale.params, "parameters"), (data.scale.tokens, "tokens")):
        known = np.broadcast_to(np.asarray(sizes, dtype=np.float64), (len(data),))
        if not (np.isfinite(known).all() and (known > 0).all()):
            raise ConfigError(f"capacity_allocation needs the {what} of every run; some are unknown or zero")
        units.append(float(np.exp(np.log(known).mean())))
    fixed, free = (np.zeros((len(data.metrics), len(data.sources)), dtype=np.bool_) for _ in range(2))
    for index, own in enumerate(data.own.tolist()):
        if not costs.values[index].any():  # it never changes: nothing is left to learn of any source
            continue
        if own == NO_SOURCE:
            free[index] = True
        elif fixed[:, own].any():
            free[index, own] = True
        else:
            fixed[index, own] = True
    return CapacityFormula(units[0], units[1], costs.shift, costs.spread, fixed, free)


def _prior(formula: CapacityFormula, data: LawData, costs: Standardised) -> ParameterPrior:
    """Both terms of a source at equal shares are as large as metrics vary."""
    sources = len(data.sources)
    owned = formula.fixed.any(axis=1)
    size = float(np.log(costs.spread[owned] if owned.any() else costs.spread).mean())
    factor, exponent = size - EXPONENT * np.log(sources), np.log(EXPONENT)
    middle = (costs.values * costs.weights).sum(axis=1) / costs.weights.sum(axis=1)
    metric, _ = np.nonzero(formula.free)
    v = np.log(costs.spread[metric]) - size - np.log(formula.free.sum(axis=1)[metric])
    means = {
        "c": np.full(sources, factor), "b": np.full(sources, exponent), "A": np.full(sources, factor),
        "a": np.full(sources, exponent), "eps": np.full(sources, np.log(EPS)), "E": middle - 2.0, "v": v,
    }  # fmt: skip
    deviations = np.concatenate([np.full(len(mean), _DEVIATIONS[name]) for name, mean in means.items()])
    return ParameterPrior(np.concatenate(list(means.values()))[None], deviations[None] ** -2.0)


def _solve(
    formula: CapacityFormula, data: LawData, prior: ParameterPrior, start: FloatArray, variance: float
) -> Solution:
    def model(theta: FloatArray) -> FloatArray:
        return formula.values(theta, data.shares, data.scale).reshape(len(theta), -1)

    def derived(theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        values, jacobian = formula.jacobian(theta, data.shares, data.scale)
        return values.reshape(len(theta), -1), jacobian.reshape(len(theta), -1, theta.shape[1])

    measured = np.isfinite(data.costs)
    values = np.where(measured, data.costs, 0.0).reshape(1, -1)
    weights = (measured / formula.spread**2).reshape(1, -1)
    most = np.full(start.shape[1], np.inf)
    formula.split(most)[4][:] = 0.0
    return solve(
        model, derived, start, Target(values, weights, np.array([variance])), prior, steps=_STEPS, upper=most
    )
