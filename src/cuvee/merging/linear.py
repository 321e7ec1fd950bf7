"""The weighted mean of models, as task arithmetic.

    theta = theta_seed + sum_k w_k (theta_k - theta_seed) = (1 - sum_k w_k) theta_seed + sum_k w_k theta_k

Ilharco et al., https://arxiv.org/abs/2212.04089; uniform weights are Na et al.,
https://arxiv.org/abs/2410.15661. The right side is what is computed: one pass over the pool, 2 K N FLOPs,
bound by memory.

Chosen by measurement (one core, K = 8 and 32, N = 1.5 and 3.9 million): one matrix-vector product a merge
beats ``W @ P`` in blocks, whose output leaves the cache, and sums block by block. One-axpy updates between
neighbouring merges would save at most some percent beside the forward pass, drift, and make a result
depend on its neighbours. A pool larger than memory is read from disk once a merge.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cuvee.errors import MixtureError
from cuvee.merging.pool import FlatPool
from cuvee.types import FloatArray

_NO_SEED = 1e-9
"""A coefficient of the seed below this is rounding of weights that sum to one."""


@dataclass(frozen=True)
class LinearMerge:
    """Linear merging; the default."""

    paper: str = "https://arxiv.org/abs/2212.04089"
    deviations: str = "Weights lie on the simplex, where the paper has one free scale."

    def merge(self, pool: FlatPool, weights: FloatArray, out: Tensor | None = None) -> Tensor:
        """Merged parameters [N] float32; see ``Merger.merge``.

        Weight one on one member copies it bit for bit.

        Raises:
            MixtureError: weights of the wrong length or not finite.
        """
        coefficients = coefficients_of(weights, len(pool.roster.members))
        buffer = torch.empty(pool.size, device=pool.bank.device) if out is None else out
        used = np.flatnonzero(coefficients)
        if len(used) == 1 and coefficients[used[0]] == 1.0:
            return buffer.copy_(pool.bank[used[0]])
        if 2 * len(used) <= len(coefficients):
            torch.mul(pool.bank[used[0]], float(coefficients[used[0]]), out=buffer)
            for row in used[1:]:
                buffer.add_(pool.bank[row], alpha=float(coefficients[row]))
            return buffer
        # A copy to a device that waits would wait for the merge before, too.
        row_weights = torch.from_numpy(coefficients).float().to(pool.bank.device, non_blocking=True)
        return torch.mv(pool.bank.T, row_weights, out=buffer)

    def vjp(self, pool: FlatPool, weights: FloatArray, direction: Tensor) -> FloatArray:
        """Inner products of ``direction`` with the deltas, wherever the weights are; see ``Merger.vjp``."""
        return pool.project(direction)


def coefficients_of(weights: FloatArray, members: int) -> FloatArray:
    """Coefficients of the rows of the bank, the seed first [K + 1]."""
    weights = np.asarray(weights, dtype=np.float64)
    if weights.shape != (members,):
        raise MixtureError(f"merge: weights {weights.shape} for a pool of {members} members")
    if not np.isfinite(weights).all():
        raise MixtureError(f"merge: weights {weights} are not finite")
    seed = 1.0 - weights.sum()
    return np.concatenate(([seed if abs(seed) > _NO_SEED else 0.0], weights))
