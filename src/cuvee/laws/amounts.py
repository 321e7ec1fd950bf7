"""Tokens of every source that a run read, in units of fresh ones, with derivatives.

    n' = n                                                  up to one epoch, n <= U
    n' = U + U R (1 - exp(-(n / U - 1) / R))                beyond

n tokens are read of a source that has U different ones (Muennighoff et al. 2023,
https://arxiv.org/abs/2305.16264, equation 5). n' is concave in n, has a continuous derivative at one epoch,
and never exceeds U (1 + R): what is read ever again is soon worth nothing.
"""

from dataclasses import dataclass

import numpy as np

from cuvee.errors import ConfigError
from cuvee.laws.interface import Scale
from cuvee.types import FloatArray

DECAY = 15.39
"""R as Muennighoff et al. fitted it."""


@dataclass(frozen=True, eq=False)
class Amounts:
    """Effective amounts of B problems in M mixtures of S sources; B is one where nothing is repeated."""

    read: FloatArray
    """n, [M, S], in the unit asked for."""
    fresh: FloatArray
    """n', [B, M, S]."""
    per_read: FloatArray
    """dn'/dn, [B, M, S]."""
    per_decay: FloatArray
    """dn'/d log R, [B, M, S]."""

    @classmethod
    def of(cls, shares: FloatArray, scale: Scale, log_decay: FloatArray, unit: float) -> "Amounts":
        """Amounts in ``unit`` tokens.

        Args:
            shares: [M, S].
            scale: its tokens, and unique tokens where there are any.
            log_decay: log R [B].
            unit: in tokens.

        Raises:
            ConfigError: unique tokens of another number of sources.
        """
        tokens = np.broadcast_to(np.asarray(scale.tokens, dtype=np.float64) / unit, (len(shares),))
        read = shares * tokens[:, None]
        fresh = read[None]
        unique = np.full(1, np.inf) if scale.unique is None else scale.unique / unit
        if unique.shape[-1] not in (1, shares.shape[1]):
            raise ConfigError(f"unique tokens of {unique.shape[-1]} sources for {shares.shape[1]}")
        unique = np.broadcast_to(unique, read.shape)
        again = read > unique  # no where they are NaN
        if not again.any():
            return cls(read, fresh, np.ones_like(fresh), np.zeros_like(fresh))
        decay = np.exp(log_decay)[:, None]
        once, beyond = unique[again], read[again] / unique[again] - 1.0
        left = np.exp(-beyond / decay)  # [B, K], over the K amounts that were read again
        fresh, per_read, per_decay = (
            np.repeat(part[None], len(log_decay), axis=0)
            for part in (read, np.ones_like(read), np.zeros_like(read))
        )
        fresh[:, again] = once * (1.0 + decay * (1.0 - left))
        per_read[:, again] = left
        per_decay[:, again] = once * (decay * (1.0 - left) - beyond * left)
        return cls(read, fresh, per_read, per_decay)
