"""kNN-Shapley: exact Shapley values of documents as voters for the class of the target's documents.

The utility of a set of documents is the share of the K nearest in the set that have the class of a document
of the target, the mean over the target. With documents 1 ... n by rising distance to one of the target, and
a_i = 1 where the class of i is right,

    s_n = a_n min(K, n) / (n K),   s_i = s_{i+1} + (a_i - a_{i+1}) / K * min(K, i) / i

and the values sum to the utility of all.

Jia et al. 2019, Efficient Task-Specific Data Valuation for Nearest Neighbor Algorithms,
https://arxiv.org/abs/1908.08619 (theorem 1).
"""

from dataclasses import dataclass

import numpy as np

from cuvee.errors import ConfigError
from cuvee.types import AnyArray, BoolArray, FloatArray, IntArray
from cuvee.valuation.document_table import DocumentTable
from cuvee.valuation.neighbours import row_blocks, unit_vectors
from cuvee.valuation.substrates import NotAtHand, Substrates


@dataclass(frozen=True)
class KnnShapley:
    """Classes are labels where both sides have them, else names of sources."""

    temperature: float = 0.0
    name: str = "knn_shapley"
    paper: str = "https://arxiv.org/abs/1908.08619"
    unit: str = "accuracy of a k-nearest-neighbour vote"
    needs: str = (
        "embeddings: a proxy model or an encoder; labels or names of sources in pool and target alike"
    )
    cost: str = "embeddings, then n log n a document of the target"
    deviations: str = "Distances are those of unit vectors."
    neighbours: int = 5
    """K: chosen by hand, as small as a vote can be that one odd neighbour does not decide."""

    def value(
        self, pool: DocumentTable, target: DocumentTable, substrates: Substrates, seed: int
    ) -> FloatArray:
        """See ``Valuer.value``; nothing is drawn."""
        classes = classes_of(pool, target)
        return knn_shapley(
            substrates.embeddings(pool), substrates.embeddings(target), *classes, self.neighbours
        )


def classes_of(pool: DocumentTable, target: DocumentTable) -> tuple[IntArray, IntArray]:
    """Classes of the documents of both tables [n], [m], equal numbers for equal classes.

    Raises:
        NotAtHand: only one side has labels, or the target has no class of the pool, or all are of one.
    """
    if (pool.labels is None) != (target.labels is None):
        raise NotAtHand(
            f"knn_shapley: the {'pool' if pool.labels is None else 'target'} has no labels; give labels to "
            "both sides, or to none to go by names of sources"
        )
    if pool.labels is not None and target.labels is not None:
        ours, theirs, what = pool.labels, target.labels, "label"
    else:
        names = {name: place for place, name in enumerate(dict.fromkeys(pool.sources + target.sources))}
        ours = np.array([names[one] for one in pool.sources])[pool.source]
        theirs = np.array([names[one] for one in target.sources])[target.source]
        what = "name of a source"
    if not np.isin(theirs, ours).any():
        raise NotAtHand(
            f"knn_shapley: no {what} of the target is one of the pool; take the held-out part of a source of "
            "the pool as the target, or give labels to both"
        )
    if len(np.unique(ours)) < 2:
        raise NotAtHand(f"knn_shapley: all documents of the pool have one {what}; two classes are needed")
    return ours, theirs


def knn_shapley(
    pool: AnyArray, target: AnyArray, pool_classes: IntArray, target_classes: IntArray, neighbours: int
) -> FloatArray:
    """Values [n] of documents with embeddings [n, d], for those of the target [m, d].

    Equally near documents come in the order of the pool.

    Raises:
        ConfigError: a vector is not finite or has no length, or ``neighbours`` is none.
    """
    if neighbours < 1:
        raise ConfigError(f"knn_shapley: neighbours must be at least 1, not {neighbours}")
    ours, theirs = unit_vectors(pool), unit_vectors(target)
    total = np.zeros(len(ours))
    for block in row_blocks(len(theirs), len(ours)):
        nearest = np.argsort(-(theirs[block] @ ours.T), axis=1, kind="stable")
        right = pool_classes[nearest] == target_classes[block, None]
        np.add.at(total, nearest, by_rank(right, neighbours))
    return total / len(theirs)


def by_rank(right: BoolArray, neighbours: int) -> FloatArray:
    """Shapley values [q, n] of documents by rising distance; ``right`` [q, n] says whose class is right."""
    count = right.shape[1]
    places = np.arange(1, count + 1)
    weights = np.minimum(neighbours, places) / (places * neighbours)
    votes = right.astype(np.float64)
    steps = votes * weights
    steps[:, :-1] -= votes[:, 1:] * weights[:-1]
    result: FloatArray = np.cumsum(steps[:, ::-1], axis=1)[:, ::-1]
    return result
