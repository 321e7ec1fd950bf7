"""Laws judged on runs that they did not see: cross-validation by run.

Every run is predicted once by a fit without it. All spread and all accuracy that cuvee shows comes from here.
"""

from dataclasses import dataclass
from functools import partial
from typing import Protocol, runtime_checkable

import numpy as np
from scipy.stats import rankdata

from cuvee.errors import ConfigError
from cuvee.execution.interface import Executor, Report
from cuvee.execution.local import InProcess
from cuvee.laws.interface import FittedLaw, Law, LawData, Refittable
from cuvee.types import BoolArray, FloatArray, IntArray

FOLDS = 5
FEW_RUNS = 40
"""Below that, ``FOLDS_OF_FEW`` folds: a fifth of few runs is missed too much."""
FOLDS_OF_FEW = 10


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Predictions of runs by fits without them."""

    predicted: FloatArray
    """Costs [R, E]."""
    deviation: FloatArray
    """[R, E], see ``FittedLaw.deviation``."""
    costs: FloatArray
    """What was measured [R, E]; NaN where it was not."""
    fold: IntArray
    """[R]."""

    @property
    def residuals(self) -> FloatArray:
        """Measured minus predicted [R, E]."""
        return self.costs - self.predicted

    def spearman(self) -> FloatArray:
        """Rank correlation [E] over all runs."""
        return np.array([_correlation(rankdata(p), rankdata(c)) for p, c in self._columns()])

    def r_squared(self) -> FloatArray:
        """One minus the residual sum of squares over that of the mean [E]."""
        return np.array([1.0 - ((c - p) ** 2).sum() / max(((c - c.mean()) ** 2).sum(), 1e-300)
                         for p, c in self._columns()])  # fmt: skip

    def mean_absolute_error(self) -> FloatArray:
        """In the unit of each metric [E]."""
        result: FloatArray = np.nanmean(np.abs(self.residuals), axis=0)
        return result

    def select(self, rows: BoolArray) -> "HeldOut":
        """Some of the runs."""
        return HeldOut(self.predicted[rows], self.deviation[rows], self.costs[rows], self.fold[rows])

    def combined(self, weights: FloatArray) -> "HeldOut":
        """A weighted sum [E] of the metrics as one, over the runs in which all of them were measured."""
        deviation = np.sqrt((self.deviation**2) @ (weights**2))
        return HeldOut(
            (self.predicted @ weights)[:, None], deviation[:, None],
            (np.where(weights == 0, 0.0, self.costs) @ weights)[:, None], self.fold,
        )  # fmt: skip

    def _columns(self) -> list[tuple[FloatArray, FloatArray]]:
        measured = np.isfinite(self.costs)
        return [
            (self.predicted[rows, index], self.costs[rows, index]) for index, rows in enumerate(measured.T)
        ]


@dataclass(frozen=True, eq=False)
class Validated:
    """A law fitted to all runs, and what it said of runs it had not seen."""

    fitted: FittedLaw
    held_out: HeldOut


@runtime_checkable
class Validates(Protocol):
    """A law that knows how to cross-validate itself, as one that learns from members' held-out errors."""

    def validate(self, data: LawData, *, seed: int = 0, executor: Executor | None = None) -> Validated:
        """See ``validate``."""
        ...


def validate(law: Law, data: LawData, *, seed: int = 0, executor: Executor | None = None) -> Validated:
    """Fit a law to all runs, and once more for each fold without it.

    Args:
        law: what is fitted.
        data: at least three runs.
        seed: of the folds and of the law.
        executor: where folds are fitted; default here.

    Raises:
        ConfigError: fewer than three runs.
    """
    if isinstance(law, Validates):
        return law.validate(data, seed=seed, executor=executor)
    if len(data) < 3:
        raise ConfigError(f"{len(data)} runs are too few for a law that can be checked; three is the least")
    fitted = law.fit(data, seed)
    fold = folds(len(data), seed)
    near = fitted if isinstance(law, Refittable) else None
    job = partial(without, law, data, fold, near, seed)
    predicted, deviation = np.empty(data.costs.shape), np.empty(data.costs.shape)
    for index, (mean, spread) in (executor or InProcess()).map(job, range(int(fold.max()) + 1)):
        predicted[fold == index], deviation[fold == index] = mean, spread
    return Validated(fitted, HeldOut(predicted, deviation, data.costs, fold))


def folds(runs: int, seed: int) -> IntArray:
    """A fold for each run [R], all of about one size."""
    count = min(runs, FOLDS if runs >= FEW_RUNS else FOLDS_OF_FEW)
    return np.random.default_rng(seed).permutation(runs) % count


def without(
    law: Law, data: LawData, fold: IntArray, near: FittedLaw | None, seed: int, left_out: int, report: Report
) -> tuple[FloatArray, FloatArray]:
    """Predictions of a fold by a fit to the others."""
    rest = data.select(fold != left_out)
    fitted = law.refit(rest, near, seed) if isinstance(law, Refittable) else law.fit(rest, seed)
    asked = data.select(fold == left_out)
    return fitted.costs(asked.shares, asked.scale), fitted.uncertainty(asked.shares, asked.scale)


def _correlation(left: FloatArray, right: FloatArray) -> float:
    left, right = left - left.mean(), right - right.mean()
    size = float(np.sqrt((left @ left) * (right @ right)))
    return float(left @ right) / size if size > 0 else float("nan")
