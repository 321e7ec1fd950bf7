"""An embedder that knows each document's vector, and tables of documents that it knows."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from cuvee.hashing import digest_bytes
from cuvee.sources.tokenizer import Tokenizer
from cuvee.types import AnyArray, Float32Array, IntArray
from cuvee.valuation.document_table import DocumentTable
from cuvee.valuation.substrates import Substrates


@dataclass(frozen=True, eq=False)
class GivenVectors:
    """The vector of a document is found by its text, which is its number."""

    vectors: AnyArray = field(repr=False)

    @property
    def key(self) -> str:
        return digest_bytes(np.ascontiguousarray(self.vectors).tobytes())

    @property
    def width(self) -> int:
        return int(self.vectors.shape[1])

    def embed(self, documents: DocumentTable, rows: IntArray) -> Float32Array:
        numbers = [int(documents.text(int(row))) for row in rows]
        return np.asarray(self.vectors[numbers], dtype=np.float32)


def tables(
    tokenizer: Tokenizer,
    pool: AnyArray,
    target: AnyArray,
    *,
    sources: tuple[Sequence[str] | None, Sequence[str] | None] = (None, None),
    labels: tuple[Sequence[int] | None, Sequence[int] | None] = (None, None),
) -> tuple[DocumentTable, DocumentTable, Substrates]:
    """A pool and a target whose documents have these vectors [n, d] and [m, d], and what embeds them."""
    texts = [str(number) for number in range(len(pool) + len(target))]
    mine = DocumentTable.of_texts(texts[: len(pool)], tokenizer, sources=sources[0], labels=labels[0])
    theirs = DocumentTable.of_texts(texts[len(pool) :], tokenizer, sources=sources[1], labels=labels[1])
    return mine, theirs, Substrates(encoder=GivenVectors(np.concatenate([pool, target])))
