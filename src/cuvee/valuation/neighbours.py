"""Unit vectors and what is near them: cosines by blocks, and spherical k-means.

Spherical k-means (Dhillon, Modha 2001, Concept Decompositions for Large Sparse Text Data Using Clustering,
https://doi.org/10.1023/A:1007612920971) maximises the sum of cosines between vectors and the unit centroid of
their cluster. Lloyd's iterations from centroids drawn among the vectors, on a sample where there are many. A
cluster that loses all its vectors begins again at one that fits its own cluster least.
"""

from collections.abc import Iterator

import numpy as np

from cuvee.errors import ConfigError
from cuvee.types import AnyArray, Float32Array, IntArray

BLOCK_COSINES = 1 << 22
"""Cosines that are held at once: 16 MiB."""
ITERATIONS = 20
"""Of Lloyd, at most: chosen by hand; later ones move few documents."""
SAMPLE = 256
"""Vectors a cluster that centroids are found on, at most: chosen by hand; the mean of 256 is known well."""


def unit_vectors(vectors: AnyArray) -> Float32Array:
    """Vectors [n, d] of length one, float32; a copy only where some are not.

    Raises:
        ConfigError: one is not finite or has no length, or there is none.
    """
    if vectors.ndim != 2 or not len(vectors):
        raise ConfigError(
            f"embeddings: a vector for each document is needed, not an array of {vectors.shape}"
        )
    lengths = np.sqrt(np.einsum("nd,nd->n", vectors, vectors, dtype=np.float64))
    if len(wrong := np.flatnonzero(~(np.isfinite(lengths) & (lengths > 0)))):
        raise ConfigError(
            f"embeddings: that of document {int(wrong[0])} is not finite or has no length "
            f"({len(wrong)} such); leave these documents out, or embed them anew"
        )
    if np.abs(lengths - 1.0).max() < 1e-5 and vectors.dtype == np.float32:
        return vectors
    result: Float32Array = (vectors / lengths[:, None]).astype(np.float32)
    return result


def row_blocks(count: int, width: int) -> Iterator[slice]:
    """Slices of ``count`` rows of this width, ``BLOCK_COSINES`` numbers each at most, one row at least."""
    step = max(1, BLOCK_COSINES // max(width, 1))
    for first in range(0, count, step):
        yield slice(first, min(first + step, count))


def most_similar(queries: Float32Array, keys: Float32Array, count: int) -> tuple[Float32Array, IntArray]:
    """The nearest keys of each query, nearest first: cosines [q, count] and rows of keys [q, count].

    Cost q x keys x d products.
    """
    count = min(count, len(keys))
    cosines = np.empty((len(queries), count), dtype=np.float32)
    rows = np.empty((len(queries), count), dtype=np.int64)
    for block in row_blocks(len(queries), len(keys)):
        found = queries[block] @ keys.T
        if count == 1:
            chosen = found.argmax(axis=1)[:, None]
        else:
            chosen = np.argpartition(-found, count - 1, axis=1)[:, :count]
            inside = np.take_along_axis(found, chosen, axis=1)
            chosen = np.take_along_axis(chosen, np.argsort(-inside, axis=1, kind="stable"), axis=1)
        rows[block] = chosen
        cosines[block] = np.take_along_axis(found, chosen, axis=1)
    return cosines, rows


def spherical_kmeans(vectors: Float32Array, clusters: int, seed: int) -> Float32Array:
    """Unit centroids [K, d] of unit vectors [n, d], K = min(clusters, n).

    Cost 20 passes of K x d products over min(n, 256 K) vectors.
    """
    clusters = min(clusters, len(vectors))
    rng = np.random.default_rng([seed, len(vectors), clusters])
    drawn = np.sort(rng.permutation(len(vectors))[: SAMPLE * clusters])
    sample = np.asarray(vectors[drawn])
    centroids = sample[np.sort(rng.permutation(len(sample))[:clusters])]
    before = np.full(len(sample), -1)
    for _ in range(ITERATIONS):
        cosines, nearest = most_similar(sample, centroids, 1)
        if np.array_equal(nearest[:, 0], before):
            break
        before = nearest[:, 0]
        centroids = _means(sample, before, cosines[:, 0], clusters)
    return centroids


def _means(vectors: Float32Array, cluster: IntArray, cosines: Float32Array, clusters: int) -> Float32Array:
    """Unit means of clusters [K, d]; those without direction begin again at the vectors that fit least."""
    order = np.argsort(cluster, kind="stable")
    filled, begins = np.unique(cluster[order], return_index=True)
    sums = np.zeros((clusters, vectors.shape[1]))
    sums[filled] = np.add.reduceat(vectors[order], begins, axis=0, dtype=np.float64)
    lengths = np.linalg.norm(sums, axis=1)
    lost = np.flatnonzero(lengths < 1e-6)
    sums[lost] = vectors[np.argsort(cosines, kind="stable")[: len(lost)]]
    result: Float32Array = (sums / np.linalg.norm(sums, axis=1)[:, None]).astype(np.float32)
    return result
