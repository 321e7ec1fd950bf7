"""Scoring many merges in memory.

No checkpoint is written: each merge is one product into one buffer, then one forward pass. The forward
pass is the cost (above 95 % of the time from some thousand tokens on). All merges see the same tokens, so
differences between them are paired. On a device nothing waits for a merge: the sums of all come back at once.
"""

from collections.abc import Callable

import torch

from cuvee.evaluation.captured import CAPTURE
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
    capture: bool = CAPTURE,
) -> Scores:
    """Scores of merges: nats of every document [M, D]. Those of one do not depend on the others.

    Args:
        evaluator: what is scored.
        pool: the members.
        merger: how they are merged.
        weights: [M, K].
        done: called after each merge, which a GPU may still be at.
        capture: a merge's pass over the windows as one CUDA graph.

    Raises:
        NonFiniteLoss: a merge has a loss that is no number.
    """
    device = pool.bank.device
    scorer = evaluator.batched(device).scorer(capture)
    nats = torch.empty(len(weights), len(evaluator.documents.tokens), dtype=torch.float64, device=device)
    for row, one in enumerate(weights):
        merger.merge(pool, one, scorer.buffer)
        nats[row] = scorer()
        done()
    return evaluator.scores(nats.cpu().numpy())
