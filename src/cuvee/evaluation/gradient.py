"""Derivatives of a merge's loss in its weights.

    dL/dw_k = <grad L(theta), dtheta/dw_k>        for linear merges dtheta/dw_k is delta_k

One backward pass to the merged flat vector, then the merger's vector-Jacobian product: all K derivatives for
2.7 forward passes, whatever K is. Equal to autograd through the combination, without keeping it.
Exact for the proxy; the proxy is not the training. Nothing is copied back from a device before the end.
"""

import numpy as np
import torch

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
    windows, token_weights = evaluator.batched(flat.device, backward=True), evaluator.token_weights(target)
    weighted, coefficients = token_weights.any(dim=1), token_weights.to(flat.device)
    value = torch.zeros((), dtype=torch.float64, device=flat.device)
    for part, inputs, targets in windows.batches():
        if weighted[part].any():
            log_probs = evaluator.model.token_log_probs(flat, inputs, targets)
            loss = -(log_probs[: part.stop - part.start].double() * coefficients[part]).sum()
            loss.backward()
            value += loss.detach()
    if flat.grad is None:
        return float(value), np.zeros(len(weights))
    return float(value), merger.vjp(pool, weights, flat.grad)
