"""Mixtures that a method chooses from: even draws, sparse ones, neighbours of the best so far."""

import numpy as np

from cuvee.search.proposer import History
from cuvee.search.surrogate import Surrogate
from cuvee.types import FloatArray

DRAWN = 1024
_NEIGHBOURS = 512
_BEST = 10
_SPARSE = 0.3  # Dirichlet parameter of sparse draws
_STEPS = (0.02, 0.05, 0.15)  # in square roots of shares


def candidates(history: History, surrogate: Surrogate, rng: np.random.Generator) -> FloatArray:
    """Mixtures [C, S] inside the region: of a pool all, else some 2000."""
    space = history.space
    if space.pool is not None:
        return space.pool[space.rows()]
    half = DRAWN // 2
    even = space.drawn(half, rng)
    alpha = np.full(len(space.sources), _SPARSE)
    sparse = np.stack([one.shares for one in space.region.sample(half, rng, alpha)])
    observed = [space.region.project(row).shares for row in history.trials.shares]
    drawn = np.concatenate([even, sparse, np.array(observed).reshape(len(observed), len(space.sources))])
    places = surrogate.places(drawn, np.full(len(drawn), space.target))
    order = np.argsort(surrogate.mean(places) @ history.weights[surrogate.metrics])
    roots = np.sqrt(drawn[order[:_BEST]])
    chosen = rng.integers(len(roots), size=_NEIGHBOURS)
    steps = rng.choice(_STEPS, size=(_NEIGHBOURS, 1))
    moved = np.maximum(roots[chosen] + steps * rng.normal(size=(_NEIGHBOURS, roots.shape[1])), 0.0) ** 2
    near = [space.region.project(row / max(row.sum(), 1e-12)).shares for row in moved]
    return np.concatenate([drawn, near])
