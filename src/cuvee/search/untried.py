"""Untried mixtures: those of a space that may still be asked for at a fidelity."""

import numpy as np

from cuvee.search.proposer import History
from cuvee.search.space import Experiment
from cuvee.types import FloatArray

_DIGITS = 9


def untried(history: History, shares: FloatArray, fidelity: int) -> FloatArray:
    """Those of the mixtures [C, S] that were not tried at a fidelity and are not running there, each once.

    Returns:
        Mixtures [U, S] in the order given. Cost O(n C S) for n experiments.
    """
    _, first = np.unique(np.round(shares, _DIGITS), axis=0, return_index=True)
    different = shares[np.sort(first)]
    result: FloatArray = different[~history.tried(different, fidelity)]
    return result


def untried_rows(history: History, fidelity: int) -> FloatArray:
    """Untried mixtures [U, S] of the pool that can be had at a fidelity, in the order of the pool."""
    pool = history.space.pool
    assert pool is not None
    return untried(history, pool[history.space.rows(fidelity)], fidelity)


def untried_draws(history: History, fidelity: int, count: int, rng: np.random.Generator) -> FloatArray:
    """At most ``count`` untried mixtures, at random [U, S].

    Fewer only where a pool has no more, or where the region is a single mixture.
    """
    pool = history.space.pool
    if count < 1:
        return np.zeros((0, len(history.space.sources)))
    drawn = history.space.drawn(count if pool is None else len(pool), rng, fidelity)
    return untried(history, drawn, fidelity)[:count]


def nearest_untried(history: History, points: FloatArray, fidelity: int) -> FloatArray:
    """For each point [P, S] in turn the nearest row of the pool that is left, [at most P, S]."""
    left = untried_rows(history, fidelity)
    chosen: list[FloatArray] = []
    for point in points[: len(left)]:
        nearest = int(np.square(left - point).sum(axis=1).argmin())
        chosen.append(left[nearest])
        left = np.delete(left, nearest, axis=0)
    return np.array(chosen).reshape(len(chosen), len(history.space.sources))


def at_fidelity(shares: FloatArray, fidelity: int) -> list[Experiment]:
    """Mixtures [C, S] as experiments."""
    return [Experiment(tuple(row), fidelity) for row in shares.tolist()]
