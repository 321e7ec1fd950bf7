"""Our search: cheap experiments while they tell more for their price than a target run would (floor 5).

It begins with an even spread of mixtures at the cheapest level. Then each ask takes the level and mixture
of the largest knowledge gradient for its FLOPs, and turns to the target level when that is the best buy,
when what cheap experiments could still tell has become small, or when enough was spent on them since the
last target run. There it takes the mixture of the largest expected improvement on the best target run.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from cuvee.search.candidates import candidates
from cuvee.search.knowledge_gradient import knowledge_gradient
from cuvee.search.proposer import History
from cuvee.search.space import Experiment, Space
from cuvee.search.surrogate import Places, Surrogate
from cuvee.search.untried import at_level, untried_draws
from cuvee.types import BoolArray, FloatArray, IntArray

_LEAST_RUNS = 4
_SAME = 1e-9
_DRAWN = 8  # to choose the farthest from
_BETWEEN = 1
_SIDE = 256  # mixtures among which the best is sought
_ASKED = 64  # mixtures that are asked about at each level


@dataclass(frozen=True)
class CostAware:
    """The method, with its settings."""

    first: int = 32
    """Experiments at the cheapest level to begin with, at most."""
    first_price: float = 2.0
    """What these may take, in target runs."""
    least_first: int = 8
    between: int = 4
    """Experiments at a level of a price between, so that what changes with scale is seen."""
    small: float = 0.05
    """Cheap experiments are left when none is expected to lower the best mean by this part of what separates
    it from the median mixture."""
    patience: float = 0.5
    """Target runs' worth of cheap experiments after the last target run, at most."""
    name: str = "cost_aware"
    paper: str = "https://doi.org/10.1287/ijoc.1080.0314"
    needs: str = "a level at least as cheap as the target"
    cost: str = "about a second an ask at 100 experiments"
    deviations: str = "Gain for each FLOP; a law inside the surrogate; rules for turning to the target."

    def ask(self, history: History, count: int, seed: int) -> list[Experiment]:
        """See ``Method.ask``."""
        asked: list[Experiment] = []
        surrogate: Surrogate | None = None
        for _ in range(count):
            found, surrogate = self._one(history, surrogate, seed)
            if found is None:
                break
            asked.append(found)
            history = history.plus(found)
        return asked

    def _one(
        self, history: History, surrogate: Surrogate | None, seed: int
    ) -> tuple[Experiment | None, Surrogate | None]:
        space, rng = history.space, history.rng(seed)
        begun = self._first(history, rng)
        if begun is not None:
            return begun, surrogate
        if len(history.trials.measured) < _LEAST_RUNS:  # nothing came out: try the target itself
            left = at_level(untried_draws(history, space.target, 1, rng), space.target)
            return (left[0] if left else None), surrogate
        if surrogate is None:
            surrogate = Surrogate.of(history, seed=seed)
            running = history.running
            surrogate = surrogate.believing(
                np.array([one.shares for one in running]).reshape(len(running), len(space.sources)),
                np.array([one.level for one in running], dtype=np.int64),
            )
        found = self._next(history, surrogate, rng)
        if found is not None:
            surrogate = surrogate.believing(found.row[None], np.array([found.level]))
        return found, surrogate

    def _first(self, history: History, rng: np.random.Generator) -> Experiment | None:
        """The beginning: an even spread at the cheapest level, and some on the way to the target."""
        levels = [*history.trials.level.tolist(), *(one.level for one in history.running)]
        for level, wanted in self._design(history.space):
            if levels.count(level) < wanted:
                return _spread(history, level, rng)
        return None

    def _design(self, space: Space) -> list[tuple[int, int]]:
        """Levels with the numbers of first experiments."""
        cheap, target = space.cheapest, space.target
        price = space.flops / space.flops[target]
        if cheap == target:
            return [(cheap, self.least_first)]
        found = [(cheap, int(np.clip(self.first_price / price[cheap], self.least_first, self.first)))]
        for step in range(1, _BETWEEN + 1):
            aimed = np.log(price[cheap]) * (1.0 - step / (_BETWEEN + 1))
            level = int(np.argmin(np.abs(np.log(price) - aimed)))
            if level not in (target, *(one for one, _ in found)):
                found.append((level, self.between))
        return found

    def _next(self, history: History, surrogate: Surrogate, rng: np.random.Generator) -> Experiment | None:
        space, weights = history.space, history.weights
        shares = candidates(history, surrogate, rng)
        at_target = surrogate.places(shares, np.full(len(shares), space.target))
        mean = surrogate.mean(at_target) @ weights
        order = np.argsort(mean)
        free = {level: order[_free(history, shares[order], level)] for level in range(len(space.levels))}
        side = at_target.select(np.unique(np.r_[order[:_SIDE], rng.permutation(len(order))[:_SIDE]]))
        best: tuple[float, float, int, int] | None = None
        for level, rows in free.items():
            if not len(rows):
                continue
            looked = np.unique(np.r_[rows[: _ASKED // 2], rng.permutation(rows)[: _ASKED // 2]])
            places = surrogate.places(shares[looked], np.full(len(looked), level))
            gains = knowledge_gradient(surrogate, weights, side, places, rng)
            place = int(np.argmax(gains))
            worth = float(gains[place]) / space.levels[level].flops
            if best is None or worth > best[0]:
                best = worth, float(gains[place]), level, int(looked[place])
        if best is None:
            return None
        span = float(np.median(mean) - mean.min())
        tired = self._cheap_since_target(history) >= self.patience * space.levels[space.target].flops
        if len(free[space.target]) and (best[2] == space.target or best[1] < self.small * span or tired):
            chosen = self._verified(history, surrogate, at_target, mean, free[space.target])
            return Experiment(tuple(shares[chosen].tolist()), space.target)
        return Experiment(tuple(shares[best[3]].tolist()), best[2])

    def _cheap_since_target(self, history: History) -> float:
        space = history.space
        levels = [*history.trials.level.tolist(), *(one.level for one in history.running)]
        last = max((i for i, level in enumerate(levels) if level == space.target), default=-1)
        if last < 0:  # the beginning has its own limit
            first = space.cheapest
            levels = [level for level in levels if level != first]
        return float(sum(space.levels[level].flops for level in levels[last + 1 :]))

    def _verified(
        self, history: History, surrogate: Surrogate, at_target: Places, mean: FloatArray, rows: IntArray
    ) -> int:
        """The mixture of the largest expected improvement on the best target run."""
        _, costs = history.target_costs()
        _, variance, _ = surrogate.covariances(at_target.select(rows), at_target.select(rows[:1]))
        deviation = np.sqrt((history.weights**2) @ variance)
        best = float(costs.min()) if len(costs) else float(mean[rows].min())
        z = (best - mean[rows]) / deviation
        gain = deviation * (z * norm.cdf(z) + norm.pdf(z))
        if not len(costs):  # nothing to improve on: what is expected to be lowest
            return int(rows[np.argmin(mean[rows])])
        return int(rows[np.argmax(gain)])


def _free(history: History, shares: FloatArray, level: int) -> BoolArray:
    """Which of the mixtures [C, S] may be asked for at a level: offered there, not tried, not running."""
    space = history.space
    running = [one.row for one in history.running if one.level == level]
    free = np.ones(len(shares), dtype=np.bool_)
    for taken in (*history.trials.shares[history.trials.level == level], *running):
        free &= np.abs(shares - taken).max(axis=1) > _SAME
    if space.pool is not None:
        offered = space.pool[space.rows(level)]
        free &= np.array([bool((np.abs(offered - row).max(axis=1) <= _SAME).any()) for row in shares])
    return free


def _spread(history: History, level: int, rng: np.random.Generator) -> Experiment | None:
    """A mixture that lies far from those tried, of a few drawn."""
    drawn = untried_draws(history, level, _DRAWN, rng)
    if not len(drawn):
        return None
    known = [*history.trials.shares, *(one.row for one in history.running)]
    if known:
        roots = np.sqrt(np.maximum(drawn, 0.0))
        apart = ((roots[:, None] - np.sqrt(np.array(known))[None]) ** 2).sum(axis=2).min(axis=1)
        drawn = drawn[[int(np.argmax(apart))]]
    return at_level(drawn[:1], level)[0]
