"""What has been tried: experiments with what they measured, as arrays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from cuvee.errors import ConfigError
from cuvee.laws.interface import LawData
from cuvee.runs.formats.direction import Direction
from cuvee.runs.observations import Observations
from cuvee.search.space import Experiment, Space, among
from cuvee.types import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Trials:
    """Experiments in the order in which they were asked for. Costs: lower is better."""

    metrics: tuple[str, ...]
    shares: FloatArray
    """[n, S]."""
    fidelity: IntArray
    """[n]."""
    costs: FloatArray
    """[n, E]; NaN where not measured, a row of NaN where the experiment failed."""

    @classmethod
    def none(cls, space: Space, metrics: Sequence[str]) -> Self:
        """Before the first."""
        empty = np.zeros((0, len(space.sources))), np.zeros(0, dtype=np.int64), np.zeros((0, len(metrics)))
        return cls(tuple(metrics), *empty)

    @classmethod
    def of(
        cls,
        observations: Observations,
        space: Space,
        directions: Mapping[str, Direction] | None = None,
        metrics: Sequence[str] | None = None,
    ) -> Self:
        """Observations at fidelities of the space; rows at others are left out. Metrics: default all.

        Raises:
            ConfigError: other sources than those of the space (the message names it).
        """
        if set(observations.sources) != set(space.sources):
            odd = sorted(set(observations.sources) ^ set(space.sources))
            raise ConfigError(f"observations and search differ in the source(s) {', '.join(odd)}")
        data = LawData.of(observations, metrics, directions)
        order = [observations.sources.index(name) for name in space.sources]
        sizes = {(one.kind, one.params, one.tokens): i for i, one in enumerate(space.fidelities)}
        keys = zip(observations.kind, observations.params.tolist(), observations.tokens.tolist(), strict=True)
        fidelity = np.array([sizes.get(key, -1) for key in keys], dtype=np.int64)
        rows = np.flatnonzero(fidelity >= 0)
        return cls(data.metrics, data.shares[rows][:, order], fidelity[rows], data.costs[rows])

    def __len__(self) -> int:
        return len(self.fidelity)

    @property
    def experiments(self) -> list[Experiment]:
        """[n], in order."""
        rows = zip(self.shares.tolist(), self.fidelity.tolist(), strict=True)
        return [Experiment(tuple(shares), fidelity) for shares, fidelity in rows]

    def plus(self, asked: Sequence[Experiment], costs: FloatArray) -> Self:
        """With further experiments and what they measured [m, E].

        Raises:
            ConfigError: not one row of costs for each.
        """
        if costs.shape != (len(asked), len(self.metrics)):
            raise ConfigError(
                f"costs of shape {costs.shape} for {len(asked)} experiments of {len(self.metrics)} metrics"
            )
        if not asked:
            return self
        shares = np.concatenate([self.shares, np.stack([one.row for one in asked])])
        fidelity = np.concatenate([self.fidelity, [one.fidelity for one in asked]])
        return type(self)(self.metrics, shares, fidelity, np.concatenate([self.costs, costs]))

    @property
    def measured(self) -> IntArray:
        """Experiments that measured anything."""
        return np.flatnonzero(np.isfinite(self.costs).any(axis=1))

    def at(self, fidelity: int) -> IntArray:
        """Experiments of a fidelity that measured everything."""
        return np.flatnonzero((self.fidelity == fidelity) & np.isfinite(self.costs).all(axis=1))

    def spent(self, space: Space) -> float:
        """FLOPs of all of them."""
        return float(space.flops[self.fidelity].sum())

    def has(self, shares: FloatArray, fidelity: int) -> bool:
        """Whether a mixture was tried at a fidelity, with or without success."""
        return bool(among(shares[None], self.shares[self.fidelity == fidelity])[0])
