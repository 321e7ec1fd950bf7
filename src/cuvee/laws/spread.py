"""Intervals that cover what they say.

A law's own deviation d(w) knows where the runs are far; it does not know how wrong the law is. Held-out
residuals know that. Both together:

    half width at level p  =  q_p * sqrt(floor^2 + factor^2 d(w)^2)

floor and factor reproduce the mean square of the held-out residuals of a metric; the part of it that the
law's own deviation explains is its mean by likelihood, as few residuals do not tell it. q_p is the quantile
of the standardised residuals of all metrics together, with the correction for finitely many runs of split
conformal prediction (Vovk, Gammerman & Shafer 2005; Lei et al. 2018). Where the residuals are too few for a
level, a quantile of Student's t takes its place.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from cuvee.laws.validation import HeldOut
from cuvee.types import FloatArray

_PARTS = np.linspace(0.0, 1.0, 11)
"""Shares of the mean squared residual that the law's own deviation may explain."""


@dataclass(frozen=True, eq=False)
class Spread:
    """Calibrated for the metrics of one fitted law."""

    floor: FloatArray
    """[E], in the unit of each metric."""
    factor: FloatArray
    """[E]."""
    scores: FloatArray
    """Sizes of the standardised held-out residuals of all metrics, ascending."""
    runs: int

    @classmethod
    def of(cls, held_out: HeldOut) -> "Spread":
        """Calibrate on held-out residuals."""
        floor, factor, scores = [], [], []
        for index in range(held_out.costs.shape[1]):
            measured = np.isfinite(held_out.costs[:, index])
            residual = held_out.residuals[measured, index]
            deviation = held_out.deviation[measured, index]
            low, times = _explained(residual, deviation)
            floor.append(low)
            factor.append(times)
            size = np.sqrt(low**2 + (times * deviation) ** 2)
            scores.append(np.abs(residual) / np.where(size > 0, size, 1.0))
        return cls(np.array(floor), np.array(factor), np.sort(np.concatenate(scores)), len(held_out.costs))

    def quantile(self, level: float) -> float:
        """Of the standardised residuals."""
        rank = level * (self.runs + 1) / self.runs
        if rank <= 1.0 and (1.0 - level) * self.runs >= 1.0:
            return float(np.quantile(self.scores, min(rank, 1.0), method="higher"))
        return float(student.ppf(0.5 + level / 2.0, max(self.runs - 1, 1)))

    def deviation(self, deviation: FloatArray) -> FloatArray:
        """Calibrated standard deviations [M, E] from the law's own."""
        result: FloatArray = np.sqrt(self.floor**2 + (self.factor * deviation) ** 2)
        return result

    def half_width(self, deviation: FloatArray, level: float) -> FloatArray:
        """Of the central interval for one run, [M, E]."""
        return self.quantile(level) * self.deviation(deviation)


def coverage(held_out: HeldOut, levels: tuple[float, ...]) -> FloatArray:
    """Share of left-out runs inside their intervals, [levels], each fold judged by the others' residuals."""
    inside = np.zeros((len(levels), *held_out.costs.shape), dtype=np.bool_)
    for left_out in range(int(held_out.fold.max()) + 1):
        asked = held_out.fold == left_out
        spread = Spread.of(held_out.select(~asked))
        for index, level in enumerate(levels):
            half = spread.half_width(held_out.deviation[asked], level)
            inside[index, asked] = np.abs(held_out.residuals[asked]) <= half
    measured = np.isfinite(held_out.costs)
    result: FloatArray = (inside & measured).sum(axis=(1, 2)) / measured.sum()
    return result


def _explained(residual: FloatArray, deviation: FloatArray) -> tuple[float, float]:
    """Floor and factor: root mean squares over the likelihood of normal residuals whose mean square they
    reproduce."""
    square, own = float((residual**2).mean()), float((deviation**2).mean())
    if own <= 0.0 or square <= 0.0:
        return float(np.sqrt(square)), 0.0
    variance = square * (1.0 - _PARTS[:, None] + _PARTS[:, None] * deviation**2 / own)
    variance = np.maximum(variance, 1e-12 * square)
    costs = (np.log(variance) + residual**2 / variance).sum(axis=1)
    likelihood = np.exp(-0.5 * (costs - costs.min()))
    part = float(likelihood @ _PARTS / likelihood.sum())
    return float(np.sqrt(square * (1.0 - part))), float(np.sqrt(square * part / own))
