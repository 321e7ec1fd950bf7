"""Acquisition: the mixtures that score best under a Gaussian process of the target runs.

One process on the shares as they are (the usual choice, not the best: roots predict better) is fitted to the
weighted cost of the experiments at the target fidelity. What is running, and what was chosen a moment ago for
the same batch, is taken to measure what the process expects (the kriging believer of Ginsbourger et al.
2010), so that a batch spreads by itself.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import erfcx

from cuvee.laws.gaussian_process import FittedGaussianProcess, GaussianProcess
from cuvee.laws.interface import UNKNOWN_SCALE, LawData
from cuvee.search.proposer import History
from cuvee.search.space import Experiment
from cuvee.search.untried import at_fidelity, untried, untried_rows
from cuvee.types import FloatArray

Score = Callable[[FloatArray, FloatArray, float], FloatArray]
"""From means [C], standard deviations [C] and the lowest cost to a score [C]; the highest is asked for."""

LEAST_RUNS = 2
"""Fewer measured target runs carry no process."""

# The law takes roots. It is given squares, and so sees the shares as they are.
_LAW = GaussianProcess("sqrt")
_DRAWN = 1024
_STEPS = 1024
_STARTS = 5  # best mixtures from which steps go out
_FARTHEST = 1e6  # standard deviations


def log_expected_improvement(mean: FloatArray, deviation: FloatArray, lowest: float) -> FloatArray:
    """Logarithm of E max(lowest - y, 0) for y ~ N(mean, deviation^2), [C].

    In logarithms, as where all improvements are too small for floating point there is still a largest
    (Ament et al. 2023, https://arxiv.org/abs/2310.20708).
    """
    size = np.maximum(deviation, 1e-300)
    z = np.clip(np.abs(lowest - mean) / size, 0.0, _FARTHEST)
    # Where the mean is not below: size h(-z), with h(-z) = phi(z) - z Phi(-z) for z >= 0.
    tail = np.log(size) - 0.5 * np.log(2 * np.pi) - 0.5 * z**2
    tail += np.log1p(-z * np.sqrt(np.pi / 2) * erfcx(z / np.sqrt(2)))
    # Where it is: size h(z), with h(z) = z + h(-z).
    gain = np.maximum(lowest - mean, 1e-300)
    result: FloatArray = np.where(lowest > mean, np.logaddexp(np.log(gain), tail), tail)
    return result


def acquired(history: History, score: Score, count: int, rng: np.random.Generator) -> list[Experiment]:
    """The next experiments at the target fidelity, best score first.

    Args:
        history: at least ``LEAST_RUNS`` target runs are measured.
        score: of a candidate.
        count: how many; fewer where a pool has no more.
        rng: draws the candidates.

    Cost: one fit, and one more begun near it for every further experiment of a batch.
    """
    target = history.space.target
    belief = _Belief.of(history)
    running = [one.row for one in history.running if one.fidelity == target]
    if running:
        belief = belief.conditioned(np.stack(running))
    offered = _offered(history, rng)
    asked: list[Experiment] = []
    while len(asked) < count:
        offered = untried(history, offered, target)
        if not len(offered):
            break
        if asked:
            belief = belief.conditioned(asked[-1].row[None])
        scores = score(*belief.of_mixtures(offered), float(belief.costs.min()))
        best = int(scores.argmax())
        asked += at_fidelity(offered[best : best + 1], target)
        history = history.plus(asked[-1])
    return asked


@dataclass(frozen=True, eq=False)
class _Belief:
    """A process with the runs that it was fitted to."""

    fitted: FittedGaussianProcess
    sources: tuple[str, ...]
    shares: FloatArray
    costs: FloatArray

    @classmethod
    def of(cls, history: History) -> "_Belief":
        shares, costs = history.target_costs()
        sources = history.space.sources
        return cls(_LAW.fit(_data(sources, shares, costs)), sources, shares, costs)

    def conditioned(self, shares: FloatArray) -> "_Belief":
        """Conditioned on these mixtures [m, S] at their posterior mean."""
        costs = np.concatenate([self.costs, self.of_mixtures(shares)[0]])
        shares = np.concatenate([self.shares, shares])
        fitted = _LAW.refit(_data(self.sources, shares, costs), self.fitted)
        return _Belief(fitted, self.sources, shares, costs)

    def of_mixtures(self, shares: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Means and standard deviations [C]."""
        squares = shares**2
        return self.fitted.costs(squares)[:, 0], self.fitted.uncertainty(squares)[:, 0]


def _data(sources: tuple[str, ...], shares: FloatArray, costs: FloatArray) -> LawData:
    own = np.array([-1], dtype=np.int64)
    return LawData(sources, ("target",), shares**2, costs[:, None], UNKNOWN_SCALE, own)


def _offered(history: History, rng: np.random.Generator) -> FloatArray:
    """Mixtures to choose among [C, S]: of a pool all; else draws, corners, and steps from the best."""
    space = history.space
    if space.pool is not None:
        return untried_rows(history, space.target)
    drawn = space.drawn(_DRAWN, rng)
    corners = np.stack([space.region.linear_minimum(-axis).shares for axis in np.eye(len(space.sources))])
    shares, costs = history.target_costs()
    best = shares[np.argsort(costs, kind="stable")[:_STARTS]]
    # What was observed may lie outside.
    starts = np.stack([space.region.project(row).shares for row in best])
    return np.concatenate([drawn, corners, _steps(history, starts, drawn, corners, rng)])


def _steps(
    history: History, starts: FloatArray, drawn: FloatArray, corners: FloatArray, rng: np.random.Generator
) -> FloatArray:
    """Steps of random length inside the region, one in five up to its border.

    A direction is the difference of two mixtures of the region: along it sums and fixed ratios stay.
    """
    region = history.space.region
    begin = starts[rng.integers(len(starts), size=_STEPS)]

    def ends() -> FloatArray:
        inner = drawn[rng.integers(len(drawn), size=_STEPS)]
        outer = corners[rng.integers(len(corners), size=_STEPS)]
        return np.where(rng.random((_STEPS, 1)) < 0.5, inner, outer)

    way = ends() - ends()
    with np.errstate(divide="ignore", invalid="ignore"):
        room = np.where(way > 0, (region.upper - begin) / way, (region.lower - begin) / way)
    farthest = np.where(way != 0, room, np.inf).min(axis=1)
    farthest[~np.isfinite(farthest)] = 0.0
    length = farthest * np.minimum(1.25 * rng.random(_STEPS), 1.0) ** 3
    result: FloatArray = np.clip(begin + length[:, None] * way, region.lower, region.upper)
    return result
