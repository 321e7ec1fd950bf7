"""Embeddings of documents: unit vectors, near for documents that are alike (valuation).

The default takes no further model: the mean over tokens of the last states of the study's own proxy, less the
mean over documents. Encoders of others are options (``encoders.py``).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch

from cuvee.errors import ConfigError
from cuvee.evaluation.batch_size import BATCH_TOKENS
from cuvee.hashing import digest_bytes
from cuvee.types import Float32Array, FloatArray, IntArray
from cuvee.valuation.document_table import DocumentTable
from cuvee.valuation.proxy_model import ProxyModel

BLOCK_TOKENS = 1 << 17
"""Tokens between two notes of progress: a second or some on a CPU core with a model of 1M parameters."""

CENTRED_ON = 256
"""Documents behind a centre: its error is a sixteenth of the spread of documents."""


class Embedder(Protocol):
    """Makes a vector of a document."""

    @property
    def key(self) -> str:
        """Hash of all that determines the vectors."""
        ...

    @property
    def width(self) -> int:
        """Numbers of a vector, d."""
        ...

    def embed(self, documents: DocumentTable, rows: IntArray) -> Float32Array:
        """Vectors [len(rows), d], of any length."""
        ...


@dataclass(frozen=True, eq=False)
class ProxyStates:
    """The mean of a proxy model's last states over the tokens of a document, less a centre."""

    proxy: ProxyModel
    centre: FloatArray | None = field(default=None, repr=False)
    """Mean over documents [d]; None is zero."""

    @classmethod
    def fitted(cls, proxy: ProxyModel, documents: DocumentTable) -> "ProxyStates":
        """With the mean over some hundred documents as the centre, evenly spread over a table.

        States of a model share a large part, which says nothing of a document: without a centre all
        documents look alike.
        """
        rows = np.unique(np.linspace(0, len(documents) - 1, CENTRED_ON).astype(np.int64))
        if len(rows) < 2:  # less its own centre one document would be nothing
            return cls(proxy)
        chosen = documents.select(rows)
        return cls(proxy, cls(proxy).embed(chosen, np.arange(len(chosen))).astype(np.float64).mean(axis=0))

    @property
    def key(self) -> str:
        """Of the model and the centre."""
        centre = digest_bytes(self.centre.tobytes()) if self.centre is not None else ""
        return f"states-{self.proxy.key}-{centre}"

    @property
    def width(self) -> int:
        """Of the model's states."""
        with torch.no_grad():
            one = torch.zeros((1, 1), dtype=torch.int64)
            return int(self.proxy.model.hidden_states(self.proxy.flat, one).shape[-1])

    def embed(self, documents: DocumentTable, rows: IntArray) -> Float32Array:
        """See ``Embedder.embed``; one forward pass without the head."""
        windows = self.proxy.windows(documents, rows)
        first = int(rows[0]) if len(rows) else 0
        place = np.empty(int(rows.max()) - first + 1 if len(rows) else 0, dtype=np.int64)
        place[rows - first] = np.arange(len(rows))
        total = np.zeros((len(rows), self.width))
        with torch.no_grad():
            for chosen, inputs, _, counted in windows.batches(BATCH_TOKENS[False]):
                states = self.proxy.model.hidden_states(self.proxy.flat, inputs).double()
                sums = (states * counted[..., None]).sum(dim=1).numpy()
                np.add.at(total, place[windows.row[chosen] - first], sums)
        count = np.bincount(place[windows.row - first], weights=windows.length, minlength=len(rows))
        means = total / count[:, None]
        return (means if self.centre is None else means - self.centre).astype(np.float32)


def embedded(embedder: Embedder, documents: DocumentTable, done: int = 0) -> Iterator[Float32Array]:
    """Unit vectors of documents from number ``done`` on, block by block.

    Raises:
        ConfigError: a vector is not finite, or has no length.
    """
    for rows, _, _ in documents.blocks(BLOCK_TOKENS):
        rows = rows[rows >= done]
        if not len(rows):
            continue
        vectors = embedder.embed(documents, rows).astype(np.float64)
        lengths = np.linalg.norm(vectors, axis=1)
        if not np.isfinite(vectors).all() or not (lengths > 0).all():
            wrong = rows[np.flatnonzero(~np.isfinite(vectors).all(axis=1) | ~(lengths > 0))[0]]
            raise ConfigError(
                f"document {documents.id_of(int(wrong))}: its embedding is not finite or has no length; the "
                "model behind it is damaged, or the document holds nothing that it knows"
            )
        yield (vectors / lengths[:, None]).astype(np.float32)
