"""Formulas fitted with priors that are learnt from all metrics together.

Each parameter belongs to a ``Group`` whose prior is normal. Groups of one parameter a source can have a level
of their own for each metric, and a shift for the metric's own source. Means and variances are set by
expectation-maximisation on the Laplace approximation of the posterior (empirical Bayes; MacKay 1992): the
parameters are fitted under the priors, then each prior is moved to what its parameters turned out to be,
their remaining uncertainty included. The variance of the residuals is learnt for each metric. With few
runs parameters stay near the mean of their group, with many they are free; no penalty is set by hand.

Resamples of the runs are fitted under priors learnt once (``HierarchicalFit.resampled``).
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from cuvee.errors import ConfigError
from cuvee.laws.formula import FittedFormula, Formula, Standardised
from cuvee.laws.interface import NO_SOURCE, UNKNOWN_SCALE, LawData, Scale
from cuvee.laws.least_squares import ParameterPrior, Solution, Target, problems_at_once, solve
from cuvee.types import BoolArray, FloatArray, IntArray

ROUNDS = 12
_NEAR_ROUNDS = 5
_FIRST_STEPS, _LATER_STEPS, _LAST_STEPS = 40, 10, 60
_MUCH, VERY_MUCH = 2e8, 1e10
"""Multiplications of a step beyond which steps are spared, and beyond which more are."""
_RUNS_A_PARAMETER = 4  # with which a fit to very many begins
_STEADY = 0.02  # largest change of a log variance at which the rounds end
_RESIDUAL_FREEDOM = 1.0
_TRANSFER_FREEDOM = 4.0
_RESIDUAL_SHARE = 0.02  # plausible variance of residuals as a share of the metric's variance


@dataclass(frozen=True)
class Group:
    """Parameters of one meaning, and what is known of them before any run."""

    name: str
    columns: slice
    """Where they stand among the parameters: one, or one a source."""
    mean: float
    deviation: float
    """Standard deviation of the first prior."""
    freedom: float
    """Strength of the prior on their variance, in parameters."""
    own_mean: float | None = None
    """Mean for the metric's own source; none where owning makes no difference."""
    level: Literal["metric", "all", "fixed"] = "all"
    """Whose mean is learnt: one for each metric, one for all, or none."""
    settled: float | None = None
    """Standard deviation towards which the learnt variance is drawn; default ``deviation``."""


@dataclass(frozen=True, eq=False)
class HierarchicalFit(FittedFormula):
    """A fitted formula that can be refitted to resampled runs, and knows its own uncertainty."""

    prior: ParameterPrior
    variance: FloatArray
    """[E] of the residuals, standardised."""
    curvature: FloatArray
    """[E, P, P] of the objective at the parameters, standardised costs."""

    def uncertainty(self, shares: FloatArray, scale: Scale = UNKNOWN_SCALE) -> FloatArray:
        """See ``FittedLaw.uncertainty``: what the parameters leave open (Laplace's approximation).

        And what is held back, as no run says whether the law would have moved rightly.
        """
        shares = np.atleast_2d(shares)
        variance = np.empty((len(self.metrics), len(shares)))
        for some in _some(len(self.metrics), len(shares), self.theta.shape[1]):
            _, jacobian = self.formula.jacobian(self.theta[some], shares, scale)
            solved = np.linalg.solve(self.curvature[some], jacobian.transpose(0, 2, 1))
            variance[some] = np.einsum("emp,epm->em", jacobian, solved)
        own: FloatArray = (np.sqrt(np.maximum(variance, 0.0)) * self.spread[:, None]).T
        result: FloatArray = np.hypot(own, self.held_back(shares, scale))
        return result

    def resampled(self, data: LawData, counts: FloatArray, steps: int = 8) -> FloatArray:
        """Parameters [K, E, P] for K resamples of the runs, given as how often each was drawn [K, R].

        Priors, standardisation and variances stay. Cost: ``steps`` steps on K E problems.
        """
        measured = np.isfinite(data.costs)
        values = np.where(measured, (data.costs - self.shift) / self.spread, 0.0).T
        near = _Effort.of(data, self.theta.shape[1])
        found = []
        for count in counts:  # one resample a batch: it stays in cache, and memory does not grow with K
            solution = solve(
                lambda theta: self.formula.values(theta, data.shares, data.scale),
                lambda theta: self.formula.jacobian(theta, data.shares, data.scale),
                self.theta,
                Target(values, measured.T * count, self.variance),
                self.prior,
                steps=min(steps, near.resampled),
                tolerance=1e-4,
            )
            found.append(solution.parameters)
        return np.stack(found)

    def loosened(self, drawn: FloatArray, sources: IntArray, rng: np.random.Generator) -> FloatArray:
        """Parameters [K, E, P] with those of some sources moved as far as the posterior leaves them open.

        For sources that stand in so few runs that drawing runs again says nothing of them.
        """
        names = self.formula.names(len(self.sources))
        columns = [i for i, name in enumerate(names) if any(name.endswith(f"[{s}]") for s in sources)]
        if not columns:
            return drawn
        covariance = np.linalg.inv(self.curvature)[:, columns][:, :, columns]
        factor = np.linalg.cholesky(covariance)
        result = drawn.copy()
        result[:, :, columns] += np.einsum(
            "epq,keq->kep", factor, rng.normal(size=(*drawn.shape[:2], len(columns)))
        )
        return result

    def with_parameters(self, theta: FloatArray) -> "HierarchicalFit":
        """The same law with other parameters [E, P]."""
        return replace(self, theta=theta)


