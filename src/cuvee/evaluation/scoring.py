"""Scoring many merges in memory.

No checkpoint is written: each merge is one product into one buffer, then one forward pass. The forward
pass is the cost (above 95 % of the time from some thousand tokens on). All merges see the same tokens, so
differences between them are paired.
"""

from collections.abc import Callable

import numpy as np
import torch

from cuvee.evaluation.likelihood import Evaluator
from cuvee.evaluation.scores import Scores
from cuvee.merging.interface import Merger
from cuvee.merging.pool import FlatPool
from cuvee.types import FloatArray


def score_merges(
    evaluator: Evaluator,
    pool: FlatPool,
    merger: Merger,
    weights: FloatArray,
    done: Callable[[], None] = lambda: None,
) -> Scores:
    """Scores of merges: nats of every document [M, D]. Those of one do not depend on the others.

    Args:
        evaluator: what is scored.
        pool: the members.
        merger: how they are merged.
        weights: [M, K].
        done: called after each merge.
    """
    buffer = torch.empty(pool.size, device=pool.bank.device)
    nats = np.empty((len(weights), len(evaluator.documents.tokens)))
    for row, one in enumerate(weights):
        nats[row] = evaluator.score(merger.merge(pool, one, buffer)).nats
        done()
    return Scores(evaluator.documents, nats)
