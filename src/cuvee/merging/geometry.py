"""Lengths and angles of a pool, and whether its members may be averaged at all.

Everything follows from the Gram matrix of the deltas, one pass over the pool. Averaging fails silently when
one member is much longer than the others (it decides every merge; https://arxiv.org/abs/2508.01148) and when
a barrier lies between members (https://arxiv.org/abs/1912.05671): the loss of the merge above the weighted
mean of theirs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cuvee.merging.pool import FlatPool
from cuvee.types import FloatArray

NORM_RATIO_LIMIT = 2.0
SEED_NORM_LIMIT = 0.5
"""Of a branch's delta over the seed model's own length. Measured (``benchmarks/controls.md``): 0.18 where
merges beat their members by a quarter of a nat, 0.96 at ten times that rate, where they gain nothing."""
_BARRIER_NATS = 1e-3


@dataclass(frozen=True, eq=False)
class Geometry:
    """Inner products of the deltas of a pool."""

    names: tuple[str, ...]
    gram: FloatArray
    """[K, K]"""
    seed_norm: float

    @classmethod
    def of(cls, pool: FlatPool) -> "Geometry":
        """Measure a pool: one pass, 2 K^2 N FLOPs in float64."""
        return cls(pool.roster.names, pool.gram(), float(pool.seed.double().norm()))

    @property
    def norms(self) -> FloatArray:
        """Length of every delta [K]."""
        return np.sqrt(np.maximum(np.diag(self.gram), 0.0))

    @property
    def cosines(self) -> FloatArray:
        """Cosines between deltas [K, K]; zero where a delta has no length, one on the diagonal."""
        norms = self.norms
        outer = np.outer(norms, norms)
        cosines = np.divide(self.gram, outer, out=np.zeros_like(self.gram), where=outer > 0)
        np.fill_diagonal(cosines, 1.0)
        return np.clip(cosines, -1.0, 1.0)

    def warnings(self) -> list[str]:
        """What speaks against averaging these members, in sentences; empty if nothing does."""
        norms = self.norms
        long, short = int(np.argmax(norms)), int(np.argmin(norms))
        found = []
        if norms[short] == 0:
            found.append(f"member {self.names[short]!r} has not moved from the seed model; was it trained?")
        elif norms[long] > NORM_RATIO_LIMIT * norms[short]:
            found.append(
                f"member {self.names[long]!r} moved {norms[long] / norms[short]:.1f} times as far from "
                f"the seed model as {self.names[short]!r} (limit {NORM_RATIO_LIMIT:g}); it decides every "
                "merge it is in. Train all units for the same number of steps at the same learning rate"
            )
        if norms[long] > SEED_NORM_LIMIT * self.seed_norm:
            found.append(
                f"member {self.names[long]!r} moved {norms[long] / self.seed_norm:.2f} times the length of "
                f"the seed model itself (limit {SEED_NORM_LIMIT:g}); averages this far out mean little. "
                "Train the seed model longer, or the branches shorter"
            )
        return found


def barrier(merged: FloatArray, members: FloatArray, weights: FloatArray) -> FloatArray:
    """Height of a merge above the weighted mean of its members, in the unit of the losses.

    Args:
        merged: losses of merges [..., E].
        members: losses of the members [K, E].
        weights: of the merges [..., K].

    Returns:
        [..., E]; negative where averaging helps, as it should.
    """
    return np.asarray(merged - np.asarray(weights) @ members)


def barrier_warnings(evaluations: Sequence[str], heights: FloatArray) -> list[str]:
    """A sentence for every evaluation in which one of the merges stands above its members.

    Args:
        evaluations: names [E].
        heights: [M, E] or [E] nats per token, from ``barrier``.
    """
    highest = np.atleast_2d(heights).max(axis=0)
    counts = (np.atleast_2d(heights) > _BARRIER_NATS).sum(axis=0)
    return [
        f"{name}: {count} of {len(np.atleast_2d(heights))} merges are worse than the mean of their members, "
        f"by up to {height:.3f} nats per token: a barrier lies between them, and merges do not stand for "
        "training. Train the seed model longer, or the branches shorter"
        for name, height, count in zip(evaluations, highest, counts, strict=True)
        if height > _BARRIER_NATS
    ]
