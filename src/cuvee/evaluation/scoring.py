"""Scoring many merges in memory (floor 4).

No checkpoint is written: each merge is one product into one buffer, then one forward pass. The forward
pass is the cost (above 95 % of the time from some thousand tokens on). All merges see the same tokens, so
differences between them are paired.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from cuvee.evaluation.likelihood import Evaluator
from cuvee.evaluation.scores import Scores
from cuvee.merging.linear import merge_block
from cuvee.merging.merge import Merge
from cuvee.merging.pool import FlatPool
from cuvee.progress import Progress, Silent
from cuvee.types import FloatArray


def iterate_scores(
    evaluator: Evaluator, pool: FlatPool, weights: FloatArray, scale: float = 1.0, start: int = 0
) -> Iterator[tuple[int, Scores]]:
    """Yield (position, scores [D]) of the merges ``weights[start:]``; to resume, start at position + 1.

    A merge's scores do not depend on where the iteration began.
    """
    for position, flat in enumerate(merge_block(pool, weights[start:], scale), start):
        yield position, evaluator.score(flat)


def score_merges(
    evaluator: Evaluator,
    pool: FlatPool,
    weights: FloatArray,
    scale: float = 1.0,
    progress: Progress | None = None,
) -> Scores:
    """Scores of all merges: nats of every document [M, D].

    Args:
        evaluator: what is scored.
        pool: the members.
        weights: [M, K].
        scale: of all merges.
        progress: told one step a merge.
    """
    listener = progress or Silent()
    weights = np.atleast_2d(weights)
    listener.stage("scoring merges", len(weights), "merges")
    nats = np.empty((len(weights), len(evaluator.documents.tokens)))
    for position, scores in iterate_scores(evaluator, pool, weights, scale):
        nats[position] = scores.nats
        listener.advance(1)
    return Scores(evaluator.documents, nats)


def score_members(evaluator: Evaluator, pool: FlatPool, progress: Progress | None = None) -> Scores:
    """Scores of the members themselves [K, D]: the cheapest baseline of every proxy."""
    return score_merges(evaluator, pool, np.eye(len(pool.roster.members)), 1.0, progress)


def weights_of(merges: Sequence[Merge]) -> FloatArray:
    """Weights of merges of one scale as a matrix [M, K]."""
    return np.stack([merge.weights for merge in merges])
