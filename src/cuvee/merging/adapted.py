"""Pools of adapters, and their merges: the weighted sum of the products.

    theta = theta_seed + sum_k w_k (alpha / r) B_k A_k

Exactly what linear merging of the adapted models gives. The average of the factors is not: it has products of
the A of one branch with the B of another. The sum is one product of rank K r for each matrix: factors stand
side by side, each weight in its left one. It is made dense, once a merge, which costs as much as a forward
pass over K r tokens. Left as factors it would add K r (inputs + outputs) / (inputs outputs) to the price of
every token, so dense is cheaper from about inputs / 2 tokens on, and merges are scored on thousands.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from cuvee.merging.linear import coefficients_of
from cuvee.merging.pool import FlatPool
from cuvee.models.adapted import AdaptedModel
from cuvee.models.interface import CausalModel
from cuvee.types import FloatArray

_BLOCK_PARAMETERS = 1 << 16


@dataclass(frozen=True, eq=False)
class AdaptedPool(FlatPool):
    """A pool whose bank [K + 1, n] holds the factors of adapters, the untrained ones in row 0.

    Lengths, angles and derivatives are those of the products, in the parameters [N] of the model.
    """

    model: AdaptedModel = field(kw_only=True)

    @property
    def size(self) -> int:
        """N, parameters of the model."""
        return self.model.base.layout.size

    @property
    def seed(self) -> Tensor:
        """Parameters of the seed model [N]."""
        return self.model.frozen.to(self.bank.device)

    @property
    def merge_flops(self) -> float:
        """FLOPs of one merge of all members."""
        return len(self.roster.members) * self.model.adapter_layout.product_flops

    def to(self, device: torch.device | str) -> "AdaptedPool":
        """The pool on another device."""
        return replace(self, bank=self.bank.to(device))

    def delta_blocks(self) -> Iterator[tuple[slice, Tensor]]:
        """Products [K, block], some rows of a matrix at a time; what is not adapted has none."""
        for one, left, right in self.model.adapter_layout.split(self.branches):
            rows, columns = one.entry.shape
            step = max(1, _BLOCK_PARAMETERS // columns) if self.bank.device.type == "cpu" else rows
            for first in range(0, rows, step):
                last = min(first + step, rows)
                part = slice(one.entry.offset + first * columns, one.entry.offset + last * columns)
                yield part, (left[:, first:last] @ right).flatten(1) * self.model.adapters.scale


def with_model(pool: FlatPool, model: CausalModel) -> FlatPool:
    """A pool together with the model that its rows adapt; a pool of whole models is itself."""
    return AdaptedPool(pool.roster, pool.bank, model=model) if isinstance(model, AdaptedModel) else pool


@dataclass(frozen=True)
class SummedProducts:
    """Linear merging of a pool of adapters."""

    paper: str = "https://arxiv.org/abs/2212.04089"
    deviations: str = "Weights lie on the simplex, where the paper has one free scale."

    def merge(self, pool: FlatPool, weights: FloatArray, out: Tensor | None = None) -> Tensor:
        """Merged parameters of the model [N] float32; see ``Merger.merge``.

        Weight one on one member gives what ``AdaptedModel.full`` gives for it, bit for bit.

        Raises:
            MixtureError: weights of the wrong length or not finite.
            TypeError: a pool of whole models.
        """
        if not isinstance(pool, AdaptedPool):
            raise TypeError("merge: products are those of adapters, and this is a pool of whole models")
        members = coefficients_of(weights, len(pool.roster.members))[1:]
        used = np.flatnonzero(members)
        seed = pool.seed
        buffer = torch.empty_like(seed) if out is None else out
        buffer.copy_(seed)
        if len(used):
            # Rows one by one: an index that is sent to a device would wait for the merge before.
            factors = torch.stack([pool.branches[row] for row in used])
            for entry, change in pool.model.changes(factors, members[used].tolist()):
                entry.view(buffer).add_(change)
        return buffer

    def vjp(self, pool: FlatPool, weights: FloatArray, direction: Tensor) -> FloatArray:
        """Inner products of ``direction`` with the products, wherever the weights are; see ``Merger.vjp``."""
        return pool.project(direction)
