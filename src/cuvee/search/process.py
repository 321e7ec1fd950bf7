"""The process of one metric: its hyperparameters found, and conditioned on runs (floor 5)."""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize

from cuvee.laws.hierarchical import HierarchicalFit
from cuvee.search.hyperparameters import LEAST_NOISE, OF_KIND, SINGLE, noise_of, prior_of, table_of
from cuvee.search.places import Between, Places
from cuvee.types import FloatArray, IntArray

SEARCH_RUNS = 160
"""Hyperparameters are searched for on at most so many runs; all are conditioned on."""

_JITTER = 1e-7
_STEPS, _STEPS_NEAR = 60, 15
_REACH = 4.0  # deviations of the prior that a hyperparameter may move


@dataclass(frozen=True, eq=False)
class Process:
    """One metric, conditioned on its runs."""

    metric: int
    rows: IntArray
    """Of the trials that measured it."""
    theta: FloatArray
    factor: FloatArray
    weights: FloatArray

    @classmethod
    def of(
        cls,
        told: Places,
        z: FloatArray,
        metric: int,
        law: HierarchicalFit,
        kinds: int,
        start: FloatArray | None,
        seed: int,
    ) -> "Process":
        """Find hyperparameters, and condition on what was measured.

        Args:
            told: all trials.
            z: what they measured [n], standardised; NaN where nothing.
            metric: which.
            law: its priors tell how large the residual may be.
            kinds: how many.
            start: hyperparameters where the search for them begins; default the middle of their prior.
            seed: chooses the runs of that search where there are many.
        """
        rows = np.flatnonzero(np.isfinite(z))
        chosen = rows
        if len(rows) > SEARCH_RUNS:
            chosen = np.sort(np.random.default_rng(seed).permutation(rows)[:SEARCH_RUNS])
        search = Search(told.select(chosen), z[chosen], metric, kinds, *prior_of(law, metric, kinds))
        theta = search.best(start)
        mine = told.select(rows)
        covariance = Between.of(mine, mine).covariance(metric, theta, kinds)
        covariance[np.diag_indices(len(rows))] += noise_of(theta, mine.kind, kinds) + _JITTER
        factor = cholesky(covariance, lower=True, check_finite=False)
        centred = z[rows] - mine.scaled_mean(metric, theta, kinds)
        weights = cho_solve((factor, True), centred, check_finite=False)
        return cls(metric, rows, theta, factor, weights)

    def mean(self, told: Between, kinds: int) -> FloatArray:
        """Expected at places [A], standardised; ``told`` is between all trials and these."""
        cross = told.select(self.rows).covariance(self.metric, self.theta, kinds)
        return told.right.scaled_mean(self.metric, self.theta, kinds) + self.weights @ cross

    def whitened(self, told: Between, kinds: int) -> FloatArray:
        """Covariances between all trials and places, divided by the factor [n, A]."""
        prior = told.select(self.rows).covariance(self.metric, self.theta, kinds)
        result: FloatArray = solve_triangular(self.factor, prior, lower=True, check_finite=False)
        return result

    def believing(self, told: Places, more: Places, kinds: int) -> "Process":
        """After places that measure what is expected of them: they get no weight, and the factor grows."""
        white = self.whitened(Between.of(told, more), kinds)
        left = Between.of(more, more).covariance(self.metric, self.theta, kinds) - white.T @ white
        left[np.diag_indices(len(left))] += noise_of(self.theta, more.kind, kinds) + _JITTER
        corner = cholesky(left, lower=True, check_finite=False)
        factor = np.block([[self.factor, np.zeros_like(white)], [white.T, corner]])
        rows = np.concatenate([self.rows, len(told.kind) + np.arange(len(left))])
        weights = np.concatenate([self.weights, np.zeros(len(left))])
        return Process(self.metric, rows, self.theta, factor, weights)


class Search:
    """The log posterior of hyperparameters, with what does not depend on them kept."""

    def __init__(
        self, places: Places, z: FloatArray, metric: int, kinds: int, middle: FloatArray, width: FloatArray
    ) -> None:
        self.places, self.z, self.kinds = places, z, kinds
        self.mean = places.mean[metric]
        self.middle, self.width = middle, width
        self.law = places.features[metric] @ places.features[metric].T
        between = Between.of(places, places)
        self.apart, self.shared = between.squares, between.shared
        self.masks = [np.outer(places.kind == k, places.kind == k) for k in range(kinds)]

    def best(self, start: FloatArray | None) -> FloatArray:
        """The most probable ones."""
        first = self.middle if start is None else start
        reach = _REACH * self.width
        bounds = list(zip(self.middle - reach, self.middle + reach, strict=True))
        found = minimize(
            self.objective,
            np.clip(first, self.middle - reach, self.middle + reach),
            jac=True,
            bounds=bounds,
            method="L-BFGS-B",
            options={"maxiter": _STEPS if start is None else _STEPS_NEAR},
        )
        return np.asarray(found.x, dtype=np.float64)

    def objective(self, theta: FloatArray) -> tuple[float, FloatArray]:
        """Minus the log posterior, and its slope."""
        kind = self.places.kind
        length, s, s_n, s_d = np.exp(theta[:4])
        table = table_of(theta, self.kinds)
        rbf = np.exp(-0.5 * self.apart / length**2)
        residual = rbf * (s + s_n * self.shared[0] + s_d * self.shared[1])
        rho = table[kind, 0]
        scaled = np.outer(rho, rho)
        inner = (self.law + residual) * scaled
        covariance = inner.copy()
        for other in range(1, self.kinds):
            covariance += self.masks[other] * (table[other, 1] * rbf + table[other, 2])
        noise = table[kind, 3]
        covariance[np.diag_indices(len(kind))] += noise + LEAST_NOISE + _JITTER
        try:
            factor = cholesky(covariance, lower=True, check_finite=False)
        except np.linalg.LinAlgError:
            return 1e10, np.zeros_like(theta)
        precision = cho_solve((factor, True), np.eye(len(kind)), check_finite=False)
        centred = self.z - rho * self.mean
        weights = precision @ centred
        pull = 0.5 * (precision - np.outer(weights, weights))
        moved = pull * residual * scaled
        slope = np.empty_like(theta)
        slope[0] = (moved * self.apart).sum() / length**2
        near = pull * rbf * scaled
        slope[1] = s * near.sum()
        slope[2] = s_n * (near * self.shared[0]).sum()
        slope[3] = s_d * (near * self.shared[1]).sum()
        slope[4] = noise[kind == 0] @ np.diag(pull)[kind == 0]
        of_row = (pull * inner).sum(axis=1)
        for other in range(1, self.kinds):
            mine, mask = kind == other, self.masks[other]
            biased = table[other, 1] * pull * mask * rbf
            slope[0] += (biased * self.apart).sum() / length**2
            first = len(SINGLE) + (other - 1) * len(OF_KIND)
            ratio = table[other, 0] if table[other, 0] != 0.0 else 1e-12
            slope[first] = 2.0 * of_row[mine].sum() / ratio - weights[mine] @ self.mean[mine]
            slope[first + 1] = biased.sum()
            slope[first + 2] = table[other, 2] * (pull * mask).sum()
            slope[first + 3] = noise[mine] @ np.diag(pull)[mine]
        away = (theta - self.middle) / self.width
        value = 0.5 * float(centred @ weights) + float(np.log(np.diag(factor)).sum())
        return value + 0.5 * float(away @ away), slope + away / self.width
