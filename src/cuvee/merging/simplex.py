"""Weights of methods that mean something on the simplex alone."""

import numpy as np

from cuvee.errors import ConfigError, MixtureError
from cuvee.merging.pool import FlatPool
from cuvee.merging.statistics import Statistics
from cuvee.types import FloatArray

_TOLERANCE = 1e-6


def on_simplex(weights: FloatArray, members: int, method: str) -> FloatArray:
    """The weights [K], of which rounding is taken out.

    Raises:
        MixtureError: of the wrong length, not finite, negative, or not summing to one.
    """
    weights = np.asarray(weights, dtype=np.float64)
    if weights.shape != (members,):
        raise MixtureError(f"merge: weights {weights.shape} for a pool of {members} members")
    off = not np.isfinite(weights).all() or (weights < 0).any() or abs(weights.sum() - 1.0) > _TOLERANCE
    if off:
        raise MixtureError(
            f"merge: {method} needs weights of zero or more that sum to one, not {weights.tolist()}: it is a "
            "mean of members, and knows no step beyond them"
        )
    return np.asarray(weights / weights.sum())


def statistics_of(pool: FlatPool, kind: str, method: str) -> Statistics:
    """What a method needs of the members of a pool.

    Raises:
        ConfigError: the pool has no such statistics.
    """
    if pool.statistics is None or pool.statistics.kind != kind:
        raise ConfigError(
            f"merge: {method} needs statistics of kind '{kind}' of every member, and the pool was opened "
            "without; give it `statistics`"
        )
    return pool.statistics
