"""Played: what a method did in a replay, and how well.

Two scores. ``cost_to`` is what had been spent when a *completed* target run was good enough. ``regret`` is
how far the mixture is from the best that a method would train if its budget ended here, with that run paid.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np

from cuvee.errors import ConfigError
from cuvee.search.proposer import History, Method, Proposer
from cuvee.search.replay import Replay
from cuvee.search.space import Experiment
from cuvee.types import FloatArray, Json

_ROUNDING = 1e-9
_BY_EXPERIMENT = ("spent", "best", "recommended", "proven")


@runtime_checkable
class Recommending(Protocol):
    """A method that says which mixture it holds for the best, run at the target or not."""

    def recommend(self, history: History) -> FloatArray:
        """Shares [S]; there is at least one trial that measured everything."""
        ...


@dataclass(frozen=True, eq=False)
class Played:
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
            "experiments": [[one.level, *map(float, one.shares)] for one in self.experiments],
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
                    Experiment(tuple(map(float, shares)), int(level))
                    for level, *shares in document["experiments"]
                ),
                **{name: np.array(document[name], dtype=np.float64) for name in _BY_EXPERIMENT},
                recommendation=None if advice is None else np.array(advice, dtype=np.float64),
                optimum=float(document["optimum"]),
                median=float(document["median"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigError(f"no record of what a method did: {error!r}") from error


def play(
    method: Method,
    replay: Replay,
    weights: FloatArray,
    seed: int,
    budget: float,
    batch: int = 1,
    stop: Callable[[float, float], bool] | None = None,
) -> Played:
    """Let a method search until it asks for more than the budget allows, or for nothing.

    A method that does not recommend is taken to recommend its best target run, and before it has one the best
    of its dearest runs. Of a batch, the recommendation is known after its last experiment.

    Args:
        method: a row of ``PROPOSERS``.
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
    proposer = Proposer(method, replay.space, replay.metrics, weights, seed)
    price, target = replay.prices, replay.space.target
    made: list[Experiment] = []
    spent, best, recommended, proven = [0.0], [math.nan], [math.nan], [math.nan]
    recommendation: FloatArray | None = None
    lowest = math.inf
    while asked := proposer.ask(batch):
        total = spent[-1] + np.cumsum([price[one.level] for one in asked])
        asked_count, asked = len(asked), asked[: int((total <= budget * (1 + _ROUNDING)).sum())]
        for one, now in zip(asked, total.tolist(), strict=False):
            told = replay.with_checkpoints(one, proposer.history.trials)
            costs = replay.measure(told)
            proposer.tell(told, costs)
            made.append(one)
            spent.append(now)
            best.append(best[-1])
            measured = float(costs[-1] @ proposer.weights)
            if one.level == target and measured < lowest:
                lowest = measured
                best[-1] = _true_cost(replay, one.row, proposer.weights)
            recommended.append(recommended[-1])
            proven.append(proven[-1])
        found = _recommended(method, proposer.history) if asked else None
        if found is not None:
            recommendation = found
            recommended[-1] = _true_cost(replay, found, proposer.weights)
            proven[-1] = spent[-1] + (0.0 if proposer.history.trials.has(found, target) else 1.0)
        if len(asked) < asked_count or (stop is not None and stop(spent[-1], best[-1])):
            break
    true = replay.truth(replay.reference()) @ proposer.weights
    return Played(
        method=method.name,
        experiments=tuple(made),
        spent=np.array(spent[1:]),
        best=np.array(best[1:]),
        recommended=np.array(recommended[1:]),
        proven=np.array(proven[1:]),
        recommendation=recommendation,
        optimum=float(np.nanmin(true)),
        median=float(np.nanmedian(true)),
    )


def _without_nan(values: FloatArray) -> list[float | None]:
    return [None if math.isnan(value) else value for value in values.tolist()]


def _true_cost(replay: Replay, shares: FloatArray, weights: FloatArray) -> float:
    return float(replay.truth(shares[None])[0] @ weights)


def _recommended(method: Method, history: History) -> FloatArray | None:
    complete = np.isfinite(history.trials.costs).all(axis=1)
    if not complete.any():
        return None
    if isinstance(method, Recommending):
        return method.recommend(history)
    flops = history.space.flops
    seen = {int(level) for level in history.trials.level[complete]}
    level = history.space.target if history.space.target in seen else max(seen, key=lambda one: flops[one])
    shares, costs = history.target_costs(level)
    chosen: FloatArray = shares[np.argmin(costs)]
    return chosen
