"""projektor: what a source is worth, by the gradient of optimal transport in its share.

    value of source i = -(mean of f over its documents - mean of f over all others)

f are the dual potentials of entropic transport from the mixture to the target: the derivative of OT in the
share of a source, taken evenly from the other documents (Kang et al. 2023, Performance scaling via optimal
transport, https://arxiv.org/abs/2307.02460). A document has the value of its source.

Two more functions of the paper. Its first stage predicts losses of mixtures at one size from the OT between
mixture and target (``mixture_distance``, ``fit_projektor``). Its second predicts larger sizes from two small
ones, linear in the logarithm of the size; losses fall as powers, so beyond three times the larger size it
predicts far too low ones (``log_linear_loss``: kept for reference, and not used).
"""

import math
from dataclasses import dataclass, field

import numpy as np

from cuvee.errors import ConfigError
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


def mixture_distance(
    costs: SquaredDistances, source: IntArray, shares: FloatArray, transport: Transport, seed: int
) -> float:
    """OT between a mixture of sources and the target; documents of a source weigh alike.

    Args:
        costs: between the documents of the pool and those of the target.
        source: the source of each document of the pool [n].
        shares: of the sources, summing to one [S].
        transport: how.
        seed: of its batches.

    Raises:
        ConfigError: a source has a share and no document.
    """
    count = np.bincount(source, minlength=len(shares))
    if len(empty := np.flatnonzero((shares > 0) & (count[: len(shares)] == 0))):
        raise ConfigError(f"projektor: source number {int(empty[0])} has a share and no document")
    kept = np.flatnonzero(shares[source] > 0)
    masses = (shares / np.maximum(count, 1))[source[kept]]
    return transport.duals(SquaredDistances(costs.x[kept], costs.y), seed, masses / masses.sum()).cost


@dataclass(frozen=True, eq=False)
class ProjektorFit:
    """The first stage: losses of mixtures at one size.

    L(p) = sum_i (b2_i p_i^2 + b1_i p_i) OT(p) + sum_i (c2_i p_i^2 + c1_i p_i)

    The paper's constants b0 and c0 are left out: as shares sum to one, b1 and c1 hold them.
    """

    coefficients: FloatArray
    """b2, b1, c2, c1 behind each other [4 S]."""

    def predict(self, shares: FloatArray, distances: FloatArray) -> FloatArray:
        """Losses [M].

        Args:
            shares: of mixtures [M, S].
            distances: OT between each and the target [M].
        """
        return _terms(shares, distances) @ self.coefficients


def fit_projektor(shares: FloatArray, distances: FloatArray, losses: FloatArray) -> ProjektorFit:
    """Least squares over mixtures that were trained at one size.

    Args:
        shares: [M, S].
        distances: OT between each mixture and the target [M].
        losses: [M].

    Raises:
        ConfigError: fewer mixtures than coefficients, or a number that is not finite.
    """
    sources = shares.shape[1]
    free = 2 * min(2 * sources, sources * (sources + 1) // 2)  # squares of two shares depend on each other
    if len(shares) < free:
        raise ConfigError(
            f"projektor: {free} coefficients need as many mixtures of {sources} sources; there are "
            f"{len(shares)}"
        )
    terms = _terms(shares, distances)
    if not (np.isfinite(terms).all() and np.isfinite(losses).all()):
        raise ConfigError("projektor: shares, distances and losses must be finite; leave failed runs out")
    coefficients: FloatArray = np.linalg.lstsq(terms, losses, rcond=None)[0].astype(np.float64)
    return ProjektorFit(coefficients)


def log_linear_loss(small: float, large: float, sizes: tuple[float, float], size: float) -> float:
    """The second stage, for reference: a loss at a size, linear in its logarithm through two losses.

    Use a law of ``cuvee scale`` instead: this line crosses zero where losses level out.

    Args:
        small: loss at the smaller size.
        large: loss at the larger.
        sizes: both.
        size: that is predicted.
    """
    first, second = sizes
    return (math.log(size / first) * large - math.log(size / second) * small) / math.log(second / first)


def _terms(shares: FloatArray, distances: FloatArray) -> FloatArray:
    quadratic = np.concatenate([shares**2, shares], axis=1)
    return np.concatenate([quadratic * distances[:, None], quadratic], axis=1)
