"""A Gaussian process over mixtures, parameters and tokens: a length scale for each of the three.

    y(x) ~ GP(w . x + b, k1(|p - p'|) k2(|N - N'|) k3(|D - D'|)) + noise,   x = (p, N, D)
    k(d) = exp(-d^2 / 2 l^2)

Its variance is one and its noise given: values are taken as they are. Fitted by steps of Adam (Kingma & Ba
2015) on the likelihood, with its derivatives in closed form. Points are rows [n, S + 2].
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.special import expit, ndtr

from cuvee.types import FloatArray

_PARTS = (slice(None, -2), slice(-2, -1), slice(-1, None))  # mixture, parameters, tokens
_RATE, _MOMENTS, _TINY = 0.1, (0.9, 0.999), 1e-8  # of Adam


@dataclass(frozen=True, eq=False)
class ProcessPrior:
    """The process before any data."""

    lengths: FloatArray
    """Of mixtures, parameters and tokens [3]."""
    slope: FloatArray
    """Of the mean in all inputs [S + 2]."""
    intercept: float

    @classmethod
    def fitted(
        cls, points: FloatArray, values: FloatArray, noise: float, steps: int, rng: np.random.Generator
    ) -> "ProcessPrior":
        """From a random mean and length scales of log 2, some steps uphill. O(n^3) a step."""
        theta = np.concatenate([np.zeros(3), rng.normal(size=points.shape[1] + 1)])
        squares = squared_distances(points, points)
        first, second = np.zeros_like(theta), np.zeros_like(theta)
        for step in range(1, steps + 1):
            gradient = loss(theta, points, values, squares, noise)[1]
            first += (1.0 - _MOMENTS[0]) * (gradient - first)
            second += (1.0 - _MOMENTS[1]) * (gradient**2 - second)
            size = np.sqrt(second / (1.0 - _MOMENTS[1] ** step)) + _TINY
            theta = theta - _RATE * first / (1.0 - _MOMENTS[0] ** step) / size
        return cls(np.logaddexp(0.0, theta[:3]), theta[3:-1], float(theta[-1]))

    def mean(self, points: FloatArray) -> FloatArray:
        """At points [n]."""
        result: FloatArray = points @ self.slope + self.intercept
        return result

    def scaled(self, factors: tuple[float, float, float]) -> "ProcessPrior":
        """With longer or shorter length scales."""
        return replace(self, lengths=self.lengths * np.array(factors))


@dataclass(frozen=True, eq=False)
class ProcessPosterior:
    """The process with data."""

    prior: ProcessPrior
    points: FloatArray
    """[n, S + 2]."""
    factor: FloatArray
    """Lower Cholesky factor of the covariance of the data [n, n]."""
    residual: FloatArray
    """Inverse covariance times what the mean misses [n]."""

    @classmethod
    def of(
        cls, prior: ProcessPrior, points: FloatArray, values: FloatArray, noise: float
    ) -> "ProcessPosterior":
        """O(n^3)."""
        matrix = covariance(squared_distances(points, points), prior.lengths)
        matrix[np.diag_indices(len(points))] += noise
        factor: FloatArray = cholesky(matrix, lower=True)
        return cls(prior, points, factor, cho_solve((factor, True), values - prior.mean(points)))

    def predict(self, asked: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Mean [A] and standard deviation [A], without noise. O(A n^2)."""
        between = covariance(squared_distances(self.points, asked), self.prior.lengths)
        observed = solve_triangular(self.factor, between, lower=True, check_finite=False)
        variance = np.maximum(1.0 - (observed**2).sum(axis=0), 0.0)
        return self.prior.mean(asked) + self.residual @ between, np.sqrt(variance)

    def expected_improvement(self, asked: FloatArray, lowest: float) -> FloatArray:
        """E max(lowest - y, 0) at points [A]."""
        mean, deviation = self.predict(asked)
        return expected_fall(lowest - mean, deviation)

    def largest_improvements(self, asked: FloatArray, values: FloatArray) -> FloatArray:
        """The largest of ``expected_improvement`` after the first, the first two, ... of the data [n].

        From one factor, whose leading blocks are those of fewer data. O(A n^2).
        """
        between = covariance(squared_distances(self.points, asked), self.prior.lengths)
        observed = solve_triangular(self.factor, between, lower=True, check_finite=False)
        missed = solve_triangular(self.factor, values - self.prior.mean(self.points), lower=True)
        mean = self.prior.mean(asked) + np.cumsum(observed * missed[:, None], axis=0)
        variance = np.maximum(1.0 - np.cumsum(observed**2, axis=0), 0.0)
        fall = np.minimum.accumulate(values)[:, None] - mean
        result: FloatArray = expected_fall(fall, np.sqrt(variance)).max(axis=1)
        return result


def expected_fall(fall: FloatArray, deviation: FloatArray) -> FloatArray:
    """E max(y, 0) for y ~ N(fall, deviation^2)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        z = fall / deviation
        found = fall * ndtr(z) + deviation * np.exp(-0.5 * z**2) / math.sqrt(2.0 * math.pi)
    result: FloatArray = np.where(deviation > 0.0, found, np.maximum(fall, 0.0))
    return result


def squared_distances(left: FloatArray, right: FloatArray) -> FloatArray:
    """Of mixtures, parameters and tokens [3, n, m]."""
    parts = []
    for part in _PARTS:
        one, two = left[:, part], right[:, part]
        square = (one**2).sum(axis=1)[:, None] + (two**2).sum(axis=1) - 2.0 * one @ two.T
        parts.append(np.maximum(square, 0.0))
    return np.stack(parts)


def covariance(squares: FloatArray, lengths: FloatArray) -> FloatArray:
    """From squared distances [3, n, m]: [n, m]."""
    result: FloatArray = np.exp(np.tensordot(-0.5 / lengths**2, squares, axes=1))
    return result


def loss(
    theta: FloatArray, points: FloatArray, values: FloatArray, squares: FloatArray, noise: float
) -> tuple[float, FloatArray]:
    """Negative logarithm of the likelihood for each value, and its derivatives.

    Args:
        theta: length scales before softplus [3], slope [S + 2], intercept.
        points: [n, S + 2].
        values: [n].
        squares: distances between the points [3, n, n].
        noise: variance.
    """
    count, lengths = len(values), np.logaddexp(0.0, theta[:3])
    signal = covariance(squares, lengths)
    factor = cholesky(signal + noise * np.eye(count), lower=True)
    inverse = cho_solve((factor, True), np.eye(count), check_finite=False)
    missed = values - points @ theta[3:-1] - theta[-1]
    residual = inverse @ missed
    value = 0.5 * missed @ residual + np.log(np.diag(factor)).sum() + 0.5 * count * math.log(2.0 * math.pi)
    of_covariance = 0.5 * (inverse - np.outer(residual, residual)) * signal
    of_lengths = np.tensordot(squares, of_covariance, axes=2) / lengths**3 * expit(theta[:3])
    gradient = np.concatenate([of_lengths, -points.T @ residual, [-residual.sum()]])
    return float(value) / count, gradient / count
