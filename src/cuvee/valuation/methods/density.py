"""Density sampling: documents in thin places of embedding space are worth more.

    value(x) = -log( 1/R sum_r S_r[h_r(x)] / n )

S_r counts the documents of the pool in the buckets of hash h_r: RACE, a sketch of the kernel density of x. A
hash joins m p-stable ones, ``floor((<w, x> + b) / width)``, w normal and b uniform, so that the kernel is

    k(c) = ( 1 - 2 Phi(-u) - 2 / (sqrt(2 pi) u) (1 - exp(-u^2 / 2)) )^m,   u = width / c

of the distance c. Documents kept with probabilities in proportion to exp(value) cover space evenly (inverse
propensity sampling, a matter of selection).

Sachdeva et al. 2024, How to Train Data-Efficient LLMs, https://arxiv.org/abs/2402.09668; Coleman, Shrivastava
2020 (RACE), https://arxiv.org/abs/1912.02283; Datar et al. 2004 (p-stable hashes),
https://doi.org/10.1145/997817.997857.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from cuvee.types import AnyArray, Float32Array, FloatArray, IntArray
from cuvee.valuation.document_table import DocumentTable
from cuvee.valuation.neighbours import most_similar, row_blocks, unit_vectors
from cuvee.valuation.substrates import Substrates

SAMPLE = 1024
"""Documents whose nearest neighbours decide the width: their median varies by 2 % or so."""
TOGETHER = 25
"""Rows of the sketch that are counted at once: 100 MB for 1e6 documents."""
ONE_PLACE = 1e-3
"""Unit vectors that are nearer are one: float32 cosines know no better."""
_BITS = 20
_MIX = np.uint64(0x9E3779B97F4A7C15)  # odd, without pattern


@dataclass(frozen=True)
class Density:
    """Minus the logarithm of a sketched kernel density. The target plays no part."""

    temperature: float = 1.0
    name: str = "density"
    paper: str = "https://arxiv.org/abs/2402.09668"
    unit: str = "nats of inverse density"
    needs: str = "embeddings: a proxy model or an encoder"
    cost: str = "embeddings, then rows x hashes products a document; 2 minutes for 1e6 on a core"
    deviations: str = (
        "Four hashes a row: the kernel of one has a tail so heavy that copies stand out little. The width is "
        "found from distances to nearest neighbours. 2^20 buckets a row, as rows are counted in turn, and "
        "what shares a bucket by chance is taken off."
    )
    rows: int = 1000
    """R, the paper's."""
    hashes: int = 4
    """m: with 4, planted copies that are 19 % of a pool are 1 % of what is kept, with 1 they are 12 %."""
    at_neighbour: float = 0.01
    """Kernel at the median distance to the nearest neighbour. All usual neighbours together then weigh about
    half as much as the document itself, and a near copy nearly as much; at 0.1 they weigh thrice as much."""

    def value(
        self, pool: DocumentTable, target: DocumentTable, substrates: Substrates, seed: int
    ) -> FloatArray:
        """See ``Valuer.value``; the seed is that of the hashes."""
        return self.of_embeddings(substrates.embeddings(pool), seed)

    def of_embeddings(self, embeddings: AnyArray, seed: int) -> FloatArray:
        """Values [n] of documents with these embeddings [n, d]."""
        vectors = unit_vectors(embeddings)
        width = neighbour_distance(vectors, seed) * relative_width(self.at_neighbour, self.hashes)
        result: FloatArray = -np.log(race(vectors, width, self.rows, self.hashes, seed))
        return result


def race(vectors: Float32Array, width: float, rows: int, hashes: int, seed: int) -> FloatArray:
    """Estimated kernel densities [n] of vectors [n, d] among themselves, in (0, 1]; each counts itself.

    Args:
        vectors: of documents.
        width: of a bin.
        rows: R, repetitions; errors fall as 1 / sqrt(R).
        hashes: m, that must agree in a row.
        seed: of the hashes.
    """
    total = np.zeros(len(vectors), dtype=np.int64)
    for first in range(0, rows, TOGETHER):
        rng = np.random.default_rng([seed, 1, first])
        for buckets in _buckets(vectors, width, (min(TOGETHER, rows - first), hashes), rng):
            total += np.bincount(buckets, minlength=1 << _BITS)[buckets]
    # Other documents share a bucket by chance, n / buckets of them on average; a document shares its own.
    chance = 1.0 / (1 << _BITS)
    alike = (total / rows - chance * len(vectors)) / (1.0 - chance)
    result: FloatArray = np.maximum(alike, 1.0) / len(vectors)
    return result


def kernel(distance: FloatArray, width: float, hashes: int) -> FloatArray:
    """Probability that hashes of vectors at these distances agree, in closed form; shape as given."""
    ratio = width / np.maximum(distance, 1e-12)
    inside = np.vectorize(math.erf, otypes=[np.float64])(ratio / math.sqrt(2.0))
    edge = 2.0 / (math.sqrt(2.0 * math.pi) * ratio) * (1.0 - np.exp(-(ratio**2) / 2.0))
    result: FloatArray = np.maximum(inside - edge, 0.0) ** hashes
    return result


def relative_width(agreement: float, hashes: int) -> float:
    """The width, in units of a distance, at which vectors at that distance agree with this probability."""
    low, high = 1e-6, 1e6
    for _ in range(100):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if kernel(np.ones(1), middle, hashes)[0] < agreement else (low, middle)
    return low


def neighbour_distance(vectors: Float32Array, seed: int) -> float:
    """The median distance of some documents to the nearest other one; exact copies aside. 1 where all are."""
    if len(vectors) < 2:
        return 1.0
    rng = np.random.default_rng([seed, 2])
    drawn = np.sort(rng.permutation(len(vectors))[:SAMPLE])
    cosines = most_similar(vectors[drawn], vectors, 2)[0][:, 1].astype(np.float64)  # the first is itself
    distances = np.sqrt(np.maximum(2.0 - 2.0 * cosines, 0.0))
    apart = distances[distances > ONE_PLACE]
    return float(np.median(apart)) if len(apart) else 1.0


def _buckets(
    vectors: Float32Array, width: float, shape: tuple[int, int], rng: np.random.Generator
) -> Iterator[IntArray]:
    """The bucket of each document [n], row by row; ``shape`` is rows and hashes a row."""
    rows, hashes = shape
    directions = rng.normal(size=(vectors.shape[1], rows * hashes)).astype(np.float32) / np.float32(width)
    offsets = rng.random(rows * hashes, dtype=np.float32)
    mixers = rng.integers(1 << 62, size=(rows, hashes)).astype(np.uint64) * np.uint64(2) + np.uint64(1)
    found = np.empty((rows, len(vectors)), dtype=np.int32)
    for block in row_blocks(len(vectors), 4 * rows * hashes):
        bins = np.floor(vectors[block] @ directions + offsets).astype(np.int64).view(np.uint64)
        mixed = (bins.reshape(-1, rows, hashes) * mixers).sum(axis=2, dtype=np.uint64) * _MIX
        found[:, block] = (mixed >> np.uint64(64 - _BITS)).T
    for row in found:
        yield row.astype(np.int64)
