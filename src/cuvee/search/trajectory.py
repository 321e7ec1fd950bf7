"""Trajectory: what a method did in a replay, and how well.

Two scores. ``cost_to`` is what had been spent when a *completed* target run was good enough. ``regret`` is
how far the mixture is from the best that a method would train if its budget ended here, with that run paid.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np

from cuvee.errors import ConfigError
from cuvee.search.loop import Loop, Outcome
from cuvee.search.proposer import History, Method, Proposer
from cuvee.search.replay import Replay
from cuvee.search.space import Experiment
from cuvee.types import FloatArray, Json

_BY_EXPERIMENT = ("spent", "best", "recommended", "proven")


@runtime_checkable
class Recommending(Protocol):
    """A method that says which mixture it holds for the best, run at the target or not."""

    def recommend(self, history: History) -> FloatArray:
        """Shares [S]; there is at least one trial that measured everything."""
        ...


@dataclass(frozen=True, eq=False)
class Trajectory:
    """What a method did, one entry for each experiment in the order in which they were made."""

    method: str
    experiments: tuple[Experiment, ...]
    """[n], without checkpoints."""
    spent: FloatArray
    """After each [n], in runs at the target."""
    best: FloatArray
    """True target cost of the completed target run that measured best so far [n]; NaN before the first."""
    recommended: FloatArray
    """True target cost of the recommended mixture [n]; NaN where there is none."""
    proven: FloatArray
    """Spent when the recommended mixture has its run at the target, now or as the next [n]."""
    recommendation: FloatArray | None
    """The last one [S]."""
    optimum: float
    """Lowest target cost of the reference mixtures."""
    median: float

    def cost_to(self, fraction: float) -> float:
        """Spent when a completed target run lies within a fraction of median - optimum above the optimum.

        Infinity where none does.
        """
        hits = np.flatnonzero(self.best <= self.optimum + fraction * (self.median - self.optimum))
        return float(self.spent[hits[0]]) if len(hits) else math.inf

    def regret(self, budget: float) -> float:
        """Of the last recommendation whose own target run the budget still allows; infinity before the first.

        In units of median - optimum.
        """
        allowed = np.flatnonzero((self.proven <= budget) & np.isfinite(self.recommended))
        if not len(allowed):
            return math.inf
        return float((self.recommended[allowed[-1]] - self.optimum) / (self.median - self.optimum))

    def as_json(self) -> Json:
        """Plain JSON, NaN as null; ``from_json`` gives the same numbers back exactly."""
        return {
            "method": self.method,
            "experiments": [[one.fidelity, *map(float, one.shares)] for one in self.experiments],
            **{name: _without_nan(getattr(self, name)) for name in _BY_EXPERIMENT},
            "recommendation": None if self.recommendation is None else self.recommendation.tolist(),
            "optimum": self.optimum,
            "median": self.median,
        }

    @classmethod
    def from_json(cls, document: Any) -> Self:
        """Read what ``as_json`` wrote.

        Raises:
            ConfigError: it is something else.
        """
        try:
            advice = document["recommendation"]
            return cls(
                method=str(document["method"]),
                experiments=tuple(
                    Experiment(tuple(map(float, shares)), int(fidelity))
                    for fidelity, *shares in document["experiments"]
                ),
                **{name: np.array(document[name], dtype=np.float64) for name in _BY_EXPERIMENT},
                recommendation=None if advice is None else np.array(advice, dtype=np.float64),
                optimum=float(document["optimum"]),
                median=float(document["median"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigError(f"no record of what a method did: {error!r}") from error


def trajectory_of(
    method: Method,
    replay: Replay,
    weights: FloatArray,
    seed: int,
    budget: float,
    batch: int = 1,
    stop: Callable[[float, float], bool] | None = None,
) -> Trajectory:
    """Let a method search until it asks for more than the budget allows, or for nothing.

    A method that does not recommend is taken to recommend its best target run, and before it has one the best
    of its most expensive runs. Of a batch, the recommendation is known after its last experiment.

    Args:
        method: a row of ``SEARCH_METHODS``.
        replay: what it is played against.
        weights: of the metrics [E].
        seed: of the method.
        budget: in runs at the target.
        batch: experiments asked for at once.
        stop: asked after each batch with what is spent and the true cost of the best target run, NaN before
            the first; where it says so the play ends.

    Raises:
        ConfigError: weights that are none, or an experiment that the space does not offer.
    """
    loop = Loop(Proposer(method, replay.space, replay.metrics, weights, seed), replay, budget)
    under_way = _Play(loop, replay, batch, stop)
    loop.run(under_way)
    return under_way.played()


@dataclass(eq=False)
class _Play:
    """A play under way."""

    loop: Loop
    replay: Replay
    batch: int
    stop: Callable[[float, float], bool] | None
    outcomes: list[Outcome] = field(default_factory=list)
    best: list[float] = field(default_factory=lambda: [math.nan])
    """True target cost of the target run that measured best, after each experiment; so are the others."""
    recommended: list[float] = field(default_factory=lambda: [math.nan])
    proven: list[float] = field(default_factory=lambda: [math.nan])
    recommendation: FloatArray | None = None
    lowest: float = math.inf
    """Measured by a target run."""
    ended: bool = False
    """By the budget, or by ``stop``."""

    def ask(self) -> Sequence[Experiment]:
        """The next batch, as far as the budget pays for it."""
        if self.outcomes:
            self._recommend()
        if self.ended:
            return ()
        asked = self.loop.proposer.ask(self.batch)
        paid = self.loop.affordable(asked)
        self.ended = len(paid) < len(asked)
        return paid

    def record(self, outcome: Outcome) -> None:
        """The best target run so far; what is recommended is asked for after the batch."""
        self.outcomes.append(outcome)
        for values in (self.best, self.recommended, self.proven):
            values.append(values[-1])
        measured = float(outcome.costs @ self._weights)
        if outcome.experiment.fidelity == self.replay.space.target and measured < self.lowest:
            self.lowest = measured
            self.best[-1] = self._true_cost(outcome.experiment.row)

    def played(self) -> Trajectory:
        """When it is over."""
        true = self.replay.truth(self.replay.reference()) @ self._weights
        return Trajectory(
            method=self.loop.proposer.method.name,
            experiments=tuple(one.experiment for one in self.outcomes),
            spent=np.array([one.spent for one in self.outcomes]),
            best=np.array(self.best[1:]),
            recommended=np.array(self.recommended[1:]),
            proven=np.array(self.proven[1:]),
            recommendation=self.recommendation,
            optimum=float(np.nanmin(true)),
            median=float(np.nanmedian(true)),
        )

    @property
    def _weights(self) -> FloatArray:
        return self.loop.proposer.weights

    def _recommend(self) -> None:
        """After a batch."""
        history, target = self.loop.history, self.replay.space.target
        found = _recommended(self.loop.proposer.method, history)
        if found is not None:
            self.recommendation = found
            self.recommended[-1] = self._true_cost(found)
            self.proven[-1] = self.loop.spent + (0.0 if history.trials.has(found, target) else 1.0)
        if self.stop is not None and not self.ended:
            self.ended = self.stop(self.loop.spent, self.best[-1])

    def _true_cost(self, shares: FloatArray) -> float:
        return float(self.replay.truth(shares[None])[0] @ self._weights)


def _without_nan(values: FloatArray) -> list[float | None]:
    return [None if math.isnan(value) else value for value in values.tolist()]


def _recommended(method: Method, history: History) -> FloatArray | None:
    complete = np.isfinite(history.trials.costs).all(axis=1)
    if not complete.any():
        return None
    if isinstance(method, Recommending):
        return method.recommend(history)
    flops = history.space.flops
    seen = {int(fidelity) for fidelity in history.trials.fidelity[complete]}
    fidelity = history.space.target if history.space.target in seen else max(seen, key=lambda one: flops[one])
    shares, costs = history.target_costs(fidelity)
    chosen: FloatArray = shares[np.argmin(costs)]
    return chosen
