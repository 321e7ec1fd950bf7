"""A small model that stands for the one to be trained; embeddings and derivatives are taken from it."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from cuvee.evaluation.batch_size import BATCH_TOKENS
from cuvee.hashing import digest, digest_bytes
from cuvee.models.interface import CausalModel
from cuvee.types import FloatArray, IntArray
from cuvee.valuation.document_table import DocumentTable
from cuvee.valuation.windows import DocumentWindows

WINDOWS = 4
"""Windows of a document that a model reads, at most: chosen by hand, so that one long document costs no more
than some others."""
LEAST_TOKENS = 16
"""Tokens that a short document is filled up to, with the mean of all: chosen by hand. The mean over two or
three
tokens is mostly chance, and the best and the worst documents would all be of two words."""


def per_token(sums: FloatArray, tokens: FloatArray | IntArray) -> FloatArray:
    """Means over the tokens of documents [n]; short ones are filled up with the mean of all documents.

    Args:
        sums: over the tokens of each document [n].
        tokens: of each document [n].
    """
    mean = float(sums.sum()) / float(tokens.sum())
    missing = np.maximum(LEAST_TOKENS - tokens, 0)
    result: FloatArray = (sums + missing * mean) / np.maximum(tokens, LEAST_TOKENS)
    return result


@dataclass(frozen=True, eq=False)
class ProxyModel:
    """A model with parameters, and Adam's second moment where its training left one."""

    model: CausalModel = field(repr=False)
    flat: Tensor = field(repr=False)
    """Parameters, float32 [N]."""
    second_moment: Tensor | None = field(default=None, repr=False)
    """Adam's running mean of squared gradients, its bias corrected, float32 [N]."""
    epsilon: float = 1e-8
    """Adam's."""

    @cached_property
    def key(self) -> str:
        """Hash of the architecture and the parameters."""
        return digest([self.model.model_hash, digest_bytes(self.flat.contiguous().numpy().tobytes())])

    def moved(self, flat: Tensor) -> "ProxyModel":
        """The same with other parameters."""
        return ProxyModel(self.model, flat, self.second_moment, self.epsilon)

    def preconditioned(self, direction: Tensor) -> Tensor:
        """A gradient [N] as Adam sees it, ``direction / (sqrt(v) + epsilon)``; unchanged without v."""
        if self.second_moment is None:
            return direction
        return direction / (self.second_moment.sqrt() + self.epsilon)

    def windows(self, documents: DocumentTable, rows: IntArray | None = None) -> DocumentWindows:
        """What the model reads of some documents, all by default."""
        rows = np.arange(len(documents)) if rows is None else rows
        return DocumentWindows.of(documents, rows, self.model.context_length, WINDOWS)

    def losses(self, documents: DocumentTable) -> FloatArray:
        """Mean nats per token of each document [n], see ``per_token``; one forward pass over what is read
        of them."""
        total, count = np.zeros(len(documents)), np.zeros(len(documents))
        for rows, _, _ in documents.blocks():
            windows = self.windows(documents, rows)
            with torch.no_grad():
                for places, inputs, targets, counted in windows.batches(BATCH_TOKENS[False]):
                    nats = -self.model.token_log_probs(self.flat, inputs, targets).double() * counted
                    np.add.at(total, windows.row[places], nats.sum(dim=1).numpy())
            np.add.at(count, windows.row, windows.length)
        return per_token(total, count)

    def mean_loss(self, documents: DocumentTable) -> float:
        """Mean nats per token over the tokens of all documents that are read."""
        windows = self.windows(documents)
        return self._mean_loss(windows, self.flat, gradient=False)[0]

    def gradient(self, documents: DocumentTable) -> tuple[float, Tensor]:
        """Mean nats per token over the tokens of all documents that are read, and its gradient [N]."""
        loss, gradient = self._mean_loss(self.windows(documents), self.flat, gradient=True)
        assert gradient is not None
        return loss, gradient

    def _mean_loss(
        self, windows: DocumentWindows, flat: Tensor, gradient: bool
    ) -> tuple[float, Tensor | None]:
        leaf = flat.detach().clone().requires_grad_(gradient)
        total, tokens = 0.0, float(windows.length.sum())
        for _, inputs, targets, counted in windows.batches(BATCH_TOKENS[False]):
            with torch.set_grad_enabled(gradient):
                loss = -(self.model.token_log_probs(leaf, inputs, targets) * counted).sum() / tokens
            if gradient:
                loss.backward()
            total += float(loss.detach())
        return total, leaf.grad
