"""Leaves: small groups of like documents, and the words that tell them from the others.

Unit vectors are divided by spherical k-means again and again until no group is larger than asked.
"""

import numpy as np

from cuvee.types import Float32Array, FloatArray, IntArray
from cuvee.valuation.bm25 import BM25

BRANCHES = 8
"""Groups of one division: chosen by hand; more divide faster and find worse groups."""
_ROUNDS = 10  # of k-means: groups hardly move after these


def leaves_of(vectors: Float32Array, size: int, seed: int) -> list[IntArray]:
    """Rows of each leaf, in order; every row is in one. O(n d log n).

    Args:
        vectors: unit vectors [n, d].
        size: documents of a leaf, at most.
        seed: of where k-means begins.
    """
    waiting, found = [np.arange(len(vectors))], []
    rng = np.random.default_rng([seed, len(vectors)])
    while waiting:
        rows = waiting.pop()
        if len(rows) <= size:
            found.append(rows)
            continue
        group = _spherical_k_means(vectors[rows], min(BRANCHES, -(-len(rows) // size)), rng)
        if group.min() == group.max():  # all alike: any division is as good
            group = np.arange(len(rows)) * 2 // len(rows)
        waiting += [rows[group == one] for one in np.unique(group)]
    return sorted(found, key=lambda rows: int(rows[0]))


def typical_words(index: BM25, rows: IntArray, count: int) -> tuple[str, ...]:
    """The words of some documents by tf-idf, the most typical first."""
    names = list(index.place)
    if not names:
        return ()
    weight = np.asarray(index.counts[rows].sum(axis=0), dtype=np.float64).ravel() * index.idf
    best = np.argsort(-weight, kind="stable")[:count]
    return tuple(names[int(one)] for one in best if weight[one] > 0)


def _spherical_k_means(vectors: Float32Array, groups: int, rng: np.random.Generator) -> IntArray:
    """The group of each vector [n]."""
    centres = vectors[np.sort(rng.permutation(len(vectors))[:groups])]
    group = np.zeros(len(vectors), dtype=np.int64)
    for _ in range(_ROUNDS):
        before, group = group, np.argmax(vectors @ centres.T, axis=1)
        if np.array_equal(before, group):
            break
        centres = _directions(vectors, group, centres)
    return group


def _directions(vectors: Float32Array, group: IntArray, before: Float32Array) -> Float32Array:
    sums: FloatArray = np.zeros(before.shape)
    np.add.at(sums, group, vectors)
    length = np.linalg.norm(sums, axis=1, keepdims=True)
    return np.where(length > 1e-12, sums / np.maximum(length, 1e-12), before).astype(np.float32)
