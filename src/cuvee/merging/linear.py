"""The weighted mean of models, as task arithmetic with a scale (floor 3).

    theta = theta_seed + scale * sum_k w_k (theta_k - theta_seed)
          = (1 - scale sum_k w_k) theta_seed + scale sum_k w_k theta_k

Ilharco et al., https://arxiv.org/abs/2212.04089; uniform weights and scale one are Na et al.,
https://arxiv.org/abs/2410.15661. The second line is what is computed: one pass over the pool, 2 K N FLOPs,
bound by memory.

Chosen by measurement (one core, K = 8 and 32, N = 1.5 and 3.9 million): one matrix-vector product a merge
beats ``W @ P`` in blocks, whose output leaves the cache, and sums block by block. One-axpy updates between
neighbouring merges would save at most some percent beside the forward pass, drift, and make a result
depend on its neighbours. A pool larger than memory is read from disk once a merge.
"""

from collections.abc import Iterator
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
class Linear:
    """Linear merging; the default, and the only kind whose gradient in the weights is one product."""

    paper: str = "https://arxiv.org/abs/2212.04089"
    deviations: str = (
        "Weights on the simplex give the ratio and one scale the length, where the paper has free weights."
    )
    linear: bool = True

    def merge(
        self, pool: FlatPool, weights: FloatArray, scale: float = 1.0, out: Tensor | None = None
    ) -> Tensor:
        """Merged parameters [N] float32; see ``Merger.merge``.

        Weight one on one member at scale one copies it bit for bit.

        Raises:
            MixtureError: weights of the wrong length or not finite.
        """
        coefficients = _coefficients(weights, scale, len(pool.roster.members))
        buffer = torch.empty(pool.size, device=pool.bank.device) if out is None else out
        used = np.flatnonzero(coefficients)
        if len(used) == 0:
            return buffer.zero_()
        if len(used) == 1 and coefficients[used[0]] == 1.0:
            return buffer.copy_(pool.bank[used[0]])
        if 2 * len(used) <= len(coefficients):
            torch.mul(pool.bank[used[0]], float(coefficients[used[0]]), out=buffer)
            for row in used[1:]:
                buffer.add_(pool.bank[row], alpha=float(coefficients[row]))
            return buffer
        row_weights = torch.from_numpy(coefficients).to(pool.bank)
        return torch.mv(pool.bank.T, row_weights, out=buffer)


def merge_block(pool: FlatPool, weights: FloatArray, scale: float = 1.0) -> Iterator[Tensor]:
    """Linear merges of the rows of ``weights`` [M, K], one after the other in one buffer [N].

    Each vector is overwritten by the next; copy what is to be kept.
    """
    buffer = torch.empty(pool.size, device=pool.bank.device)
    for row in np.atleast_2d(weights):
        yield Linear().merge(pool, row, scale, buffer)


def _coefficients(weights: FloatArray, scale: float, members: int) -> FloatArray:
    """Coefficients of the rows of the bank, the seed first [K + 1]."""
    weights = np.asarray(weights, dtype=np.float64)
    if weights.shape != (members,):
        raise MixtureError(f"merge: weights {weights.shape} for a pool of {members} members")
    scaled = scale * weights
    if not np.isfinite(scaled).all():
        raise MixtureError(f"merge: weights {weights} at scale {scale} are not finite")
    seed = 1.0 - scaled.sum()
    return np.concatenate(([seed if abs(seed) > _NO_SEED else 0.0], scaled))
