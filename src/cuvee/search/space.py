"""What can be tried next: mixtures of a region at fidelities, each with its price."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cuvee.errors import ConfigError, MixtureError
from cuvee.hashing import digest, digest_bytes
from cuvee.mixture.mixture import Mixture
from cuvee.mixture.region import Region
from cuvee.types import BoolArray, FloatArray, IntArray

CHECKPOINT = "checkpoint"
PROXIES = ("merged", "ensembled")
"""Kinds of observations that no training made."""

_CONTAINED = 1e-6
_SAME = 1e-9


@dataclass(frozen=True)
class Fidelity:
    """A way of measuring a mixture.

    Raises:
        ConfigError: a number is not positive.
    """

    kind: str
    """One of the kinds of observations; ``checkpoint`` is a run to a longer fidelity that is frozen on its
    way."""
    params: float
    tokens: float
    flops: float
    """Of one experiment."""

    def __post_init__(self) -> None:
        for name in ("params", "tokens", "flops"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ConfigError(f"fidelity {self.kind!r}: {name} is {value}; give a positive number")


@dataclass(frozen=True)
class Experiment:
    """A mixture at a fidelity."""

    shares: tuple[float, ...]
    """[S], in the order of the space's sources."""
    fidelity: int
    """Index among the fidelities of the space."""

    @property
    def row(self) -> FloatArray:
        """The shares as an array."""
        return np.array(self.shares)


@dataclass(frozen=True, eq=False)
class Space:
    """All experiments that may be asked for.

    Raises:
        ConfigError: no fidelity, a target that is none of them, or a pool that does not fit.
        MixtureError: no mixture of the pool lies in the region.
    """

    region: Region
    fidelities: tuple[Fidelity, ...]
    target: int
    """The fidelity at which the best mixture is wanted."""
    pool: FloatArray | None = None
    """Where only these mixtures [P, S] can be had, as from a table of runs; else the whole region."""
    offered: BoolArray | None = None
    """Which of them can be had at which fidelity [P, L]; default all."""
    curves: bool = False
    """Shorter fidelities of a kind and size are parts of longer trainings, not trainings of their own."""

    def __post_init__(self) -> None:
        if not 0 <= self.target < len(self.fidelities):
            raise ConfigError(f"target fidelity {self.target} of {len(self.fidelities)} fidelities")
        if self.pool is None:
            return
        if self.pool.ndim != 2 or self.pool.shape[1] != len(self.region.names):
            raise ConfigError(f"a pool of shape {self.pool.shape} for {len(self.region.names)} sources")
        if self.offered is not None and self.offered.shape != (len(self.pool), len(self.fidelities)):
            raise ConfigError(f"offers of shape {self.offered.shape} for {len(self.pool)} mixtures")
        if not self._inside.any():
            raise MixtureError("no mixture of the pool lies inside the bounds")

    @property
    def sources(self) -> tuple[str, ...]:
        """Names [S]."""
        return self.region.names

    @property
    def cheapest(self) -> int:
        """The fidelity of the lowest price."""
        return min(range(len(self.fidelities)), key=lambda fidelity: self.fidelities[fidelity].flops)

    @property
    def flops(self) -> FloatArray:
        """Price of every fidelity [L]."""
        return np.array([fidelity.flops for fidelity in self.fidelities])

    def on_the_way(self, fidelity: int) -> tuple[int, ...]:
        """Fidelities at which a run to this one can be frozen, the shortest first, and itself."""
        mine = self.fidelities[fidelity]
        found = [
            index
            for index, one in enumerate(self.fidelities)
            if one.kind == CHECKPOINT and one.params == mine.params and one.tokens < mine.tokens
        ]
        # Only the longest trainings of a size are cut into parts: a shorter one has another schedule.
        whole = mine.kind == CHECKPOINT or fidelity == self.target
        return (
            (*sorted(found, key=lambda index: self.fidelities[index].tokens), fidelity)
            if whole
            else (fidelity,)
        )

    def drawn(self, count: int, rng: np.random.Generator, fidelity: int | None = None) -> FloatArray:
        """Mixtures that may be asked for at a fidelity, at random [C, S]; of a pool each at most once."""
        if self.pool is None:
            sampled = [mixture.shares for mixture in self.region.sample(count, rng)]
            return np.array(sampled).reshape(count, len(self.sources))
        drawn: FloatArray = self.pool[rng.permutation(self.rows(fidelity))[:count]]
        return drawn

    def rows(self, fidelity: int | None = None) -> IntArray:
        """Mixtures of the pool inside the region that can be had at a fidelity (at any: None)."""
        assert self.pool is not None
        if self.offered is None:
            return np.flatnonzero(self._inside)
        here = self.offered.any(axis=1) if fidelity is None else self.offered[:, fidelity]
        return np.flatnonzero(self._inside & here)

    def offers(self, shares: FloatArray, fidelity: int) -> BoolArray:
        """Which of the mixtures [C, S], all of them inside the region, can be had at a fidelity [C]."""
        if self.pool is None:
            return np.ones(len(shares), dtype=np.bool_)
        return among(shares, self.pool[self.rows(fidelity)])

    @cached_property
    def content(self) -> str:
        """Digest of all that can be asked for: spaces with the same one are equal."""
        region, pool = self.region, self.pool if self.pool is not None else np.zeros(0)
        offered = self.offered if self.offered is not None else np.zeros(0)
        arrays = (region.lower, region.upper, pool, offered)
        return digest(
            {
                "sources": list(region.names),
                "ratios": [dict(one) for one in region.ratios],
                "levels": [
                    [one.kind, *map(float, (one.params, one.tokens, one.flops))] for one in self.fidelities
                ],
                "target": self.target,
                "curves": self.curves,
                "arrays": [[list(one.shape), digest_bytes(one.tobytes())] for one in arrays],
            }
        )

    @cached_property
    def _inside(self) -> BoolArray:
        """Which mixtures of the pool lie in the region [P]."""
        assert self.pool is not None
        rows = (Mixture(self.sources, row / row.sum()) for row in self.pool)
        return np.array([self.region.contains(row, _CONTAINED) for row in rows], dtype=np.bool_)


def among(shares: FloatArray, known: FloatArray) -> BoolArray:
    """Which of the mixtures [C, S] are one of the known ones [K, S], every share to 1e-9 [C].

    Cost O(C K S), in min(C, K) steps.
    """
    if len(shares) <= len(known):
        each = [(np.abs(known - row).max(axis=1) <= _SAME).any() for row in shares]
        return np.array(each, dtype=np.bool_)
    found = np.zeros(len(shares), dtype=np.bool_)
    for row in known:
        found |= np.abs(shares - row).max(axis=1) <= _SAME
    return found
