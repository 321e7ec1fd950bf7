"""projektor: what a source is worth, by the gradient of optimal transport in its share.

    value of source i = -(mean of f over its documents - mean of f over all others)

f are the dual potentials of entropic transport from the mixture to the target: the derivative of OT in the
share of a source, taken evenly from the other documents (Kang et al. 2023, Performance scaling via optimal
transport, https://arxiv.org/abs/2307.02460). A document has the value of its source.

The paper predicts losses of mixtures from OT in two further stages: ``laws/projektor.py``.
"""

from dataclasses import dataclass, field

import numpy as np

from cuvee.types import FloatArray, IntArray
from cuvee.valuation.document_table import DocumentTable
from cuvee.valuation.ground_cost import SquaredDistances
from cuvee.valuation.substrates import NotAtHand, Substrates
from cuvee.valuation.transport import Transport


@dataclass(frozen=True)
class Projektor:
    """Gradient of transport in the share of a source, negative."""

    transport: Transport = field(default_factory=Transport)

    temperature: float = 0.0
    name: str = "projektor"
    paper: str = "https://arxiv.org/abs/2307.02460"
    unit: str = "OT cost (squared distance of unit vectors)"
    needs: str = "embeddings; two sources; the extra 'ot'"
    cost: str = "that of gotd"
    deviations: str = (
        "The mixture is the pool as it is, documents counted alike. The paper's ascent on predicted accuracy "
        "is left to the laws and the search of a study."
    )

    def value(
        self, pool: DocumentTable, target: DocumentTable, substrates: Substrates, seed: int
    ) -> FloatArray:
        """See ``Valuer.value``.

        Raises:
            NotAtHand: the pool has one source, which can gain no share.
        """
        if len(np.unique(pool.source)) < 2:
            raise NotAtHand("projektor: it compares sources, and the pool has one; give a second")
        costs = SquaredDistances(substrates.embeddings(pool), substrates.embeddings(target))
        duals = self.transport.duals(costs, seed, progress=substrates.progress)
        result: FloatArray = -source_gradients(duals.f, pool.source, len(pool.sources))[pool.source]
        return result


def source_gradients(f: FloatArray, source: IntArray, sources: int) -> FloatArray:
    """Derivative of OT in the share of each source, taken evenly from all documents of others [S].

    Args:
        f: potentials of documents [n].
        source: the source of each [n].
        sources: S; one without documents, or with all of them, has no derivative (NaN).
    """
    count = np.bincount(source, minlength=sources).astype(np.float64)
    total = np.bincount(source, weights=f, minlength=sources)
    with np.errstate(invalid="ignore"):
        result: FloatArray = total / count - (f.sum() - total) / (len(f) - count)
    return result
