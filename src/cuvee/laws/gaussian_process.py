"""Gaussian processes on transformed shares.

    y ~ GP(0, s^2 Matern-5/2(r) + v (x . x' / S + 1)) + noise,    r^2 = sum_i (x_i - x_i')^2 / l_i^2

x is the square root or the logarithm of the shares, scaled by a single factor, so that a source
that hardly varied counts little. One length scale a source (ARD); they and the variances are the maximum of
the marginal likelihood with priors on their logarithms (Rasmussen & Williams 2006, 5.4.1; MAP-II). A metric's
own source is expected to have a length scale e^2 times shorter. Length scales are found on at most
``SEARCH_RUNS`` runs, which costs little accuracy; all runs are conditioned on.

It interpolates better than any formula and does not extrapolate: away from the runs it returns to a linear
trend. Cost: O(n^3) for n runs, and O(n^2 S) a step of the search.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.optimize import minimize

from cuvee.errors import ConfigError
from cuvee.laws.asked import CheckedQuestions
from cuvee.laws.interface import NO_SOURCE, UNKNOWN_SCALE, LawData, Scale
from cuvee.types import FloatArray, Json

SEARCH_RUNS = 192
_LOG_FLOOR = 1e-3  # a share of zero stands this far from one of a thousandth
_SLOPE_FLOOR = 1e-9  # shares are taken for at least this where a derivative is asked
_JITTER = 1e-8
_STEPS = 60
_STEPS_NEAR = 15  # where the search begins at another fit's end
_REACH = 5.0  # standard deviations of the prior that a hyperparameter may move


@dataclass(frozen=True)
class Feature:
    """A transformation of shares."""

    name: str
    text: str
    value: Callable[[FloatArray], FloatArray]
    slope: Callable[[FloatArray], FloatArray]


def _sqrt_slope(shares: FloatArray) -> FloatArray:
    result: FloatArray = 0.5 / np.sqrt(np.maximum(shares, _SLOPE_FLOOR))
    return result


def _log(shares: FloatArray) -> FloatArray:
    result: FloatArray = np.log(shares + _LOG_FLOOR)
    return result


def _log_slope(shares: FloatArray) -> FloatArray:
    result: FloatArray = 1.0 / (shares + _LOG_FLOOR)
    return result


FEATURES = {
    "sqrt": Feature("sqrt", "sqrt(w)", np.sqrt, _sqrt_slope),
    "log": Feature("log", f"log(w + {_LOG_FLOOR})", _log, _log_slope),
}


@dataclass(frozen=True, eq=False)
class MetricProcess:
    """The process of one metric, conditioned on its runs."""

    points: FloatArray
    """Features [R, S] of the runs, centred, over their common size."""
    inverse_lengths: FloatArray
    """[S]."""
    signal: float
    linear: float
    noise: float
    factor: FloatArray
    """Lower Cholesky factor [R, R] of the covariance of the runs."""
    weights: FloatArray
    """Covariance^-1 y [R], standardised."""
    shift: float
    spread: float
    hyperparameters: FloatArray
    """As searched for: logarithms [S + 3]."""

    def covariance(self, points: FloatArray) -> FloatArray:
        """Between new points [M, S] and the runs, [M, R]."""
        distance = np.sqrt(5.0 * _squared_distances(points * self.inverse_lengths, self._scaled))
        matern = self.signal * (1.0 + distance + distance**2 / 3.0) * np.exp(-distance)
        result: FloatArray = matern + self.linear * (points @ self.points.T / points.shape[1] + 1.0)
        return result

    @property
    def _scaled(self) -> FloatArray:
        return self.points * self.inverse_lengths

    def mean(self, points: FloatArray) -> FloatArray:
        """Costs [M]."""
        result: FloatArray = self.shift + self.spread * (self.covariance(points) @ self.weights)
        return result

    def deviation(self, points: FloatArray) -> FloatArray:
        """Standard deviations [M] of the costs, without the noise of a run."""
        solved = solve_triangular(self.factor, self.covariance(points).T, lower=True, check_finite=False)
        prior = self.signal + self.linear * ((points**2).sum(axis=1) / points.shape[1] + 1.0)
        result: FloatArray = self.spread * np.sqrt(np.maximum(prior - (solved**2).sum(axis=0), 0.0))
        return result

    def slope(self, points: FloatArray) -> FloatArray:
        """Derivatives [M, S] of the costs in the points."""
        distance = np.sqrt(5.0 * _squared_distances(points * self.inverse_lengths, self._scaled))
        base = -(5.0 / 3.0) * self.signal * (1.0 + distance) * np.exp(-distance) * self.weights
        pulled = base.sum(axis=1)[:, None] * points - base @ self.points
        result: FloatArray = self.spread * (
            pulled * self.inverse_lengths**2 + self.linear * (self.weights @ self.points) / points.shape[1]
        )
        return result


@dataclass(frozen=True, eq=False)
class FittedGaussianProcess(CheckedQuestions):
    """One process a metric."""

    law: str
    feature: Feature
    sources: tuple[str, ...]
    metrics: tuple[str, ...]
    centre: tuple[FloatArray, ...]
    """Mean feature [S] of the runs of each metric."""
    size: tuple[float, ...]
    """What the features of each metric are divided by."""
    processes: tuple[MetricProcess, ...]
    convex: bool = False

    def costs(self, shares: FloatArray, scale: Scale = UNKNOWN_SCALE) -> FloatArray:
        """See ``FittedLaw.costs``."""
        return np.stack(
            [p.mean(x) for p, x in zip(self.processes, self._points(shares), strict=True)], axis=1
        )

    def uncertainty(self, shares: FloatArray, scale: Scale = UNKNOWN_SCALE) -> FloatArray:
        """See ``FittedLaw.uncertainty``."""
        return np.stack(
            [p.deviation(x) for p, x in zip(self.processes, self._points(shares), strict=True)], axis=1
        )

    def slopes(self, shares: FloatArray, scale: Scale = UNKNOWN_SCALE) -> FloatArray:
        """See ``FittedLaw.slopes``."""
        inner = self.feature.slope(np.atleast_2d(shares))
        slopes = [
            p.slope(x) * inner / size
            for p, x, size in zip(self.processes, self._points(shares), self.size, strict=True)
        ]
        return np.stack(slopes, axis=1)

    def _points(self, shares: FloatArray) -> list[FloatArray]:
        features = self.feature.value(np.atleast_2d(shares))
        return [(features - centre) / size for centre, size in zip(self.centre, self.size, strict=True)]

    def as_json(self) -> Json:
        """See ``FittedLaw.as_json``; holds the features of the runs."""
        return {
            "law": self.law,
            "formula": (
                f"shift + spread * sum_r weights[r] * k(x, points[r]); "
                f"x = ({self.feature.text} - centre) / size; "
                "k = signal * (1 + d + d**2 / 3) * exp(-d) + linear * (x . points[r] / S + 1); "
                "d = sqrt(5 * sum_i ((x[i] - points[r][i]) * inverse_lengths[i])**2)"
            ),
            "sources": list(self.sources),
            "metrics": {
                name: {
                    "shift": process.shift,
                    "spread": process.spread,
                    "centre": centre.tolist(),
                    "size": size,
                    "inverse_lengths": process.inverse_lengths.tolist(),
                    "signal": process.signal,
                    "linear": process.linear,
                    "noise": process.noise,
                    "points": process.points.tolist(),
                    "weights": process.weights.tolist(),
                }
                for name, process, centre, size in zip(
                    self.metrics, self.processes, self.centre, self.size, strict=True
                )
            },
        }


@dataclass(frozen=True)
class GaussianProcess:
    """The law, ready to be fitted."""

    feature: str
    paper: str = "https://gaussianprocess.org/gpml"
    needs: str = "mixtures at one scale; useful from about two runs a source"
    cost: str = "tenths of a second a metric"
    deviations: str = "Shares are transformed first; length scales are searched for on 192 runs at most."

    @property
    def name(self) -> str:
        """Name of the row."""
        return f"gp_{self.feature}"

    def parameters(self, sources: int) -> int:
        """See ``Law.parameters``."""
        return sources + 3

    def fit(self, data: LawData, seed: int = 0) -> FittedGaussianProcess:
        """See ``Law.fit``."""
        return self.refit(data, None, seed)

    def refit(
        self, data: LawData, near: FittedGaussianProcess | None, seed: int = 0
    ) -> FittedGaussianProcess:
        """Fit with the search begun at the hyperparameters of another fit, as for the folds of one table."""
        feature = FEATURES[self.feature]
        centres, sizes, processes = [], [], []
        for index in range(len(data.metrics)):
            one = data.metric(index)
            if len(one) < 2:
                raise ConfigError(f"metric {one.metrics[0]!r}: {len(one)} runs are too few for {self.name}")
            values = feature.value(one.shares)
            centre = values.mean(axis=0)
            size = float(np.sqrt(values.var(axis=0).mean())) or 1.0
            points = (values - centre) / size
            start = None if near is None else near.processes[index].hyperparameters
            processes.append(_condition(points, one.costs[:, 0], int(one.own[0]), start, seed))
            centres.append(centre)
            sizes.append(size)
        return FittedGaussianProcess(
            self.name, feature, data.sources, data.metrics, tuple(centres), tuple(sizes), tuple(processes)
        )


def _condition(
    points: FloatArray, costs: FloatArray, own: int, start: FloatArray | None, seed: int
) -> MetricProcess:
    shift, spread = float(costs.mean()), float(costs.std()) or 1.0
    values = (costs - shift) / spread
    chosen = np.arange(len(points))
    if len(points) > SEARCH_RUNS:
        chosen = np.sort(np.random.default_rng(seed).permutation(len(points))[:SEARCH_RUNS])
    found = _search(points[chosen], values[chosen], own, start)
    sources = points.shape[1]
    inverse_lengths = np.exp(-found[:sources])
    signal, linear, noise = (float(x) for x in np.exp(found[sources:]))
    distance = np.sqrt(5.0 * _squared_distances(points * inverse_lengths, points * inverse_lengths))
    covariance = signal * (1.0 + distance + distance**2 / 3.0) * np.exp(-distance)
    covariance += linear * (points @ points.T / sources + 1.0)
    covariance[np.diag_indices(len(points))] += noise + _JITTER
    factor: FloatArray = np.linalg.cholesky(covariance).astype(np.float64, copy=False)
    weights = cho_solve((factor, True), values, check_finite=False)
    return MetricProcess(
        points, inverse_lengths, signal, linear, noise, factor, weights, shift, spread, found
    )


def _search(points: FloatArray, values: FloatArray, own: int, start: FloatArray | None) -> FloatArray:
    """Logarithms of length scales [S], signal, linear and noise variance: the most probable ones."""
    runs, sources = points.shape
    mean = np.r_[np.full(sources, np.log(3.0 * np.sqrt(sources))), 0.0, -1.0, -4.0]
    if own != NO_SOURCE:
        mean[own] -= 2.0
    deviation = np.full(sources + 3, 1.5)
    squares, inner = points**2, points @ points.T / sources + 1.0
    diagonal, identity = np.diag_indices(runs), np.eye(runs)

    def objective(logs: FloatArray) -> tuple[float, FloatArray]:
        inverse = np.exp(-logs[:sources])
        signal, linear, noise = np.exp(logs[sources:])
        distance = np.sqrt(5.0 * _squared_distances(points * inverse, points * inverse))
        decay = np.exp(-distance)
        matern = (1.0 + distance + distance**2 / 3.0) * decay
        covariance = signal * matern + linear * inner
        covariance[diagonal] += noise + _JITTER
        try:
            factor = cho_factor(covariance, lower=True, check_finite=False)
        except np.linalg.LinAlgError:
            return 1e10, np.zeros_like(logs)
        precision = cho_solve(factor, identity, check_finite=False)
        weights = precision @ values
        pull = 0.5 * (precision - np.outer(weights, weights))
        base = pull * (signal * (5.0 / 3.0)) * (1.0 + distance) * decay
        moved = (squares.T @ base.sum(axis=1)) - ((base @ points) * points).sum(axis=0)
        slope = np.r_[
            2.0 * moved * inverse**2,
            signal * (pull * matern).sum(),
            linear * (pull * inner).sum(),
            noise * np.trace(pull),
        ]
        away = (logs - mean) / deviation
        value = 0.5 * values @ weights + np.log(np.diag(factor[0])).sum() + 0.5 * (away**2).sum()
        return float(value), slope + away / deviation

    first = mean if start is None else start
    bounds = list(zip(mean - _REACH * deviation, mean + _REACH * deviation, strict=True))
    steps = _STEPS if start is None else _STEPS_NEAR
    found = minimize(objective, first, jac=True, bounds=bounds, method="L-BFGS-B", options={"maxiter": steps})
    return np.asarray(found.x, dtype=np.float64)


def _squared_distances(left: FloatArray, right: FloatArray) -> FloatArray:
    squares = (left**2).sum(axis=1)[:, None] + (right**2).sum(axis=1) - 2.0 * left @ right.T
    result: FloatArray = np.maximum(squares, 0.0)
    return result
