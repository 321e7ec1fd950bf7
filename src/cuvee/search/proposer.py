"""A proposer: asks for the next experiments, given what was observed.

A ``Method`` says what to try next as a pure function of what was tried, what is running, and a seed. So a
proposer has no state worth keeping: after a break it is given the store again and goes on as it would have.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from cuvee.errors import ConfigError
from cuvee.search.space import Experiment, Space, among
from cuvee.search.trials import Trials
from cuvee.types import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class History:
    """What a method knows."""

    space: Space
    weights: FloatArray
    """Of the metrics in the target [E], at least zero."""
    trials: Trials
    running: tuple[Experiment, ...] = ()
    """Pending: asked for and not observed yet."""

    @property
    def asked(self) -> int:
        """How many were ever asked for."""
        return len(self.trials) + len(self.running)

    def rng(self, seed: int) -> np.random.Generator:
        """Randomness that depends on nothing but the seed and how far the search is."""
        return np.random.default_rng([seed, self.asked])

    def target_costs(self, fidelity: int | None = None) -> tuple[FloatArray, FloatArray]:
        """Mixtures [n, S] and target costs [n] measured at a fidelity; default: the target's."""
        rows = self.trials.at(self.space.target if fidelity is None else fidelity)
        return self.trials.shares[rows], self.trials.costs[rows] @ self.weights

    def asked_for(self) -> tuple[FloatArray, IntArray]:
        """Mixtures [n, S] and fidelities [n] of all that was ever asked for: observed, then pending."""
        shares = np.concatenate([self.trials.shares, *(one.row[None] for one in self.running)])
        running = np.array([one.fidelity for one in self.running], dtype=np.int64)
        return shares, np.concatenate([self.trials.fidelity, running])

    def tried(self, shares: FloatArray, fidelity: int) -> BoolArray:
        """Which of the mixtures [C, S] were tried at a fidelity, or are running there [C]."""
        known, fidelities = self.asked_for()
        return among(shares, known[fidelities == fidelity])

    def price(self, shares: FloatArray, fidelity: int) -> float:
        """FLOPs still to pay: a run that was frozen on its way goes on from there."""
        fidelities = self.space.fidelities
        paid = [
            fidelities[start].flops
            for start in self.space.on_the_way(fidelity)
            if start != fidelity and self.trials.has(shares, start)
        ]
        return fidelities[fidelity].flops - max(paid, default=0.0)

    def plus(self, experiment: Experiment) -> "History":
        """With one more running."""
        return History(self.space, self.weights, self.trials, (*self.running, experiment))


class Method(Protocol):
    """A way to search. A row of ``SEARCH_METHODS``: immutable, without data."""

    @property
    def name(self) -> str:
        """Of the row."""
        ...

    @property
    def paper(self) -> str:
        """Address of its source."""
        ...

    @property
    def needs(self) -> str:
        """What it needs, in words."""
        ...

    @property
    def cost(self) -> str:
        """Of an ask, in words."""
        ...

    @property
    def deviations(self) -> str:
        """Where it differs from the paper."""
        ...

    def ask(self, history: History, count: int, seed: int) -> list[Experiment]:
        """The next experiments, to be made side by side. Deterministic for one history and seed.

        Fewer than ``count`` where no more make sense before these are known, none where a pool is exhausted.
        """
        ...


@dataclass(eq=False)
class Proposer:
    """A method at work on a space.

    Raises:
        ConfigError: weights that are negative, not finite or all zero.
    """

    method: Method
    space: Space
    metrics: tuple[str, ...]
    weights: FloatArray
    seed: int = 0

    def __post_init__(self) -> None:
        self.weights = np.asarray(self.weights, dtype=np.float64)
        ok = np.isfinite(self.weights).all() and (self.weights >= 0).all() and self.weights.sum() > 0
        if self.weights.shape != (len(self.metrics),) or not ok:
            raise ConfigError(f"weights {self.weights.tolist()} for the metrics {', '.join(self.metrics)}")
        self.history = History(self.space, self.weights, Trials.none(self.space, self.metrics))

    def ask(self, count: int = 1) -> list[Experiment]:
        """The next experiments; they are pending until their costs are given."""
        asked = self.method.ask(self.history, count, self.seed)
        for experiment in asked:
            self.history = self.history.plus(experiment)
        return asked

    def tell(self, experiments: Sequence[Experiment], costs: FloatArray) -> None:
        """What experiments measured [m, E]; a row of NaN for one that failed.

        Raises:
            ConfigError: not one row for each, or a fidelity that is none of the space.
        """
        for one in experiments:
            if not 0 <= one.fidelity < len(self.space.fidelities) or len(one.shares) != len(
                self.space.sources
            ):
                raise ConfigError(f"costs of {one}, which is no experiment of this search")
        running = list(self.history.running)
        for one in experiments:
            if one in running:
                running.remove(one)
        trials = self.history.trials.plus(experiments, np.asarray(costs, dtype=np.float64))
        self.history = History(self.space, self.weights, trials, tuple(running))
