"""Derivatives of a merge's loss in its weights and scale (floor 4).

    dL/dw_k = scale <grad L(theta), delta_k>        dL/dscale = sum_k w_k <grad L(theta), delta_k>

One backward pass to the merged flat vector, then one product with the deltas: all K derivatives for 2.7
forward passes, whatever K is. Equal to autograd through the combination, without keeping it.
Exact for the proxy; the proxy is not the training.
"""

from dataclasses import dataclass

import numpy as np

from cuvee.evaluation.likelihood import Evaluator
from cuvee.merging.linear import Linear
from cuvee.merging.pool import FlatPool
from cuvee.types import FloatArray


@dataclass(frozen=True, eq=False)
class MergeGradient:
    """A weighted loss of one merge with its derivatives."""

    value: float
    weights: FloatArray
    """dL/dw [K], in nats per token per unit of weight, the weights taken as free."""
    scale: float
    """dL/dscale"""


def merge_gradient(
    evaluator: Evaluator, pool: FlatPool, weights: FloatArray, target: FloatArray, scale: float = 1.0
) -> MergeGradient:
    """Weighted loss of a merge and its derivatives.

    Args:
        evaluator: what is scored.
        pool: the members.
        weights: [K]; may be off the simplex.
        target: weight of each evaluation's nats per token [E].
        scale: of the merge.
    """
    flat = Linear().merge(pool, weights, scale).requires_grad_()
    token_weights = evaluator.token_weights(target)
    value = 0.0
    for part, inputs, targets in evaluator.batches():
        coefficient = token_weights[part].to(flat.device)
        if not coefficient.any():
            continue
        log_probs = evaluator.model.token_log_probs(flat, inputs.to(flat.device), targets.to(flat.device))
        loss = -(log_probs[: part.stop - part.start].double() * coefficient).sum()
        loss.backward()
        value += loss.item()
    along = np.zeros(len(weights)) if flat.grad is None else pool.project(flat.grad)
    return MergeGradient(value, scale * along, float(np.asarray(weights) @ along))
