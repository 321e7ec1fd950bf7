"""Next runs: what knowing more would be worth, and which run is most informative.

The resampled laws are draws of what may be true; mixtures to choose from are the pick and the optimum of
each draw. With mu their mean targets over the draws and c(x) the covariance of all targets with that of a run
x, a result moves the means by c(x) / sqrt(var(x) + noise^2) times a standard normal. A run is worth how much
lower the lowest mean is expected to be after it (knowledge gradient for correlated beliefs; Frazier, Powell &
Dayanik 2009, https://doi.org/10.1287/ijoc.1080.0314). The noise is the held-out error of the law, so that a
law that misses by much learns little from one run.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cuvee.decisions.fit.result import ProposedRun
from cuvee.flows.fit.belief import Belief
from cuvee.mixture.distance import total_variation
from cuvee.types import FloatArray

SHOWN = 4
_APART = 0.05  # total variation between two proposals
_WORTH = 1e-3  # of the noise: a run that gains less is not proposed
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(21)


@dataclass(frozen=True, eq=False)
class Worth:
    """What further runs could gain."""

    expected_gain: float
    """By how much knowing the law exactly would lower the target of the choice, on average."""
    likely_gain: float
    """Below which it lies with the probability of the belief's level."""
    runs: tuple[ProposedRun, ...]
    """Most telling first."""


def worth_of_more(belief: Belief) -> Worth:
    """Judge further runs. Cost: K^3 numbers of work for K resamples."""
    choices = np.vstack([belief.pick, belief.optima])
    losses = belief.resampled(choices)  # [K, choices]
    regret = losses[:, 0] - losses.min(axis=1)
    held_out = belief.validated.held_out.combined(belief.weights)
    noise = float(np.sqrt(np.nanmean(held_out.residuals**2)))
    mean = losses.mean(axis=0)
    covariance = np.atleast_2d(np.cov(losses, rowvar=False))
    gains = np.array(
        [_gain(mean, covariance[asked], covariance[asked, asked], noise) for asked in range(len(mean))]
    )
    chosen: list[int] = []
    for index in np.argsort(-gains, kind="stable").tolist():
        apart = [float(total_variation(choices[index], choices[other])) for other in chosen]
        if gains[index] > _WORTH * noise and min(apart, default=1.0) >= _APART:
            chosen.append(index)
        if len(chosen) == SHOWN:
            break
    runs = tuple(
        ProposedRun(
            f"run {position + 1}",
            tuple(choices[index].tolist()),
            float(gains[index]),
            _shows(belief.data.sources, belief.pick, choices[index], losses[:, index] - losses[:, 0]),
        )
        for position, index in enumerate(chosen)
    )
    return Worth(float(regret.mean()), float(np.quantile(regret, belief.level)), runs)


def _gain(mean: FloatArray, covariance: FloatArray, variance: float, noise: float) -> float:
    """How much lower the lowest mean [M] gets by a run with covariances [M]."""
    moved = covariance / np.sqrt(max(variance + noise**2, 1e-300))
    after = (mean + _NODES[:, None] * moved).min(axis=1)
    return max(0.0, float(mean.min() - _WEIGHTS @ after / _WEIGHTS.sum()))


def _shows(sources: Sequence[str], pick: FloatArray, asked: FloatArray, difference: FloatArray) -> str:
    moved = asked - pick
    order = np.argsort(-np.abs(moved), kind="stable")
    moves = [
        f"{moved[i] * 100:+.0f} points of {sources[i]}" for i in order[:2].tolist() if abs(moved[i]) >= 0.005
    ]
    if not moves:
        return "whether the pick does what the law says"
    better = float((difference < 0).mean())
    return f"whether {' and '.join(moves)} is better than the pick ({better:.0%} of resamples say so)"
