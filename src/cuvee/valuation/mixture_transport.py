"""Optimal transport from any mixture of sources to a target, as a table of planes.

Some mixtures are transported; each leaves the plane that touches OT there (``laws/transport_planes.py``). On
eight text domains the highest of 128 planes was below OT by 0.1 % to 1 % of its spread over mixtures, in the
mean.
"""

import numpy as np
from scipy.special import logsumexp

from cuvee.errors import ConfigError
from cuvee.laws.transport_planes import TransportPlanes
from cuvee.types import FloatArray, IntArray
from cuvee.valuation.document_table import DocumentTable
from cuvee.valuation.ground_cost import SquaredDistances
from cuvee.valuation.substrates import NotAtHand, Substrates
from cuvee.valuation.transport import Transport, entropic_duals

PLANES = 128
_SPREADS = (0.3, 1.0, 3.0)
"""Of the Dirichlet draws that are transported, by turns: from nearly one source to nearly all alike."""


def transport_planes(
    pool: DocumentTable,
    target: DocumentTable,
    name: str,
    substrates: Substrates,
    seed: int,
    transport: Transport | None = None,
) -> TransportPlanes:
    """OT from mixtures of the pool's sources to the target; documents of a source weigh alike.

    Cost: ``PLANES`` transports of at most a batch of documents, drawn from all sources alike.

    Args:
        pool: documents of at least two sources.
        target: its documents.
        name: of the target.
        substrates: embed both.
        seed: of the documents and mixtures drawn.
        transport: how; its batch bounds the documents of either side.

    Raises:
        NotAtHand: the pool has one source, POT is missing, or nothing embeds.
        ConfigError: a source has no document.
    """
    how = transport or Transport()
    count = len(pool.sources)
    if count < 2:
        raise NotAtHand("distances of mixtures: the pool has one source, so there are no mixtures")
    rng = np.random.default_rng([seed, 53])
    rows = _drawn_alike(pool.source, count, how.batch, rng)
    columns = np.sort(rng.permutation(len(target))[: how.batch])
    costs = SquaredDistances(substrates.embeddings(pool)[rows], substrates.embeddings(target)[columns])
    if not costs.mean > 0:
        raise ConfigError("distances of mixtures: all documents have the same embedding")
    matrix = costs.block(np.arange(len(rows)), np.arange(len(columns)))
    of_source = np.eye(count)[pool.source[rows]]
    means = of_source / of_source.sum(axis=0)
    slopes, heights = [], []
    mixtures = _mixtures(count, rng)
    substrates.progress.stage("transporting mixtures", len(mixtures), "mixtures")
    for shares in mixtures:
        f, height = _plane(matrix, means @ shares, how.smoothing * costs.mean)
        slopes.append(tuple((f @ means).tolist()))
        heights.append(height)
        substrates.progress.advance(1.0)
    return TransportPlanes(name, tuple(pool.sources), tuple(slopes), tuple(heights))


def _plane(costs: FloatArray, masses: FloatArray, epsilon: float) -> tuple[FloatArray, float]:
    """Potentials of all rows [n], also of those without mass, and the part of the columns."""
    kept = masses > 0
    columns = np.full(costs.shape[1], 1.0 / costs.shape[1])
    g = entropic_duals(costs[kept], masses[kept] / masses[kept].sum(), columns, epsilon).g
    f: FloatArray = -epsilon * logsumexp((g - costs) / epsilon, axis=1, b=columns)
    return f, float(g.mean())


def _mixtures(sources: int, rng: np.random.Generator) -> FloatArray:
    """Every source alone, all alike, and draws [max(PLANES, S + 1), S]."""
    fixed = [*np.eye(sources), np.full(sources, 1.0 / sources)]
    drawn = [
        rng.dirichlet(np.full(sources, _SPREADS[number % len(_SPREADS)]))
        for number in range(PLANES - len(fixed))
    ]
    return np.stack(fixed + drawn)


def _drawn_alike(source: IntArray, sources: int, most: int, rng: np.random.Generator) -> IntArray:
    """Rows of documents, as many of each source as there is room for.

    Raises:
        ConfigError: a source has none.
    """
    found = []
    for number in range(sources):
        own = np.flatnonzero(source == number)
        if not len(own):
            raise ConfigError(f"distances of mixtures: source number {number} of the pool has no document")
        found.append(rng.permutation(own)[: max(1, most // sources)])
    return np.sort(np.concatenate(found))
