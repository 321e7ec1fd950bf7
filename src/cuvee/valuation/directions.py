"""Directions of parameters along which the target's loss changes: raw, Adam's, Newton's.

    raw      g_t
    adam     g_t / (sqrt(v) + eps), with the second moment that the proxy's training left
    newton   (H + lambda I)^-1 g_t, H the Hessian of the loss on the pool, by conjugate gradients

Conjugate gradients stop where H + lambda I is not positive along a search direction, as truncated Newton
methods do (Nocedal & Wright 2006, algorithm 7.1); for a convex loss they end at the solution.
"""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from cuvee.valuation.derivatives import with_tangents

Direction = Literal["raw", "adam", "newton"]
DAMPING = 1e-2
"""lambda, as a part of the curvature along the gradient: chosen by hand, large enough that directions without
curvature do not decide."""
ITERATIONS = 20
"""Of conjugate gradients; each costs a gradient with tangents over the documents behind H."""
TOLERANCE = 1e-6

Loss = Callable[[Tensor], Tensor]
"""From parameters [N] to a scalar, twice differentiable."""


def hessian_product(loss: Loss, flat: Tensor, vector: Tensor) -> Tensor:
    """H v [N], by a forward derivative of the gradient: about five forward passes."""
    with with_tangents():
        found: Tensor = torch.func.jvp(torch.func.grad(loss), (flat,), (vector,))[1]
    return found


def newton_direction(
    loss: Loss, flat: Tensor, gradient: Tensor, damping: float = DAMPING, iterations: int = ITERATIONS
) -> Tensor:
    """(H + lambda I)^-1 g [N].

    Args:
        loss: whose Hessian H is.
        flat: parameters [N].
        gradient: g [N].
        damping: lambda, as a part of the curvature along g.
        iterations: at most.
    """
    norm = float(gradient.norm())
    if norm == 0.0:
        return torch.zeros_like(gradient)
    along = hessian_product(loss, flat, gradient)
    absolute = damping * abs(float(gradient @ along)) / norm**2
    solution, residual = torch.zeros_like(gradient), gradient.clone()
    step, square = residual.clone(), norm**2
    for iteration in range(iterations):
        moved = (along if iteration == 0 else hessian_product(loss, flat, step)) + absolute * step
        curvature = float(step @ moved)
        if curvature <= 0.0:
            return solution if iteration else gradient
        length = square / curvature
        solution, residual = solution + length * step, residual - length * moved
        before, square = square, float(residual @ residual)
        if square <= (TOLERANCE * norm) ** 2:
            break
        step = residual + square / before * step
    return solution
