"""The process of one metric: its hyperparameters found, and conditioned on runs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize

from cuvee.laws.hierarchical import HierarchicalFit
from cuvee.search.hyperparameters import LEAST_NOISE, OF_KIND, SINGLE, Kinds, least_of, prior_of
from cuvee.search.places import Between, Places
from cuvee.types import FloatArray, IntArray

SEARCH_RUNS = 160
"""Hyperparameters are searched for on at most so many runs; all are conditioned on."""

_JITTER = 1e-7
_STEPS, _STEPS_NEAR = 60, 15
_REACH = 4.0  # deviations of the prior that a hyperparameter may move


@dataclass(frozen=True, eq=False)
class HistoryProcess:
    """One metric, conditioned on its runs."""

    metric: int
    rows: IntArray
    """Of the trials that measured it."""
    theta: FloatArray
    kinds: Kinds
    factor: FloatArray
    weights: FloatArray

    @classmethod
    def of(
        cls,
        observed: Places,
        z: FloatArray,
        metric: int,
        law: HierarchicalFit,
        kinds: Sequence[str],
        start: FloatArray | None,
        seed: int,
    ) -> "HistoryProcess":
        """Find hyperparameters, and condition on what was measured.

        Args:
            observed: all trials.
            z: what they measured [n], standardised; NaN where nothing.
            metric: which.
            law: its priors say how large the residual may be.
            kinds: names, that of the target first.
            start: hyperparameters where the search for them begins; default the middle of their prior.
            seed: chooses the runs of that search where there are many.
        """
        rows = np.flatnonzero(np.isfinite(z))
        chosen = rows
        if len(rows) > SEARCH_RUNS:
            chosen = np.sort(np.random.default_rng(seed).permutation(rows)[:SEARCH_RUNS])
        search = Search(observed.select(chosen), z[chosen], metric, kinds, *prior_of(law, metric, kinds))
        theta = search.best(start)
        mine, found = observed.select(rows), Kinds.of(theta, kinds)
        covariance = Between.of(mine, mine).covariance(metric, theta, found)
        covariance[np.diag_indices(len(rows))] += found.noise[mine.kind] + _JITTER
        factor = cholesky(covariance, lower=True, check_finite=False)
        centred = z[rows] - mine.scaled_mean(metric, found)
        weights = cho_solve((factor, True), centred, check_finite=False)
        return cls(metric, rows, theta, found, factor, weights)

    def mean(self, observed: Between) -> FloatArray:
        """Expected at inputs [A], standardised; ``observed`` is between all trials and these."""
        cross = self.covariance(observed.select(self.rows))
        return observed.right.scaled_mean(self.metric, self.kinds) + self.weights @ cross

    def variance(self, places: Places) -> FloatArray:
        """Before any run [n]."""
        return places.variance(self.metric, self.theta, self.kinds)

    def covariance(self, between: Between) -> FloatArray:
        """Before any run [A, B]."""
        return between.covariance(self.metric, self.theta, self.kinds)

    def whitened(self, observed: Between) -> FloatArray:
        """Covariances between all trials and inputs, divided by the factor [n, A]."""
        prior = self.covariance(observed.select(self.rows))
        result: FloatArray = solve_triangular(self.factor, prior, lower=True, check_finite=False)
        return result

    @cached_property
    def missed(self) -> FloatArray:
        """What each run measured less what all others expect of it, in deviations of that [rows].

        Leave-one-out in closed form (Rasmussen and Williams 2006, equations 5.10 to 5.12).
        """
        inverse = solve_triangular(self.factor, np.eye(len(self.rows)), lower=True, check_finite=False)
        result: FloatArray = self.weights / np.sqrt((inverse**2).sum(axis=0))
        return result

    def conditioned(self, observed: Places, more: Places) -> "HistoryProcess":
        """Conditioned on pending inputs at their posterior mean: they get no weight, and the factor grows."""
        white = self.whitened(Between.of(observed, more))
        left = self.covariance(Between.of(more, more)) - white.T @ white
        left[np.diag_indices(len(left))] += self.kinds.noise[more.kind] + _JITTER
        corner = cholesky(left, lower=True, check_finite=False)
        factor = np.block([[self.factor, np.zeros_like(white)], [white.T, corner]])
        rows = np.concatenate([self.rows, len(observed.kind) + np.arange(len(left))])
        weights = np.concatenate([self.weights, np.zeros(len(left))])
        return replace(self, rows=rows, factor=factor, weights=weights)


class Search:
    """The log posterior of hyperparameters, with what does not depend on them kept."""

    def __init__(
        self,
        places: Places,
        z: FloatArray,
        metric: int,
        kinds: Sequence[str],
        middle: FloatArray,
        width: FloatArray,
    ) -> None:
        self.places, self.z, self.kinds = places, z, kinds
        self.mean = places.mean[metric]
        self.middle, self.width = middle, width
        self.law = places.features[metric] @ places.features[metric].T
        between = Between.of(places, places)
        self.apart, self.shared = between.squares, between.shared
        self.masks = [np.outer(places.kind == k, places.kind == k) for k in range(len(kinds))]

    def best(self, start: FloatArray | None) -> FloatArray:
        """The most probable ones."""
        first = self.middle if start is None else start
        reach = _REACH * self.width
        low, high = np.maximum(self.middle - reach, least_of(self.kinds)), self.middle + reach
        found = minimize(
            self.objective,
            np.clip(first, low, high),
            jac=True,
            bounds=list(zip(low, high, strict=True)),
            method="L-BFGS-B",
            options={"maxiter": _STEPS if start is None else _STEPS_NEAR},
        )
        return np.asarray(found.x, dtype=np.float64)

    def objective(self, theta: FloatArray) -> tuple[float, FloatArray]:
        """Minus the log posterior, and its slope."""
        kind = self.places.kind
        length, s, s_n, s_d = np.exp(theta[:4])
        kinds = Kinds.of(theta, self.kinds)
        rbf = np.exp(-0.5 * self.apart / length**2)
        residual = rbf * (s + s_n * self.shared[0] + s_d * self.shared[1])
        rho = kinds.rho[kind]
        scaled = np.outer(rho, rho)
        inner = (self.law + residual) * scaled
        covariance = inner.copy()
        for other in range(1, len(self.kinds)):
            off = kinds.smooth[other] * rbf + kinds.shaped[other] * self.law + kinds.offset[other]
            covariance += self.masks[other] * off
        covariance[np.diag_indices(len(kind))] += kinds.noise[kind] + _JITTER
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
        noise = (kinds.noise[kind] - LEAST_NOISE) * np.diag(pull)
        slope[4] = noise[kind == 0].sum()
        of_row = (pull * inner).sum(axis=1)
        for other in range(1, len(self.kinds)):
            mine, here = kind == other, pull * self.masks[other]
            biased = kinds.smooth[other] * here * rbf
            slope[0] += (biased * self.apart).sum() / length**2
            first = len(SINGLE) + (other - 1) * len(OF_KIND)
            slope[first] = 2.0 * of_row[mine].sum() / kinds.rho[other] - weights[mine] @ self.mean[mine]
            slope[first + 1] = biased.sum() + kinds.shaped[other] * (here * self.law).sum()
            slope[first + 2] = kinds.offset[other] * here.sum()
            slope[first + 3] = noise[mine].sum()
        away = (theta - self.middle) / self.width
        value = 0.5 * float(centred @ weights) + float(np.log(np.diag(factor)).sum())
        return value + 0.5 * float(away @ away), slope + away / self.width
