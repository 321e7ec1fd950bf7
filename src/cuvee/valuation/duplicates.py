"""Near-duplicates: documents whose embedding is nearly that of a document that stays.

Documents are looked at in an order. One is dropped if its cosine to an earlier one *that stays* is above a
threshold, so every dropped document has a near copy among those kept, and no two kept ones are near. A chain
A ~ B ~ C with A not near C loses B alone. Among many documents only those of the two nearest cells of a
spherical k-means are compared with one.

Abbas et al. 2023, SemDeDup, https://arxiv.org/abs/2303.09540. It compares within one cell, with earlier
documents whether they stay or not, and so drops C for the sake of B, which is gone. Its threshold fits one
embedder; ``similarity_for`` finds that of any from the share of documents to drop.
"""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from cuvee.errors import ConfigError
from cuvee.types import AnyArray, BoolArray, Float32Array, IntArray
from cuvee.valuation.neighbours import most_similar, row_blocks, spherical_kmeans, unit_vectors

EXACT = 4096
"""Up to so many documents all pairs are compared: a second on one core."""
CELLS = 2
"""Cells that a document is compared in: near copies on either side of a border still meet."""
STEPS = 12
"""Of the bisection for a threshold, which is found among 2^12 documents, or as many parts of more."""


def duplicates(
    embeddings: AnyArray, similarity: float, order: IntArray | None = None, seed: int = 0
) -> BoolArray:
    """Which documents to drop as near-duplicates of others [n].

    Args:
        embeddings: of documents [n, d], of any length.
        similarity: cosine above which two documents are near, in (-1, 1).
        order: rows, those first that shall stay; None: as they stand.
        seed: of the cells, where there are more than 4096 documents.

    Raises:
        ConfigError: a vector is not finite or has no length, or ``order`` is none.
    """
    return NearCopies.of(embeddings, order, seed).dropped(similarity)


@dataclass(frozen=True, eq=False)
class NearCopies:
    """n documents in cells. Made by ``of``."""

    vectors: Float32Array = field(repr=False)
    """Unit vectors [n, d]."""
    rank: IntArray = field(repr=False)
    """Place of each document in the order [n]."""
    cells: IntArray = field(repr=False)
    """Cells that a document is compared in, its own first [n, p]."""

    @classmethod
    def of(cls, embeddings: AnyArray, order: IntArray | None = None, seed: int = 0) -> "NearCopies":
        """Cells: one for up to ``EXACT`` documents, else the square root of their number."""
        vectors = unit_vectors(embeddings)
        rank = np.arange(len(vectors)) if order is None else _ranks(order, len(vectors))
        if len(vectors) <= EXACT:
            return cls(vectors, rank, np.zeros((len(vectors), 1), dtype=np.int64))
        centroids = spherical_kmeans(vectors, round(len(vectors) ** 0.5), seed)
        return cls(vectors, rank, most_similar(vectors, centroids, CELLS)[1])

    @cached_property
    def nearest(self) -> Float32Array:
        """The greatest cosine of each document to an earlier one [n]; -1 where there is none."""
        everything = np.ones(len(self.rank), dtype=np.bool_)
        return self._earlier(everything, everything)

    def dropped(self, similarity: float) -> BoolArray:
        """Which documents have a near copy that is earlier and stays [n].

        In rounds, one for each further link of the longest chain: whoever is near one that stays is dropped,
        then whoever has no earlier near one left stays.
        """
        undecided = np.asarray(self.nearest > similarity)
        stays, dropped = ~undecided, np.zeros(len(undecided), dtype=np.bool_)
        while undecided.any():
            near = undecided & (self._earlier(undecided, stays) > similarity)
            dropped |= near
            undecided = undecided & ~near
            stays = undecided & ~(self._earlier(undecided, undecided) > similarity)
            undecided = undecided & ~stays
        return dropped

    def similarity_for(self, share: float) -> float:
        """The lowest threshold found at which at most this share of the documents is dropped.

        Raises:
            ConfigError: ``share`` is not in [0, 1).
        """
        if not 0.0 <= share < 1.0:
            raise ConfigError(f"duplicates: the share to drop must be in [0, 1), not {share}")
        most = int(share * len(self.rank) + 1e-9)
        falling = np.sort(self.nearest)[::-1]
        low, high = most, len(falling) - 1
        for _ in range(STEPS):
            if low >= high:
                break
            middle = (low + high + 1) // 2
            fits = int(self.dropped(float(falling[middle])).sum()) <= most
            low, high = (middle, high) if fits else (low, middle - 1)
        return float(falling[low])

    def _earlier(self, asking: BoolArray, among: BoolArray) -> Float32Array:
        """The greatest cosine of documents ``asking`` [n] to an earlier one ``among`` [n] in their cells."""
        result = np.full(len(self.rank), -1.0, dtype=np.float32)
        for rows, keys in self._in_cells(asking, among):
            for block in row_blocks(len(rows), len(keys)):
                here = rows[block]
                cosines = self.vectors[here] @ self.vectors[keys].T
                cosines[self.rank[keys] >= self.rank[here, None]] = -1.0
                result[here] = np.maximum(result[here], cosines.max(axis=1))
        return result

    def _in_cells(self, asking: BoolArray, among: BoolArray) -> list[tuple[IntArray, IntArray]]:
        """For each cell the rows that ask in it and those that are at home there, where there are both."""
        asks, at = np.nonzero(np.broadcast_to(asking[:, None], self.cells.shape))
        visited, home = self.cells[asks, at], self.cells[:, 0]
        answers = np.flatnonzero(among)
        asks = asks[np.argsort(visited, kind="stable")]
        answers = answers[np.argsort(home[answers], kind="stable")]
        bounds = np.arange(int(self.cells.max()) + 2)
        asked = np.searchsorted(np.sort(visited), bounds)
        found = np.searchsorted(home[answers], bounds)
        return [
            (asks[asked[cell] : asked[cell + 1]], answers[found[cell] : found[cell + 1]])
            for cell in range(len(bounds) - 1)
            if asked[cell] < asked[cell + 1] and found[cell] < found[cell + 1]
        ]


def _ranks(order: IntArray, count: int) -> IntArray:
    if not np.array_equal(np.sort(order), np.arange(count)):
        raise ConfigError(f"duplicates: the order must name each of {count} documents once")
    ranks = np.empty(count, dtype=np.int64)
    ranks[order] = np.arange(count)
    return ranks
