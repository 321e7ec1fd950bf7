"""Racing merges: few tokens for many, many tokens for few (floor 4).

Successive halving (Jamieson & Talwalkar, https://arxiv.org/abs/1502.07943) over growing parts of the
evaluation windows, with one change: a merge whose paired difference to the best is within its noise is kept,
however many that are. So halving saves where differences are large and costs a full evaluation where there
are none.
Windows of a rung are spread over each evaluation at random, to see many documents early; survivors score only
the windows that are new.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cuvee.errors import ConfigError
from cuvee.evaluation.likelihood import Evaluator
from cuvee.evaluation.paired import compare
from cuvee.evaluation.scores import Documents, Scores
from cuvee.evaluation.scoring import iterate_scores
from cuvee.merging.pool import FlatPool
from cuvee.progress import Progress, Silent
from cuvee.types import FloatArray, IntArray

DEFAULT_RUNGS = (1 / 16, 1 / 4, 1.0)
_NOISE_ERRORS = 3.0


@dataclass(frozen=True, eq=False)
class Race:
    """How a race went. M merges; survivors saw all tokens."""

    survivors: IntArray
    """Merges that reached the last rung, best first."""
    tied: IntArray
    """Those of them that are within noise of the best (the best included), best first."""
    scores: Scores
    """Of the survivors, in the order of ``survivors`` [survivors, D]."""
    losses: FloatArray
    """Weighted loss of every merge on the last rung that it saw [M]."""
    rungs: IntArray
    """The last rung that every merge saw [M]."""
    spent_tokens: int
    full_tokens: int
    """What scoring all merges on all tokens would have spent."""


def race(
    evaluator: Evaluator,
    pool: FlatPool,
    weights: FloatArray,
    target: FloatArray,
    *,
    seed: int,
    scale: float = 1.0,
    rungs: Sequence[float] = DEFAULT_RUNGS,
    keep: float = 0.5,
    progress: Progress | None = None,
) -> Race:
    """Find the merges with the lowest weighted loss.

    Args:
        evaluator: all windows.
        pool: the members.
        weights: the merges [M, K].
        target: weight of each evaluation's nats per token in what is minimised [E].
        seed: of the order of windows and of the bootstrap.
        scale: of all merges.
        rungs: growing fractions of the windows; the last must be one.
        keep: part of the merges that goes on at least; more go on if noise does not tell them from the best.
        progress: told one step a merge and rung.

    Raises:
        ConfigError: the rungs do not grow to one, or ``keep`` is not in (0, 1].
    """
    if list(rungs) != sorted(set(rungs)) or rungs[0] <= 0 or rungs[-1] != 1.0:
        raise ConfigError(f"race: rungs {list(rungs)} must be growing fractions that end in 1")
    if not 0 < keep <= 1:
        raise ConfigError(f"race: keep is {keep}; must be above 0 and at most 1")
    listener = progress or Silent()
    weights = np.atleast_2d(weights)
    parts = _parts(evaluator, rungs, seed)
    alive = np.arange(len(weights))
    losses, reached = np.full(len(weights), np.nan), np.zeros(len(weights), dtype=np.int64)
    nats = np.zeros((len(weights), len(evaluator.documents.tokens)))
    documents, spent = None, 0
    for rung, part in enumerate(parts):
        listener.stage(f"race, rung {rung + 1} of {len(parts)}", len(alive), "merges")
        for position, scores in iterate_scores(part, pool, weights[alive], scale):
            nats[alive[position]] += scores.nats
            listener.advance(1)
        spent += len(alive) * part.tokens
        documents = part.documents if documents is None else _joined(documents, part.documents)
        seen = Scores(documents, nats[alive])
        losses[alive], reached[alive] = seen.nats_per_token @ target, rung
        order = np.argsort(losses[alive], kind="stable")
        difference, error = compare(seen, seen[int(order[0])], seed=seed).weighted(target)
        noisy = difference <= _NOISE_ERRORS * np.where(difference > 0, error, 0)
        if rung == len(parts) - 1:
            return Race(
                alive[order], alive[order[noisy[order]]], seen[order], losses, reached, spent,
                len(weights) * evaluator.tokens,
            )  # fmt: skip
        kept = np.zeros(len(alive), dtype=bool)
        kept[order[: max(1, int(np.ceil(keep * len(alive))))]] = True
        alive = alive[kept | noisy]
    raise AssertionError("the last rung returns")


def _parts(evaluator: Evaluator, rungs: Sequence[float], seed: int) -> list[Evaluator]:
    """The windows that each rung adds: the same fraction of every evaluation, one window at least."""
    rng = np.random.default_rng(seed)
    chosen: list[list[IntArray]] = [[] for _ in rungs]
    for position in range(len(evaluator.documents.evaluations)):
        windows = rng.permutation(np.flatnonzero(evaluator.window_evaluation == position))
        ends = [max(1, int(np.ceil(fraction * len(windows)))) for fraction in rungs]
        for part, start, end in zip(chosen, [0, *ends], ends, strict=False):
            part.append(windows[start:end])
    windows_of = [np.sort(np.concatenate(part)) for part in chosen]
    return [evaluator.select(windows) for windows in windows_of if len(windows)]


def _joined(one: Documents, other: Documents) -> Documents:
    return Documents(
        one.evaluations, one.keys, one.evaluation, one.tokens + other.tokens, one.bytes + other.bytes
    )
