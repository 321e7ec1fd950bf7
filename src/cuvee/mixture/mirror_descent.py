"""Mirror descent on the simplex with bounds: the one optimiser of mixtures that have gradients.

    w' = argmin over the region of  <g, w'> + KL(w' || w) / step

which multiplies each share by exp(-step g) and projects in the sense of KL (Beck & Teboulle 2003;
exponentiated gradient, Kivinen & Warmuth 1997). The step is shortened until the loss is below its model,
f + <g, w' - w> + KL(w' || w) / step, and grows again after (Lu, Freund & Nesterov,
https://arxiv.org/abs/1610.05708). Rounding of the loss ends the descent at gaps of about 1e-7.

The gap <g, w> - min over the region of <g, v> (Frank & Wolfe 1956) decides when to stop. For a convex loss it
bounds what is left: f(w) - min f <= gap. For others it measures how far the point is from stationary.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from cuvee.errors import NonFiniteLoss
from cuvee.mixture.mixture import Mixture
from cuvee.mixture.region import Region
from cuvee.types import FloatArray

ValueAndGradient = Callable[[FloatArray], tuple[float, FloatArray]]
"""From shares [S] to a loss and its derivatives [S]."""

Outcome = Literal["converged", "stalled", "out of steps"]

_GROWTH = 2.0
_ROUNDING = 1e-13
_SMALLEST_STEP = 1e-8
_LARGEST_STEP = 1e8


@dataclass(frozen=True, eq=False)
class Optimum:
    """Where a descent ended, and how."""

    mixture: Mixture
    value: float
    gap: float
    """For a convex loss, an upper bound on ``value`` minus the lowest value in the region."""
    outcome: Outcome
    """``stalled``: no step lowers the loss beyond rounding, though the gap is above the tolerance."""
    evaluations: int
    """Calls of the loss with its gradient."""
    values: FloatArray
    """The loss at every accepted point, the start first."""
    gaps: FloatArray
    shares: FloatArray
    """Every accepted point [steps + 1, S]."""


def mirror_descent(
    objective: ValueAndGradient,
    region: Region,
    start: Mixture | None = None,
    *,
    tolerance: float = 1e-5,
    max_evaluations: int = 500,
    first_step: float = 1.0,
) -> Optimum:
    """Lower a loss inside a region.

    Args:
        objective: loss and gradient in the shares of ``region.names``.
        region: where to stay.
        start: default the projection of uniform shares. A share that is zero here stays zero.
        tolerance: of the gap, in the unit of the loss.
        max_evaluations: of the loss with its gradient.
        first_step: in shares' log-ratio per unit of loss.

    Raises:
        NonFiniteLoss: the loss or its gradient at the start is not finite.
    """
    uniform = np.full(len(region.names), 1.0 / len(region.names))
    point = region.kl_project(uniform if start is None else start.reindexed(region.names).shares).shares
    value, gradient = objective(point)
    if not (np.isfinite(value) and np.isfinite(gradient).all()):
        raise NonFiniteLoss(f"mirror descent: the loss at the start is {value}; start from another mixture")
    gap, step, evaluations = _gap(region, point, gradient), first_step, 1
    path = [(point, value, gap)]
    outcome: Outcome = "converged" if gap <= tolerance else "out of steps"
    while outcome != "converged" and evaluations < max_evaluations:
        factors = np.exp(np.minimum(-step * (gradient - gradient[point > 0].min()), 0.0))
        trial = region.kl_project(np.where(point > 0, np.maximum(point * factors, 1e-300), 0.0)).shares
        trial_value, trial_gradient = objective(trial)
        evaluations += 1
        model = float(gradient @ (trial - point)) + _divergence(trial, point) / step
        if np.isfinite(trial_value) and trial_value - value <= model + _ROUNDING * max(1.0, abs(value)):
            point, value, gradient = trial, trial_value, trial_gradient
            gap = _gap(region, point, gradient)
            path.append((point, value, gap))
            step = min(step * _GROWTH, _LARGEST_STEP)
            outcome = "converged" if gap <= tolerance else "out of steps"
        else:
            step /= 2 * _GROWTH
            if step < _SMALLEST_STEP:
                outcome = "stalled"
                break
    best = min(range(len(path)), key=lambda index: path[index][1])
    return Optimum(
        Mixture(region.names, path[best][0]),
        path[best][1],
        path[best][2],
        outcome,
        evaluations,
        np.array([value for _, value, _ in path]),
        np.array([gap for _, _, gap in path]),
        np.array([point for point, _, _ in path]),
    )


def over_sources(objective: ValueAndGradient, spread: FloatArray) -> ValueAndGradient:
    """A loss in member weights [K] as a loss in source shares [S]; ``spread`` [S, K] from the roster."""

    def in_shares(shares: FloatArray) -> tuple[float, FloatArray]:
        value, gradient = objective(shares @ spread)
        return value, spread @ gradient

    return in_shares


def _gap(region: Region, point: FloatArray, gradient: FloatArray) -> float:
    return float(gradient @ (point - region.linear_minimum(gradient).shares))


def _divergence(left: FloatArray, right: FloatArray) -> float:
    """KL(left || right) between shares."""
    used = left > 0
    return float((left[used] * np.log(left[used] / np.maximum(right[used], 1e-300))).sum())
