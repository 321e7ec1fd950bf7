"""DiSF: documents whose features, taken together, are correlated least.

    minimise  E(U) = || corr(Z_U) - I ||_F^2 = || Z_U Z_U^T ||_F^2 / k^2 - d

Z_U holds the embeddings of the k chosen documents, each of d features standardised over U. The right-hand
side is the same number from k x k products instead of d x d. Greedy inside random batches: a set of 16 begins
with a drawn document, and takes whichever document of the batch raises E least; then the next set begins from
what is left, until the batch is in order. Pure diversity: noise is diverse, so see to quality first.

Fan et al. 2025, Combatting Dimensional Collapse in LLM Pre-Training Data via Diversified File Selection,
https://arxiv.org/abs/2504.20644.
"""

from dataclasses import dataclass

import numpy as np

from cuvee.errors import ConfigError
from cuvee.types import AnyArray, FloatArray, IntArray
from cuvee.valuation.document_table import DocumentTable
from cuvee.valuation.neighbours import unit_vectors
from cuvee.valuation.substrates import Substrates

BATCH = 1024
"""Documents that compete, the paper's."""
SET = 16
"""Documents of a set, the paper's: E of more would cost k^2 products a candidate."""
_LEAST_VARIANCE = 1e-12
"""Of a feature that varies: unit vectors in float32 are known to 1e-7."""


@dataclass(frozen=True)
class Disf:
    """How early a document is picked in its batch. The target plays no part."""

    temperature: float = 0.0
    name: str = "disf"
    paper: str = "https://arxiv.org/abs/2504.20644"
    unit: str = "share of a random batch that is picked no earlier"
    needs: str = "embeddings: a proxy model or an encoder"
    cost: str = "embeddings, then 4e4 x d products a document; 20 minutes for 1e6 on a core"
    deviations: str = (
        "All documents get a place: once 16 are picked, the next 16 are picked from the rest. The second of "
        "a set, which E leaves open, is the one least like the first. The last batch is not left out."
    )

    def value(
        self, pool: DocumentTable, target: DocumentTable, substrates: Substrates, seed: int
    ) -> FloatArray:
        """See ``Valuer.value``; the seed is that of batches and of first documents."""
        return self.of_embeddings(substrates.embeddings(pool), seed)

    def of_embeddings(self, embeddings: AnyArray, seed: int) -> FloatArray:
        """Values [n] of documents with these embeddings [n, d]."""
        vectors = unit_vectors(embeddings)
        rng = np.random.default_rng([seed, len(vectors), 0])
        result = np.empty(len(vectors))
        for rows in np.array_split(rng.permutation(len(vectors)), -(-len(vectors) // BATCH)):
            order = _picked(vectors[rows], len(rows), rng)
            result[rows[order]] = np.arange(len(rows), 0, -1) / len(rows)
        return result


def diversified(embeddings: AnyArray, count: int, seed: int) -> IntArray:
    """Rows of ``count`` documents that DiSF picks, rising.

    Args:
        embeddings: of documents [n, d].
        count: documents to pick; batches are made so small that each gives a set of 16 at most.
        seed: of batches and of first documents.

    Raises:
        ConfigError: more documents are wanted than there are, or none.
    """
    vectors = unit_vectors(embeddings)
    if not 1 <= count <= len(vectors):
        raise ConfigError(f"disf: {count} of {len(vectors)} documents cannot be picked")
    rng = np.random.default_rng([seed, len(vectors), count])
    batches = max(-(-count // SET), -(-len(vectors) // BATCH))
    wanted = count // batches + (np.arange(batches) < count % batches)
    split = np.array_split(rng.permutation(len(vectors)), batches)
    chosen = [
        rows[_picked(vectors[rows], int(number), rng)] for rows, number in zip(split, wanted, strict=True)
    ]
    return np.sort(np.concatenate(chosen))


def correlation_energy(vectors: AnyArray) -> float:
    """E: the sum of squared correlations between different features, from vectors [k, d] of a set.

    Features that do not vary have no correlation, and count for nothing.
    """
    centred = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    variance = (centred**2).mean(axis=0)
    varies = variance > _LEAST_VARIANCE
    standard = centred[:, varies] / np.sqrt(variance[varies])
    return float(((standard @ standard.T) ** 2).sum()) / len(vectors) ** 2 - float(varies.sum())


def added_energies(chosen: FloatArray, candidates: FloatArray) -> FloatArray:
    """E of ``chosen`` [k - 1, d] together with each candidate [c, d] alone [c]; k^2 d c / 2 products."""
    size = len(chosen) + 1
    mean = (chosen.sum(axis=0) + candidates) / size
    variance = ((chosen**2).sum(axis=0) + candidates**2) / size - mean**2
    varies = variance > _LEAST_VARIANCE
    scale = np.where(varies, 1.0 / np.where(varies, variance, 1.0), 0.0)
    first, second = np.triu_indices(len(chosen))
    products = (chosen[first] * chosen[second]) @ scale.T
    with_mean = chosen @ (mean * scale).T
    mean_mean = (mean * mean * scale).sum(axis=1)
    own_mean = (candidates * mean * scale).sum(axis=1)
    among = products - with_mean[first] - with_mean[second] + mean_mean
    across = chosen @ (candidates * scale).T - with_mean - own_mean + mean_mean
    own = (candidates * candidates * scale).sum(axis=1) - 2.0 * own_mean + mean_mean
    twice = np.where(first == second, 1.0, 2.0)
    total = twice @ among**2 + 2.0 * (across**2).sum(axis=0) + own**2
    result: FloatArray = total / size**2 - varies.sum(axis=1)
    return result


def _picked(vectors: AnyArray, count: int, rng: np.random.Generator) -> IntArray:
    """Rows of ``count`` documents of a batch [b, d], in the order in which they are picked."""
    centred = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    left, order = np.arange(len(vectors)), np.empty(count, dtype=np.int64)
    for place in range(count):
        begun = place - place % SET
        best = _next(centred, order[begun:place], left, rng)
        order[place] = left[best]
        left = np.delete(left, best)
    return order


def _next(vectors: FloatArray, chosen: IntArray, left: IntArray, rng: np.random.Generator) -> int:
    """The place in ``left`` of the document that a set takes next."""
    if not len(chosen):
        return int(rng.integers(len(left)))
    if len(chosen) == 1:  # two standardised documents always correlate fully
        return int((vectors[left] @ vectors[chosen[0]]).argmin())
    return int(added_energies(vectors[chosen], vectors[left]).argmin())
