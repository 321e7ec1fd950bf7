"""Predicted losses of mixtures, and how sure they are (floor 7).

Uncertainty comes from two places that are added: what the calibration would be on other references
(half-samples of them; McCarthy 1969), and what the calibrated proxy still misses for each mixture
(its left-out error, less the noise of single trainings).
"""

from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist

import numpy as np

from cuvee.honesty.calibration import FittedCalibrator
from cuvee.honesty.proxy_choice import CalibratorError, Choice, FittedBlend, refit
from cuvee.honesty.scopes import replicate_noise
from cuvee.mixture.mixture import Mixture
from cuvee.study.decision import Loss
from cuvee.study.findings import Findings, Scored
from cuvee.types import FloatArray

CONFIDENCE = 0.95
Z = NormalDist().inv_cdf(0.5 + CONFIDENCE / 2)
"""Half the width of the interval, in standard errors."""
HALF_SAMPLES = 60
ERRORS_A_HALF = 10
UNCHECKED = "ensemble"
"""The proxy that is reported, without being believed, where too few references were trained."""


@dataclass(frozen=True, eq=False)
class Judge:
    """Predicted losses of all scored mixtures, with their uncertainty."""

    findings: Findings
    choice: Choice | None
    weights: dict[str, float]
    seed: int
    further: Scored | None = None

    def with_more(self, further: Scored) -> "Judge":
        """The same with more mixtures behind those of the findings."""
        return Judge(self.findings, self.choice, self.weights, self.seed, further)

    @cached_property
    def scored(self) -> Scored:
        first = self.findings.scored
        if self.further is None:
            return first
        proxies = {
            name: np.concatenate([first.proxies[name], self.further.proxies[name]]) for name in first.proxies
        }
        return Scored((*first.mixtures, *self.further.mixtures), proxies)

    @property
    def target(self) -> FloatArray:
        """Weight of each evaluation [E]."""
        return np.array(list(self.weights.values()))

    @cached_property
    def mean(self) -> FloatArray:
        """Predicted nats per token [M, E]."""
        return self._predict(self.choice.fitted) if self.choice else self.scored.proxies[UNCHECKED]

    @cached_property
    def spread(self) -> FloatArray:
        """Standard deviation of one training about ``mean`` [M, E]; NaN without references."""
        if self.choice is None:
            return np.full(self.mean.shape, np.nan)
        scored = self.scored
        return self.choice.fitted.predict(scored.shares, scored.proxies).spread

    def _predict(self, fitted: FittedCalibrator | FittedBlend) -> FloatArray:
        return fitted.predict(self.scored.shares, self.scored.proxies).mean

    @cached_property
    def half_samples(self) -> FloatArray:
        """Predictions [B, M, E] of the chosen calibrator learnt from random halves of the references."""
        evidence = self.findings.evidence
        if self.choice is None or evidence is None:
            return self.mean[None]
        rng = np.random.default_rng(self.seed)
        half = max(3, -(-evidence.references // 2))
        rows = np.zeros((HALF_SAMPLES, evidence.references))
        for row in rows:
            row[rng.permutation(evidence.references)[:half]] = 1.0
        return np.stack([self._predict(fitted) for fitted in refit(self.choice.name, evidence, rows)])

    @cached_property
    def missed(self) -> FloatArray:
        """What the calibrated proxy misses of a mixture's expected loss [E + 1], the target last."""
        if self.choice is None or self.findings.evidence is None:
            return np.full(len(self.target) + 1, np.nan)
        errors = chosen_error(self.choice)
        evidence = self.findings.evidence
        rows = [*np.eye(len(self.target)), self.target]
        noise = np.array([replicate_noise(evidence, row).deviation for row in rows])
        squares = np.square([*errors.by_evaluation, errors.target])
        return np.asarray(np.sqrt(np.maximum(squares - np.nan_to_num(np.square(noise)), 0.1 * squares)))

    def difference(self, row: int, base: int) -> tuple[FloatArray, FloatArray]:
        """Predicted loss of one mixture minus another's, and its standard error [E + 1], target last."""
        samples = self.half_samples[:, row] - self.half_samples[:, base]
        samples = np.concatenate([samples, (samples @ self.target)[:, None]], axis=1)
        value = self.mean[row] - self.mean[base]
        variance = samples.var(axis=0) + 2 * np.square(self.missed)
        return np.append(value, value @ self.target), np.sqrt(variance)

    @cached_property
    def order(self) -> list[int]:
        """Rows that the decision may be, lowest predicted target first."""
        allowed = np.flatnonzero(self.findings.candidates)
        losses = (self.mean @ self.target)[allowed]
        return [int(row) for row in allowed[np.argsort(losses, kind="stable")]]

    @property
    def pick(self) -> Mixture:
        return self.scored.mixtures[self.order[0]]

    def share_bounds(self) -> tuple[FloatArray, FloatArray]:
        """Interval of every share [S]: what would be picked on other references, with other errors.

        Each draw takes a half-sample of the references and adds to every candidate an error as large as
        what the calibrated proxy misses.
        """
        allowed = np.flatnonzero(self.findings.candidates)
        losses = np.repeat(self.half_samples[:, allowed] @ self.target, ERRORS_A_HALF, axis=0)
        if np.isfinite(self.missed[-1]):
            losses += np.random.default_rng(self.seed).normal(0.0, self.missed[-1], losses.shape)
        picks = self.scored.shares[allowed[np.argmin(losses, axis=1)]]
        low, high = np.quantile(picks, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], axis=0)
        here = self.pick.shares
        return np.minimum(low, here), np.maximum(high, here)

    def loss(self, row: int, factors: FloatArray) -> list[Loss]:
        """Predictions of one mixture: every evaluation, the target last."""
        mean = np.append(self.mean[row], self.mean[row] @ self.target)
        spread = np.append(self.spread[row], np.nan)
        together = np.sqrt(np.square(self.spread[row] * self.target).sum())
        spread[-1] = max(together, self._target_error)
        bits = np.append(self.mean[row] * factors, (self.mean[row] * factors) @ self.target)
        return [
            Loss(float(m), float(m - Z * s), float(m + Z * s), float(b))
            for m, s, b in zip(mean, spread, bits, strict=True)
        ]

    @property
    def _target_error(self) -> float:
        return chosen_error(self.choice).target if self.choice else float("nan")


def chosen_error(choice: Choice) -> CalibratorError:
    """The left-out errors of the calibrator that was chosen."""
    return next(error for error in choice.errors if error.name == choice.name)
