"""Derivatives of a merge's loss in its weights.

    dL/dw_k = <grad L(theta), dtheta/dw_k>        for linear merges dtheta/dw_k is delta_k

One backward pass to the merged flat vector, then the merger's vector-Jacobian product: all K derivatives for
2.7 forward passes, whatever K is. Equal to autograd through the combination, without keeping it.
Exact for the proxy; the proxy is not the training.
"""

import numpy as np

from cuvee.evaluation.likelihood import Evaluator
from cuvee.merging.interface import Merger
from cuvee.merging.pool import FlatPool
from cuvee.types import FloatArray


def merge_gradient(
    evaluator: Evaluator, pool: FlatPool, merger: Merger, weights: FloatArray, target: FloatArray
) -> tuple[float, FloatArray]:
    """Weighted loss of a merge and its derivatives in the weights [K], taken as free.

    Args:
        evaluator: what is scored.
        pool: the members.
        merger: how they are merged.
        weights: [K]; may be off the simplex.
        target: weight of each evaluation's nats per token [E].
    """
    flat = merger.merge(pool, weights).requires_grad_()
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
    if flat.grad is None:
        return value, np.zeros(len(weights))
    return value, merger.vjp(pool, weights, flat.grad)
