"""Halves of the evidence: what another half of the references and of the documents would have said.

A half-sample of n observations lies as far from the whole as the whole lies from the truth (McCarthy 1969,
Review of the International Statistical Institute 37), so predictions learnt from halves show how sure those
from the whole are. Halves come in pairs of complements. What is chosen on one and judged on the other shows
by how much a choice flatters itself: cross-fitting.
"""

from dataclasses import dataclass

import numpy as np

from cuvee.evaluation.scores import Documents
from cuvee.types import FloatArray, IntArray

PAIRS = 30
FEWEST = 3
"""References in a half, at least: fewer teach a calibrator nothing. Halves of fewer than twice as many
overlap."""


@dataclass(frozen=True, eq=False)
class Halves:
    """B halves; those at 2 i and 2 i + 1 are complements."""

    references: FloatArray
    """[B, R] ones for the references that are in."""
    documents: FloatArray
    """[B, D] ones for the documents that are in. The one document of an evaluation is in all."""

    @property
    def overlap(self) -> float:
        """By how much errors between halves are too small because halves overlap; one where they do not.

        The variance of the mean of h of n about the mean of all is (n - h) / h times that of the latter.
        """
        inside, all_of_them = self.references[0].sum(), self.references.shape[1]
        return float(np.sqrt(max(1.0, inside / (all_of_them - inside)))) if inside < all_of_them else 1.0

    @classmethod
    def draw(cls, references: int, documents: Documents, pairs: int, seed: int) -> "Halves":
        """Draw pairs of halves, the documents of every evaluation for themselves."""
        rng = np.random.default_rng(seed)
        rows = [_complements(np.arange(references), references, rng) for _ in range(pairs)]
        count = len(documents.tokens)
        groups = [
            np.flatnonzero((documents.evaluation == position) & (documents.tokens > 0))
            for position in range(len(documents.evaluations))
        ]
        of_documents = []
        for _ in range(pairs):
            pair = np.zeros((2, count))
            for group in groups:
                pair += _complements(group, count, rng, fewest=1)
            of_documents.append(pair)
        return cls(np.concatenate(rows), np.concatenate(of_documents))


def _complements(
    members: IntArray, length: int, rng: np.random.Generator, fewest: int = FEWEST
) -> FloatArray:
    """[2, length] two halves of ``members``, each with ``fewest`` of them at least if there are so many.

    One has a member more where their number n is odd: their errors are a little too large then, by
    1 / (n squared less 1) of themselves.
    """
    order = rng.permutation(members)
    size = min(len(order), max(fewest, len(order) // 2))
    other = min(len(order), max(fewest, len(order) - size))
    pair = np.zeros((2, length))
    pair[0, order[:size]] = 1.0
    pair[1, order[len(order) - other :]] = 1.0
    return pair
