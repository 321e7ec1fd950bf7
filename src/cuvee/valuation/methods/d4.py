"""D4: documents far from the prototypes of their kind, without near-duplicates.

    1. drop near-duplicates (``duplicates.py``), a fixed share of the pool
    2. cluster those that stay anew
    3. value(x) = 1 - max_k <x, c_k>, the distance to the nearest centroid c_k; of a duplicate, minus its
       cosine to the earlier document that it is most like

Duplicates get the lowest values, exact copies the very lowest; then come prototypes. Whoever keeps the best
share R of the pool, R below the share that stays, has the paper's R = R_dedup R_proto.

Tirumala, Simig, Aghajanyan, Morcos 2023, D4: Improving LLM Pretraining via Document De-Duplication and
Diversification, https://arxiv.org/abs/2308.12284; Sorscher et al. 2022 (prototypes),
https://arxiv.org/abs/2206.14486.
"""

from dataclasses import dataclass

import numpy as np

from cuvee.types import AnyArray, FloatArray
from cuvee.valuation.document_table import DocumentTable
from cuvee.valuation.duplicates import NearCopies
from cuvee.valuation.neighbours import most_similar, spherical_kmeans
from cuvee.valuation.substrates import Substrates


@dataclass(frozen=True)
class D4:
    """De-duplication, then distance to prototypes. The target plays no part."""

    temperature: float = 0.0
    name: str = "d4"
    paper: str = "https://arxiv.org/abs/2308.12284"
    unit: str = "1 - cosine to the nearest prototype; below zero for near-duplicates"
    needs: str = "embeddings: a proxy model or an encoder"
    cost: str = "embeddings, then some sqrt(n) products a document"
    deviations: str = (
        "Embeddings are means of states, not the last token's. A near-duplicate is dropped only for a "
        "document that stays. The threshold is found from the share to drop. sqrt(n) clusters."
    )
    duplicates: float = 0.25
    """Share of the pool that is dropped as near-duplicates: the paper's 1 - R_dedup."""

    def value(
        self, pool: DocumentTable, target: DocumentTable, substrates: Substrates, seed: int
    ) -> FloatArray:
        """See ``Valuer.value``; the seed is that of the clusters."""
        return self.of_embeddings(substrates.embeddings(pool), seed)

    def of_embeddings(self, embeddings: AnyArray, seed: int) -> FloatArray:
        """Values [n] of documents with these embeddings [n, d]."""
        copies = NearCopies.of(embeddings, None, seed)
        stays = np.flatnonzero(~copies.dropped(copies.similarity_for(self.duplicates)))
        left = copies.vectors[stays]
        centroids = spherical_kmeans(left, round(len(left) ** 0.5), seed)
        result = -np.maximum(copies.nearest, 0.0).astype(np.float64)
        result[stays] = np.maximum(1.0 - most_similar(left, centroids, 1)[0][:, 0].astype(np.float64), 0.0)
        return result
