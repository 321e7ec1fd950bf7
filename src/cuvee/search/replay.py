"""Replay: a search played against results that are already there, to judge methods by.

What would have been trained is looked up in a table of runs, or predicted by a fitted law. The unit of cost
is one run at the target fidelity, and every experiment is charged, also one that fails. ``play``
(``search/trajectory.py``) lets a method search here.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Self

import numpy as np

from cuvee.errors import ConfigError
from cuvee.laws.interface import FittedLaw, LawData, Scale
from cuvee.mixture.region import Region
from cuvee.runs.formats.direction import Direction
from cuvee.runs.observations import Observations
from cuvee.search.proposer import History
from cuvee.search.space import Experiment, Fidelity, Space, among
from cuvee.search.trials import Trials
from cuvee.types import FloatArray

FidelityKey = tuple[str, float, float]
"""Kind, parameters, tokens."""

Answers = Callable[[FloatArray, int], FloatArray]
"""From mixtures [m, S] at a fidelity to costs [m, E] without noise; NaN where nothing is known."""

_DECIMALS = 9  # mixtures of a table that agree in them are one
_REFERENCES = 2000  # mixtures drawn where there is no pool
_SPARSE = 0.3  # Dirichlet parameter of half of them, so that corners are among them
_FLOPS_PER_TOKEN = 6.0  # and parameter, forward and backward


@dataclass(frozen=True, eq=False)
class Replay:
    """Experiments that can be asked for, and what they measure.

    Raises:
        ConfigError: noise that is negative or not one number for each metric.
    """

    space: Space
    metrics: tuple[str, ...]
    """Names [E]."""
    answers: Answers
    noise: FloatArray | None = None
    """Standard deviation of what is measured around the answer [E]; None: exact."""
    seed: int = 0
    """Of the noise. The same experiment measures the same."""
    best: FloatArray | None = None
    """The best mixture [S] at the target, where a space without a pool has one that is known."""

    def __post_init__(self) -> None:
        if self.noise is None:
            return
        noise = np.asarray(self.noise, dtype=np.float64)
        if noise.shape != (len(self.metrics),) or not (np.isfinite(noise) & (noise >= 0)).all():
            raise ConfigError(f"noise {noise.tolist()}; give a number of at least zero for each metric")

    # Making one

    @classmethod
    def of_tables(
        cls,
        observations: Observations,
        *,
        directions: Mapping[str, Direction] | None = None,
        region: Region | None = None,
        target: FidelityKey | None = None,
        flops: Mapping[FidelityKey, float] | None = None,
    ) -> Self:
        """Runs that were really made: only they can be asked for; replicates are averaged.

        Args:
            observations: rows of any kinds and sizes; each kind and size is a fidelity.
            directions: of the metrics; one that is not named is better when lower.
            region: of the same sources, in any order; default all mixtures.
            target: default the fidelity of the highest price.
            flops: prices of fidelities; default 6 x parameters x tokens.

        Raises:
            ConfigError: no rows, a row without size, prices or a target of no fidelity, other sources.
        """
        data = LawData.of(observations, directions=directions)
        region = region or Region.simplex(data.sources)
        shares = data.shares[:, _order(data.sources, region.names, "table")]
        keys = _keys(observations)
        fidelities = _fidelities(keys, dict(flops or {}))
        place = {(one.kind, one.params, one.tokens): index for index, one in enumerate(fidelities)}
        if target is not None and target not in place:
            raise ConfigError(f"no run is of the fidelity {target}")
        row_fidelity = np.array([place[key] for key in keys])
        _, first, row_mixture = np.unique(
            np.round(shares, _DECIMALS), axis=0, return_index=True, return_inverse=True
        )
        row_mixture = row_mixture.ravel()
        table = np.full((len(first), len(fidelities), len(data.metrics)), np.nan)
        offered = np.zeros(table.shape[:2], dtype=np.bool_)
        offered[row_mixture, row_fidelity] = True
        for mixture, fidelity in np.argwhere(offered):
            table[mixture, fidelity] = data.costs[(row_mixture == mixture) & (row_fidelity == fidelity)].mean(
                axis=0
            )
        pool = shares[first]
        chosen = len(fidelities) - 1 if target is None else place[target]
        space = Space(region, fidelities, chosen, pool, offered)
        return cls(space, data.metrics, partial(_looked_up, pool, table))

    @classmethod
    def of_law(
        cls, law: FittedLaw, space: Space, noise: FloatArray | float | None = None, seed: int = 0
    ) -> Self:
        """A fitted law taken for the truth at every fidelity, whatever its kind.

        Raises:
            ConfigError: law and space differ in their sources.
        """
        order = _order(space.sources, law.sources, "law")
        spread = (
            None if noise is None else np.broadcast_to(np.asarray(noise, dtype=np.float64), len(law.metrics))
        )
        return cls(space, law.metrics, partial(_predicted, law, space, order), spread, seed)

    # Asking it

    @property
    def prices(self) -> FloatArray:
        """Of one experiment at every fidelity [L], in runs at the target."""
        flops = self.space.flops
        result: FloatArray = flops / flops[self.space.target]
        return result

    def truth(self, shares: FloatArray) -> FloatArray:
        """Costs [m, E] of mixtures [m, S] at the target, without noise."""
        return self.answers(shares, self.space.target)

    def measure(self, experiments: Sequence[Experiment]) -> FloatArray:
        """Costs [m, E].

        Raises:
            ConfigError: an experiment that the space does not offer.
        """
        for one in experiments:
            self._check(one)
        return np.array([self._measured(one) for one in experiments]).reshape(-1, len(self.metrics))

    def price(self, experiment: Experiment, history: History) -> float:
        """Of an experiment, in runs at the target. A run that was asked for in part is charged in full."""
        return float(self.prices[experiment.fidelity])

    def along(self, experiment: Experiment, trials: Trials) -> tuple[list[Experiment], FloatArray]:
        """The checkpoints of an experiment that are not known yet, with their costs [p, E]."""
        parts = self.with_checkpoints(experiment, trials)[:-1]
        return parts, self.measure(parts)

    def with_checkpoints(self, experiment: Experiment, trials: Trials) -> list[Experiment]:
        """What an experiment measures: with curves its checkpoints that are not known yet, then itself."""
        mine = self.space.fidelities[experiment.fidelity]
        size = (mine.kind, mine.params)
        earlier = [
            Experiment(experiment.shares, index)
            for index, fidelity in sorted(enumerate(self.space.fidelities), key=lambda pair: pair[1].tokens)
            if self.space.curves
            and (fidelity.kind, fidelity.params) == size
            and fidelity.tokens < mine.tokens
        ]
        return [*(one for one in earlier if not trials.has(one.row, one.fidelity)), experiment]

    def reference(self) -> FloatArray:
        """Mixtures [P, S] whose median and best are the measure: those of the pool, else 2000 drawn ones.

        With the best one, where it is known.
        """
        space = self.space
        if space.pool is not None:
            return space.pool[space.rows(space.target)]
        rng = np.random.default_rng(self.seed)
        half, alpha = _REFERENCES // 2, np.full(len(space.sources), _SPARSE)
        sparse = [mixture.shares for mixture in space.region.sample(half, rng, alpha)]
        known = [] if self.best is None else [self.best[None]]
        return np.concatenate([space.drawn(half, rng), np.stack(sparse), *known])

    def _check(self, one: Experiment) -> None:
        space = self.space
        if not 0 <= one.fidelity < len(space.fidelities) or len(one.shares) != len(space.sources):
            raise ConfigError(f"{one} is no experiment of this replay")
        if not space.offers(one.row[None], one.fidelity)[0]:
            raise ConfigError(f"{one} was never run; ask only for mixtures of the pool")

    def _measured(self, one: Experiment) -> FloatArray:
        exact: FloatArray = self.answers(one.row[None], one.fidelity)[0]
        if self.noise is None:
            return exact
        words = np.frombuffer(one.row.tobytes(), dtype=np.uint32).tolist()
        return exact + self.noise * np.random.default_rng([self.seed, one.fidelity, *words]).normal(
            size=len(exact)
        )


def _order(have: Sequence[str], want: Sequence[str], what: str) -> list[int]:
    """Where each wanted source stands."""
    if set(have) != set(want):
        odd = sorted(set(have) ^ set(want))
        raise ConfigError(f"{what} and search differ in the source(s) {', '.join(odd)}")
    return [have.index(name) for name in want]


def _keys(observations: Observations) -> list[FidelityKey]:
    sizes = zip(observations.kind, observations.params.tolist(), observations.tokens.tolist(), strict=True)
    keys = list(sizes)
    for name, (_, params, tokens) in zip(observations.keys, keys, strict=True):
        if not all(math.isfinite(number) and number > 0 for number in (params, tokens)):
            raise ConfigError(f"run {name!r} has {params} parameters and {tokens} tokens; both are needed")
    return keys


def _fidelities(keys: Sequence[FidelityKey], prices: Mapping[FidelityKey, float]) -> tuple[Fidelity, ...]:
    """In the order of their prices."""
    if not keys:
        raise ConfigError("no runs to replay")
    if odd := [key for key in prices if key not in keys]:
        raise ConfigError(f"no run is of the fidelity {odd[0]}, which has a price")
    fidelities = [
        Fidelity(*key, prices.get(key, _FLOPS_PER_TOKEN * key[1] * key[2])) for key in dict.fromkeys(keys)
    ]
    return tuple(sorted(fidelities, key=lambda one: (one.flops, one.kind, one.params, one.tokens)))


def _looked_up(pool: FloatArray, table: FloatArray, shares: FloatArray, fidelity: int) -> FloatArray:
    """Costs [m, E] from a table [P, L, E]; NaN for a mixture that is not in the pool."""
    result = np.full((len(shares), table.shape[2]), np.nan)
    for row, one in enumerate(shares):
        for found in np.flatnonzero(among(pool, one[None]))[:1]:
            result[row] = table[found, fidelity]
    return result


def _predicted(
    law: FittedLaw, space: Space, order: list[int], shares: FloatArray, fidelity: int
) -> FloatArray:
    """Costs [m, E] from a law whose sources stand in another order."""
    size = space.fidelities[fidelity]
    return law.costs(shares[:, order], Scale(size.params, size.tokens))