def fit_hierarchically(
    formula: Formula, data: LawData, groups: tuple[Group, ...], near: HierarchicalFit | None = None
) -> HierarchicalFit:
    """Fit parameters and priors in turn. Deterministic.

    Args:
        formula: the law.
        data: what it is fitted to.
        groups: cover all parameters of the formula.
        near: a fit to begin with.
    """
    costs = Standardised.of(data)
    if near is None and (rows := _some_runs(data, len(formula.names(len(data.sources))))) is not None:
        near = fit_hierarchically(formula, data.select(rows), groups)
    own = np.zeros((len(data.metrics), len(data.sources)), dtype=np.bool_)
    owned = np.flatnonzero(data.own != NO_SOURCE)
    own[owned, data.own[owned]] = True
    width = len(formula.names(len(data.sources)))
    mean, variance = _first_prior(groups, own, width)
    residual = np.full(len(data.metrics), 0.05)
    effort = _Effort.of(data, width)
    theta, steps = mean.copy(), _FIRST_STEPS
    if near is not None:
        mean, variance, residual = near.prior.mean, 1.0 / near.prior.precision, near.variance
        theta, steps = near.theta, effort.later
    for _ in range(ROUNDS if near is None else effort.rounds):
        prior = ParameterPrior(mean, 1.0 / variance)
        solution = _solve(formula, data, costs, theta, residual, prior, steps, 1e-5)
        theta, steps = solution.parameters, effort.later
        left = np.diagonal(np.linalg.inv(solution.curvature), axis1=1, axis2=2)
        before = variance
        residual = _residual_variance(formula, data, costs, solution, residual)
        mean, variance = _next_prior(groups, own, theta, left)
        if np.abs(np.log(variance / before)).max() < _STEADY:
            break
    prior = ParameterPrior(mean, 1.0 / variance)
    solution = _solve(formula, data, costs, theta, residual, prior, effort.last, effort.tolerance)
    return HierarchicalFit(
        formula, data.sources, data.metrics, solution.parameters, costs.shift, costs.spread,
        solution.objective, prior, residual, solution.curvature,
    )  # fmt: skip


def transferred(
    base: HierarchicalFit, data: LawData, groups: tuple[Group, ...], deviation: float = 0.3
) -> HierarchicalFit:
    """Fit the law of ``base`` to few runs of another scale, with priors around its parameters.

    It begins as ``base`` with each metric mapped to the level of the new runs by a straight line; from there
    parameters move as far as the new runs say. How far they may is learnt for each group over all metrics.

    Args:
        base: a fit to many runs at the scale where they are cheap.
        data: the runs at the other scale, of the same sources and metrics.
        groups: those of the law.
        deviation: of a parameter around that of ``base``, a priori.

    Raises:
        ConfigError: other sources or metrics than those of ``base``, or fewer than three runs of a metric.
    """
    if (base.sources, base.metrics) != (data.sources, data.metrics):
        raise ConfigError("a law is transferred to runs of the same sources and metrics, in the same order")
    predicted = base.costs(data.shares, data.scale)
    costs = Standardised.like(data, base.shift, base.spread, predicted)
    theta, residual = base.theta, np.full(len(data.metrics), 0.02)
    variance = np.full_like(theta, deviation**2)
    for _ in range(ROUNDS):
        prior = ParameterPrior(base.theta, 1.0 / variance)
        solution = _solve(base.formula, data, costs, theta, residual, prior, _FIRST_STEPS, 1e-6)
        theta = solution.parameters
        left = np.diagonal(np.linalg.inv(solution.curvature), axis1=1, axis2=2)
        residual = _residual_variance(base.formula, data, costs, solution, residual)
        variance = np.empty_like(theta)
        for group in groups:
            moved = ((theta - base.theta) ** 2 + left)[:, group.columns]
            learnt = (moved.sum() + _TRANSFER_FREEDOM * deviation**2) / (moved.size + _TRANSFER_FREEDOM)
            variance[:, group.columns] = learnt
    prior = ParameterPrior(base.theta, 1.0 / variance)
    solution = _solve(base.formula, data, costs, theta, residual, prior, _LAST_STEPS, 1e-9)
    return HierarchicalFit(
        base.formula, data.sources, data.metrics, solution.parameters, costs.shift, costs.spread,
        solution.objective, prior, residual, solution.curvature,
    )  # fmt: skip


