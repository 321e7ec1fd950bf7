"""Many small non-linear least squares at once: Levenberg-Marquardt on a batch.

    min over theta of  sum_r a_r h((y_r - f_r(theta)) / s) s^2 / (2 v) + (theta - m)' diag(p) (theta - m) / 2

with h the square or Huber's function. A batch is one axis: metrics, starts and resamples of one law are
solved together, as one set of array operations, which is what makes bootstraps cheap. The damping is
Marquardt's (1963), scaled by the diagonal, one factor for each problem; Huber's function enters by weights
that leave the gradient exact (iteratively reweighted; Holland & Welsch 1977). No problem ever gets worse.

Shapes: B problems, R runs, P parameters. Cost of a step: O(B (R P^2 + P^3)) and one Jacobian. Many large
problems are solved some at a time, in parts that depend on these sizes alone.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from cuvee.types import FloatArray, IntArray

Model = Callable[[FloatArray], FloatArray]
"""From parameters [B, P] to predictions [B, R]."""
ModelAndJacobian = Callable[[FloatArray], tuple[FloatArray, FloatArray]]
"""From parameters [B, P] to predictions [B, R] and their derivatives [B, R, P]."""

_FIRST_DAMPING = 1e-2
_LARGEST_DAMPING = 1e10
_SMALLEST_DAMPING = 1e-10  # keeps parameters that nothing depends on from making a step impossible
_EASIER, _HARDER = 0.3, 6.0
_MOST_NUMBERS = 30_000_000  # of derivatives in memory: a quarter of a gigabyte
_LARGEST_STEP = 2.0  # in any parameter: they are logarithms, or of order one


@dataclass(frozen=True)
class Target:
    """What the batch is fitted to."""

    values: FloatArray
    """[B, R]; entries of weight zero are never read but must be finite."""
    weights: FloatArray
    """[B, R], at least zero."""
    variance: FloatArray
    """[B] of the residuals; divides the sum of squares."""
    huber: FloatArray | None = None
    """[B] residual beyond which the cost grows linearly; none for squares."""

    def select(self, problems: IntArray) -> "Target":
        """Of some of the problems."""
        huber = None if self.huber is None else self.huber[problems]
        return Target(self.values[problems], self.weights[problems], self.variance[problems], huber)


@dataclass(frozen=True)
class ParameterPrior:
    """Independent normal priors on the parameters."""

    mean: FloatArray
    """[B, P]."""
    precision: FloatArray
    """[B, P], at least zero; zero for none."""

    def select(self, problems: IntArray) -> "ParameterPrior":
        """Of some of the problems."""
        return ParameterPrior(self.mean[problems], self.precision[problems])


@dataclass(frozen=True)
class Solution:
    """Where the batch ended."""

    parameters: FloatArray
    """[B, P]."""
    objective: FloatArray
    """[B], of the data and the prior together."""
    curvature: FloatArray
    """[B, P, P]: the Gauss-Newton second derivatives of the objective."""


def solve(
    value: Model,
    value_and_jacobian: ModelAndJacobian,
    start: FloatArray,
    target: Target,
    prior: ParameterPrior,
    *,
    steps: int = 100,
    tolerance: float = 1e-10,
    lower: FloatArray | float = -np.inf,
    upper: FloatArray | float = np.inf,
) -> Solution:
    """Minimise every problem of the batch from its start [B, P].

    Args:
        value: predictions alone, for trial steps.
        value_and_jacobian: predictions and derivatives.
        start: parameters to begin with.
        target: data of each problem.
        prior: of each problem.
        steps: of the whole batch, at most; finished problems wait.
        tolerance: a problem is finished when a step lowers its objective by less than this share of it.
        lower: bounds [P]; parameters that would leave them are kept on them.
        upper: see ``lower``.
    """
    if len(start) > (most := problems_at_once(target.values.shape[1], start.shape[1])):
        options: dict[str, Any] = {"steps": steps, "tolerance": tolerance}
        options |= {"lower": lower, "upper": upper}
        return _together(
            solve(value, value_and_jacobian, start[some], target.select(some), prior.select(some), **options)
            for some in np.array_split(np.arange(len(start)), -(-len(start) // most))
        )
    theta = np.clip(start, lower, upper)
    predicted, jacobian = value_and_jacobian(theta)
    objective = _objective(predicted, theta, target, prior)
    curvature, slope = _derivatives(predicted, jacobian, theta, target, prior)
    damping = np.full(len(theta), _FIRST_DAMPING)
    diagonal = np.arange(theta.shape[1])
    active: IntArray = np.arange(len(theta))
    for _ in range(steps):
        here, pull = theta[active], slope[active]
        damped = curvature[active]
        scale = np.maximum(damped[:, diagonal, diagonal], 1e-12)
        damped[:, diagonal, diagonal] += scale * damping[active, None]
        stuck = ((here <= lower) & (pull > 0)) | ((here >= upper) & (pull < 0))
        if stuck.any():  # a parameter that wants to leave through its bound does not pull the others along
            damped *= ~(stuck[:, :, None] | stuck[:, None, :])
            damped[:, diagonal, diagonal] += stuck * scale
            pull = np.where(stuck, 0.0, pull)
        step = -np.linalg.solve(damped, pull[..., None])[..., 0]
        trial = np.clip(here + np.clip(step, -_LARGEST_STEP, _LARGEST_STEP), lower, upper)
        reached = _objective(value(trial), trial, target.select(active), prior.select(active))
        gain = objective[active] - reached
        better = gain > 0
        damping[active] = np.maximum(damping[active] * np.where(better, _EASIER, _HARDER), _SMALLEST_DAMPING)
        done = (better & (gain <= tolerance * np.abs(objective[active]))) | (
            damping[active] > _LARGEST_DAMPING
        )
        moved = active[better]
        theta[moved], objective[moved] = trial[better], reached[better]
        if len(moved):
            predicted, jacobian = value_and_jacobian(theta[moved])
            curvature[moved], slope[moved] = _derivatives(
                predicted, jacobian, theta[moved], target.select(moved), prior.select(moved)
            )
        active = active[~done]
        if not len(active):
            break
    return Solution(theta, objective, curvature)


def problems_at_once(runs: int, parameters: int) -> int:
    """How many problems share one array of derivatives, so that memory does not grow with all of them."""
    return max(1, _MOST_NUMBERS // (runs * parameters))


def _together(parts: Iterable[Solution]) -> Solution:
    found = list(parts)
    return Solution(
        *(
            np.concatenate([getattr(one, name) for one in found])
            for name in ("parameters", "objective", "curvature")
        )
    )


def _objective(predicted: FloatArray, theta: FloatArray, target: Target, prior: ParameterPrior) -> FloatArray:
    residual = target.values - predicted
    if target.huber is None:
        cost = 0.5 * residual**2
    else:
        size, limit = np.abs(residual), target.huber[:, None]
        cost = np.where(size <= limit, 0.5 * residual**2, limit * (size - 0.5 * limit))
    data = (target.weights * cost).sum(axis=1) / target.variance
    result: FloatArray = data + 0.5 * (prior.precision * (theta - prior.mean) ** 2).sum(axis=1)
    return np.where(np.isfinite(result), result, np.inf)


def _derivatives(
    predicted: FloatArray, jacobian: FloatArray, theta: FloatArray, target: Target, prior: ParameterPrior
) -> tuple[FloatArray, FloatArray]:
    """Curvature [B, P, P] and slope [B, P] of the objective."""
    residual = target.values - predicted
    weights = target.weights / target.variance[:, None]
    if target.huber is not None:
        weights = weights * np.minimum(1.0, target.huber[:, None] / np.maximum(np.abs(residual), 1e-300))
    weighted = jacobian * weights[..., None]
    curvature = np.matmul(weighted.transpose(0, 2, 1), jacobian)
    slope = -np.matmul(residual[:, None, :], weighted)[:, 0] + prior.precision * (theta - prior.mean)
    diagonal = np.arange(theta.shape[1])
    curvature[:, diagonal, diagonal] += prior.precision
    return curvature, slope
