"""Hashed n-grams of tokens: counts of unigrams and bigrams in a fixed number of buckets, and vectors of them.

A token gives two n-grams: itself, and itself after the token before it; before the first token of a document
stands the end-of-text token, as in training. Their hashes are the same on every machine.

``HashedNgrams`` embeds a document without any model, by a random projection of its weighted counts: one
signed place an n-gram (Weinberger et al. 2009, Feature Hashing for Large Scale Multitask Learning,
https://arxiv.org/abs/0902.2206). Weights ``a / (a + p)`` let frequent n-grams count less (Arora, Liang, Ma
2017, A Simple but Tough-to-Beat Baseline for Sentence Embeddings, https://openreview.net/forum?id=SyK00v5xx).
"""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from cuvee.errors import ConfigError
from cuvee.hashing import digest, digest_bytes
from cuvee.types import Float32Array, FloatArray, IntArray
from cuvee.valuation.document_table import DocumentTable

NGRAMS = 2
"""N-grams of a token."""
BUCKETS = 1 << 16
"""Whose frequencies are known to ``HashedNgrams``: half a MiB."""
FREQUENT = 3e-4
"""An n-gram of this frequency counts half. The middle of the range that the paper found to do well: copies
with a tenth of their words changed stand apart from documents of one layout, at 1e-3 and 1e-4 less so."""

Hashes = npt.NDArray[np.uint64]

_SHIFT, _HALF = np.uint64(29), np.uint64(32)
_FIRST, _SECOND = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD6E8FEB86659FD93)  # odd: products are one to one


def ngram_hashes(flat: IntArray, begins: IntArray, end_of_text: int) -> Hashes:
    """Hashes [2, t] of the unigram and the bigram that end at each token.

    Args:
        flat: tokens of documents, one behind the other [t].
        begins: where each document begins, and where the last ends [b + 1].
        end_of_text: the token that stands before a document.
    """
    keys = np.empty((NGRAMS, len(flat)), dtype=np.uint64)
    keys[0] = flat
    keys[1, 1:] = flat[:-1]
    keys[1, begins[:-1]] = end_of_text
    keys[1] = (keys[1] + np.uint64(1)) << _HALF | keys[0]
    for factor in (_FIRST, _SECOND):
        keys *= factor
        keys ^= keys >> _SHIFT
    return keys


def buckets_of(hashes: Hashes, buckets: int) -> IntArray:
    """Buckets in [0, buckets), from the upper half of hashes; shape as given."""
    return (((hashes >> _HALF) * np.uint64(buckets)) >> _HALF).astype(np.int64)


def bucket_counts(documents: DocumentTable, buckets: int) -> FloatArray:
    """How often each bucket occurs in all documents [buckets]; one pass over their tokens."""
    counts = np.zeros(buckets)
    for _, flat, begins in documents.blocks():
        hashes = ngram_hashes(flat, begins, documents.tokenizer.end_of_text)
        counts += np.bincount(buckets_of(hashes, buckets).ravel(), minlength=buckets)
    return counts


def same_tokens(method: str, pool: DocumentTable, target: DocumentTable) -> None:
    """Tokens of two tables can be compared.

    Raises:
        ConfigError: they are of different tokenizers.
    """
    if pool.tokenizer.hash != target.tokenizer.hash:
        raise ConfigError(
            f"{method}: the pool was tokenized by '{pool.tokenizer.folder.name}' and the target by "
            f"'{target.tokenizer.folder.name}', which differ; tokenize both by one"
        )


@dataclass(frozen=True, eq=False)
class HashedNgrams:
    """An ``Embedder`` of what stands in a document. Made by ``fitted``.

    Two documents that share nothing have a cosine of 0 within 1 / sqrt(width).
    """

    weights: FloatArray = field(repr=False)
    """Of an n-gram in each bucket [buckets]."""
    size: int = 256
    """Numbers of a vector, d: chance similarities of 0.06, and 1 GB for 1e6 documents."""

    @classmethod
    def fitted(cls, documents: DocumentTable, size: int = 256) -> "HashedNgrams":
        """Weights by the frequencies of these documents; one pass over their tokens."""
        counts = bucket_counts(documents, BUCKETS)
        return cls(FREQUENT / (FREQUENT + counts / counts.sum()), size)

    @property
    def key(self) -> str:
        """Hash of weights and width."""
        return digest(["hashed n-grams", 1, self.size, digest_bytes(self.weights.tobytes())])

    @property
    def width(self) -> int:
        """See ``Embedder.width``."""
        return self.size

    def embed(self, documents: DocumentTable, rows: IntArray) -> Float32Array:
        """See ``Embedder.embed``; some 10 million tokens a second and core."""
        result = np.zeros((len(rows), self.size), dtype=np.float32)
        for places, flat, begins in documents.select(rows).blocks():
            hashes = ngram_hashes(flat, begins, documents.tokenizer.end_of_text)
            signs = 1.0 - 2.0 * (hashes & np.uint64(1)).astype(np.float64)
            mass = signs * self.weights[buckets_of(hashes, len(self.weights))]
            # The lower half of a hash: what shares a bucket of weights need not share a place.
            place = buckets_of(hashes << _HALF, self.size)
            flat_place = place + np.repeat(np.arange(len(places)) * self.size, np.diff(begins))
            sums = np.bincount(flat_place.ravel(), mass.ravel(), minlength=len(places) * self.size)
            sums = sums.reshape(len(places), self.size)
            # One token in 512 that stands alone cancels itself: its bigram has its place and the other sign.
            lost = np.flatnonzero(~sums.any(axis=1))
            sums[lost, place[0, begins[lost]]] = 1.0
            result[places] = sums
        return result
