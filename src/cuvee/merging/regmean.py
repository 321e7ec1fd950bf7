"""RegMean: each linear layer is fitted to what the layers of all members would put out.

    W^T = (sum_k w_k G_k)^-1 sum_k w_k G_k W_k^T       G_k = a X_k^T X_k / n + (1 - a) its diagonal

which minimises sum_k w_k tr((W - W_k) G_k (W - W_k)^T), for a = 1 the squared differences of outputs on the
text of each member. Biases, norms and embeddings are averaged linearly. Jin et al. 2022,
https://arxiv.org/abs/2212.09849.

Solved for the difference from the seed model, W^T = W_0^T + (sum w G)^-1 sum w G (W_k - W_0)^T, which is the
same and loses no digits of short branches. float64, by Cholesky: a ridge relative to the trace stands in
every G_k, so it draws to the weighted mean and one member alone comes out as it is. A member none of whose
tokens reached a layer (an expert that slept) has no say there, and if all slept the mean is taken.

Price: 2 K d N FLOPs a merge (d: the width of inputs), d times those of the linear one, and d^3/3 a layer for
the factor; Gram matrices take 4 K sum d^2 bytes.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cuvee.merging.linear import LinearMerge
from cuvee.merging.pool import FlatPool
from cuvee.merging.simplex import on_simplex, statistics_of
from cuvee.merging.statistics import GRAM, Statistics
from cuvee.models.layout import Entry
from cuvee.models.linear_inputs import LinearInput
from cuvee.types import FloatArray

_RIDGE = 1e-6
_NOTHING = 1e-12
"""Stands for the mean of a diagonal where a member saw nothing."""


@dataclass(frozen=True)
class RegMean:
    """RegMean."""

    paper: str = "https://arxiv.org/abs/2212.09849"
    deviations: str = (
        "Members have weights, solved by Cholesky with a ridge in place of an inverse; inputs are those of "
        "the members' own training text."
    )
    alpha: float = 0.9
    """a: how much of what lies off the diagonals of Gram matrices is kept. 0.9 ranks trained mixtures better
    than 0.1 and linear merges do (``benchmarks/mergers.md``)."""

    def merge(self, pool: FlatPool, weights: FloatArray, out: Tensor | None = None) -> Tensor:
        """Merged parameters [N] float32; see ``Merger.merge``.

        Raises:
            MixtureError: weights off the simplex.
            ConfigError: the pool has no Gram matrices.
        """
        weights = on_simplex(weights, len(pool.roster.members), "RegMean")
        known = statistics_of(pool, GRAM, "RegMean")
        merged = LinearMerge().merge(pool, weights, out)
        if weights.max() == 1.0:
            return merged
        for layer in self._layers(pool, known, weights):
            for entry in layer.input.weights:
                step = layer.solved(layer.pull(entry))
                matrix = layer.input.matrix(merged, entry)
                matrix.copy_(layer.input.matrix(pool.seed, entry).double() + step)
        return merged

    def vjp(self, pool: FlatPool, weights: FloatArray, direction: Tensor) -> FloatArray:
        """By the quotient rule: <V, A^-1 G_k (D_k - X)>, with A the sum and X the solution; see
        ``Merger.vjp``. Derivatives in linear layers are those along the simplex: their weights have no
        scale."""
        weights = on_simplex(weights, len(pool.roster.members), "RegMean")
        known, rest = statistics_of(pool, GRAM, "RegMean"), direction.clone()
        total = torch.zeros(len(weights), dtype=torch.float64, device=pool.bank.device)
        for layer in self._layers(pool, known, weights):
            for entry in layer.input.weights:
                slope = layer.solved(layer.input.matrix(direction, entry).double())
                total += layer.derivatives(entry, slope)
                entry.view(rest).zero_()
        return np.asarray(pool.project(rest) + total.cpu().numpy())

    def _layers(self, pool: FlatPool, known: Statistics, weights: FloatArray) -> Iterator["_Layer"]:
        for place, one in enumerate(known.inputs):
            grams = [self._shrunk(known.gram(row, place)) for row in range(len(weights))]
            yield _Layer(pool, one, weights, grams)

    def _shrunk(self, gram: Tensor) -> Tensor:
        wide = gram.double()
        diagonal = wide.diagonal()
        shrunk = self.alpha * wide
        shrunk.diagonal().copy_(diagonal + _RIDGE * diagonal.mean() + _NOTHING)
        return shrunk


class _Layer:
    """The equations of the layers that share an input; float64."""

    def __init__(self, pool: FlatPool, given: LinearInput, weights: FloatArray, grams: list[Tensor]) -> None:
        self.input = given
        self._pool, self._weights, self._grams = pool, weights, grams
        system = torch.zeros_like(grams[0])
        for weight, gram in zip(weights, grams, strict=True):
            system.add_(gram, alpha=float(weight))
        self._factor = torch.linalg.cholesky(system)

    def solved(self, right: Tensor) -> Tensor:
        """The system's solution [d, out] for a right side."""
        return torch.cholesky_solve(right, self._factor)

    def pull(self, entry: Entry) -> Tensor:
        """sum_k w_k G_k D_k [d, out], with D_k the difference of a member from the seed model."""
        pulled = None
        for row in np.flatnonzero(self._weights):
            part = self._grams[row] @ self._delta(int(row), entry)
            part.mul_(float(self._weights[row]))
            pulled = part if pulled is None else pulled.add_(part)
        assert pulled is not None  # weights sum to one
        return pulled

    def derivatives(self, entry: Entry, slope: Tensor) -> Tensor:
        """<slope, G_k (D_k - X)> for every member [K]."""
        solution = self.solved(self.pull(entry))
        pairs = enumerate(self._grams)
        return torch.stack([((gram @ slope) * (self._delta(k, entry) - solution)).sum() for k, gram in pairs])

    def _delta(self, row: int, entry: Entry) -> Tensor:
        branch, seed = self._pool.branches[row], self._pool.seed
        return self.input.matrix(branch, entry).double() - self.input.matrix(seed, entry).double()
