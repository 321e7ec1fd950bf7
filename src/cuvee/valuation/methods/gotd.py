"""GOT-D: documents that move the pool towards the target, by the gradient of optimal transport.

    value_i = -N / (N - 1) (f_i - mean f)

f are the dual potentials of entropic transport from pool to target, squared distances between embeddings as
costs (Kang et al. 2024, Get more for less, https://arxiv.org/abs/2405.02774). A model that was trained on the
pool and goes on with a few documents holds a mixture of both; to first order those help most whose mass
lowers OT(pool, target). They fill the gap between the two, and are not those that lie nearest to the target:
what the pool has enough of is worth little, however near.

It is a first-order step, so for a small budget: value anew after each tranche. Copies have equal values;
drop near-duplicates when you select.
"""

from dataclasses import dataclass, field

from cuvee.types import FloatArray
from cuvee.valuation.document_table import DocumentTable
from cuvee.valuation.ground_cost import SquaredDistances
from cuvee.valuation.substrates import Substrates
from cuvee.valuation.transport import Transport


@dataclass(frozen=True)
class GotD:
    """Calibrated gradient of transport, negative."""

    transport: Transport = field(default_factory=Transport)

    temperature: float = 0.0
    name: str = "gotd"
    paper: str = "https://arxiv.org/abs/2405.02774"
    unit: str = "OT cost (squared distance of unit vectors)"
    needs: str = "embeddings; the extra 'ot'"
    cost: str = "one embedding a document, then some hundred products with a matrix [pool, target]"
    deviations: str = (
        "The pool itself stands for what the model was trained on; the paper takes the two candidate domains "
        "nearest to the target. Smoothing is a share of the mean cost; large pools go in batches (SAVA)."
    )

    def value(
        self, pool: DocumentTable, target: DocumentTable, substrates: Substrates, seed: int
    ) -> FloatArray:
        """See ``Valuer.value``."""
        costs = SquaredDistances(substrates.embeddings(pool), substrates.embeddings(target))
        return -self.transport.duals(costs, seed, progress=substrates.progress).calibrated