def _solve(
    formula: Formula, data: LawData, costs: Standardised, theta: FloatArray, residual: FloatArray,
    prior: ParameterPrior, steps: int, tolerance: float,
) -> Solution:  # fmt: skip
    return solve(
        lambda x: formula.values(x, data.shares, data.scale),
        lambda x: formula.jacobian(x, data.shares, data.scale),
        theta,
        Target(costs.values, costs.weights, residual),
        prior,
        steps=steps,
        tolerance=tolerance,
    )


def _first_prior(groups: tuple[Group, ...], own: BoolArray, width: int) -> tuple[FloatArray, FloatArray]:
    mean, variance = np.zeros((len(own), width)), np.ones((len(own), width))
    for group in groups:
        mean[:, group.columns] = group.mean
        if group.own_mean is not None:
            mean[:, group.columns] = np.where(own, group.own_mean, group.mean)
        variance[:, group.columns] = group.deviation**2
    return mean, variance


def _next_prior(
    groups: tuple[Group, ...], own: BoolArray, theta: FloatArray, left: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Means and variances that the fitted parameters and what is ``left`` uncertain of them suggest."""
    mean, variance = np.empty_like(theta), np.empty_like(theta)
    for group in groups:
        values, uncertain = theta[:, group.columns], left[:, group.columns]
        mine = (
            own if values.shape[1] == own.shape[1] and own.shape[1] > 1 else np.zeros_like(values, np.bool_)
        )
        others = ~mine
        centre = np.full_like(values, group.mean)
        if group.level == "metric":
            counts = np.maximum(others.sum(axis=1), 1)
            centre[:] = ((values * others).sum(axis=1) / counts)[:, None]
        elif group.level == "all":
            centre[:] = values[others].mean()
        if group.own_mean is not None and mine.any():
            centre += mine * (values - centre)[mine].mean()
        squares = (values - centre) ** 2 + uncertain
        settled = (group.settled or group.deviation) ** 2
        for part in (others, mine):
            if part.any():
                learnt = (squares[part].sum() + group.freedom * settled) / (part.sum() + group.freedom)
                variance[:, group.columns][part] = learnt
        mean[:, group.columns] = centre
    return mean, variance


def _residual_variance(
    formula: Formula, data: LawData, costs: Standardised, solution: Solution, residual: FloatArray
) -> FloatArray:
    squares, explained = np.empty(len(residual)), np.empty(len(residual))
    for some in _some(len(residual), len(data), solution.parameters.shape[1]):
        weights = costs.weights[some]
        predicted, jacobian = formula.jacobian(solution.parameters[some], data.shares, data.scale)
        squares[some] = (weights * (costs.values[some] - predicted) ** 2).sum(axis=1)
        weighted = jacobian * weights[..., None]
        information = np.matmul(weighted.transpose(0, 2, 1), jacobian)
        explained[some] = np.einsum("epq,eqp->e", information, np.linalg.inv(solution.curvature[some]))
    runs = costs.weights.sum(axis=1)
    result: FloatArray = (squares + explained + _RESIDUAL_FREEDOM * _RESIDUAL_SHARE) / (
        runs + _RESIDUAL_FREEDOM
    )
    return result


@dataclass(frozen=True)
class _Effort:
    """Steps of a fit. Where one step takes long, rounds go on before parameters have settled, as they may."""

    rounds: int
    """From the priors of another fit."""
    later: int
    last: int
    resampled: int
    tolerance: float

    @classmethod
    def of(cls, data: LawData, width: int) -> "_Effort":
        """For metrics of ``width`` parameters."""
        if work(data, width) > VERY_MUCH:
            return cls(2, 3, 10, 3, 1e-5)
        if work(data, width) > _MUCH:
            return cls(_NEAR_ROUNDS, 3, 20, 4, 1e-6)
        return cls(ROUNDS, _LATER_STEPS, _LAST_STEPS, _LATER_STEPS, 1e-9)


def work(data: LawData, width: int) -> float:
    """Multiplications of one step of a fit with ``width`` parameters a metric."""
    return float(len(data) * len(data.metrics)) * width**2


def _some_runs(data: LawData, width: int) -> IntArray | None:
    """An even choice of very many runs, where a fit begins; none where all are few enough."""
    step = len(data) // (_RUNS_A_PARAMETER * width)
    if step < 2 or work(data, width) <= VERY_MUCH:
        return None
    rows = np.arange(0, len(data), step)
    measured = np.isfinite(data.costs[rows]).sum(axis=0)
    return rows if measured.min() > _RUNS_A_PARAMETER else None


def _some(metrics: int, runs: int, width: int) -> list[IntArray]:
    """Metrics in parts whose derivatives fit into memory together."""
    parts = -(-metrics // problems_at_once(runs, width))
    return np.array_split(np.arange(metrics), parts)
