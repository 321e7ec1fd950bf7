"""Successive halving, asynchronously: many short runs, and longer ones for the best of them.

``asha`` (Li et al. 2020, https://arxiv.org/abs/1810.05934): rungs are runs of about eta, eta^2, ... times
fewer tokens than the target. A mixture moves up a rung as soon as it is among the best 1 / eta of those
measured on its own; where none is, a new mixture begins at the lowest rung. Nothing waits.

``async_hyperband`` is Hyperband (Li et al. 2018, https://arxiv.org/abs/1603.06560) with that rule in place of
full rungs, as in the ASHA paper. A mixture belongs to the bracket of the rung at which it began, and is
compared within it. K brackets take turns from the lowest; a turn is K target runs' worth.

Both read everything off the history: a mixture's bracket is the lowest rung at which it was tried.
"""

import math
from dataclasses import dataclass

import numpy as np

from cuvee.search.proposer import History
from cuvee.search.space import Experiment, Space
from cuvee.search.untried import at_fidelity, untried, untried_draws, untried_rows
from cuvee.types import BoolArray, FloatArray, IntArray

_DIGITS = 9


@dataclass(frozen=True)
class SuccessiveHalving:
    """The method, with its settings."""

    name: str
    paper: str
    deviations: str
    brackets: bool
    """Mixtures begin at every rung, not only at the lowest."""
    eta: float = 3.0
    """One in so many moves up."""
    needs: str = "fidelities of the target's kind and parameters with fewer tokens; without them it is random"
    cost: str = "milliseconds an ask"

    def ask(self, history: History, count: int, seed: int) -> list[Experiment]:
        """See ``Method.ask``."""
        rungs, rng = ladder(history.space, self.eta), history.rng(seed)
        asked: list[Experiment] = []
        while len(asked) < count:
            standing = _Standing.of(history, rungs)
            found = self._promoted(history, standing) or self._begun(history, standing, rng)
            found = found or _finished(history, standing)
            if not found:
                break
            asked += found
            history = history.plus(found[0])
        return asked

    def _promoted(self, history: History, standing: "_Standing") -> list[Experiment]:
        """The best of the best 1 / eta that have not moved up, from the highest rung that has one."""
        for rung in reversed(range(len(standing.rungs) - 1)):
            for bracket in range(rung + 1 if self.brackets else 1):
                order = standing.order(rung, bracket if self.brackets else None)
                if found := standing.moved(history, rung, order[: int(len(order) / self.eta)]):
                    return found
        return []

    def _begun(self, history: History, standing: "_Standing", rng: np.random.Generator) -> list[Experiment]:
        """A new mixture at the lowest rung, or in the bracket whose turn it is.

        Where a pool has no new one for it, on another rung.
        """
        starts = list(range(len(standing.rungs)))
        if self.brackets:
            turns = standing.turns(history.space)
            starts.sort(key=lambda rung: turns[rung])
        for rung in starts:
            fidelity = standing.rungs[rung]
            if history.space.pool is None:
                fresh = untried_draws(history, fidelity, 1, rng)
            else:
                rows = untried_rows(history, fidelity)
                fresh = rows[rng.permutation(len(rows))]
            for other in standing.rungs:
                fresh = untried(history, fresh, other)
            if len(fresh):
                return at_fidelity(fresh[:1], fidelity)
        return []


SUCCESSIVE_HALVING = (
    SuccessiveHalving(
        "asha",
        "https://arxiv.org/abs/1810.05934",
        "Runs that failed are not counted. When a pool has no new mixture the best of the rest move up.",
        brackets=False,
    ),
    SuccessiveHalving(
        "async_hyperband",
        "https://arxiv.org/abs/1603.06560",
        "Rungs are never waited for: see asha. A bracket's turn ends by its FLOPs.",
        brackets=True,
    ),
)


def ladder(space: Space, eta: float) -> tuple[int, ...]:
    """Fidelities from few tokens to the target's: of its kind and parameters, nearest to tokens / eta^k."""
    target = space.fidelities[space.target]
    powers = {
        index: math.log(target.tokens / fidelity.tokens, eta)
        for index, fidelity in enumerate(space.fidelities)
        if (fidelity.kind, fidelity.params) == (target.kind, target.params)
        and fidelity.tokens < target.tokens
    }
    wanted = range(round(max(powers.values(), default=0.0)), 0, -1)
    lower = [min(powers, key=lambda index: abs(powers[index] - power)) for power in wanted]
    return (*dict.fromkeys(lower), space.target)


@dataclass(frozen=True, eq=False)
class _Standing:
    """Where every mixture stands: U mixtures, K rungs."""

    rungs: tuple[int, ...]
    mixtures: FloatArray
    """[U, S]."""
    tried: BoolArray
    """[U, K], with or without success, or running."""
    costs: FloatArray
    """[U, K]; NaN where nothing is measured."""

    @classmethod
    def of(cls, history: History, rungs: tuple[int, ...]) -> "_Standing":
        trials, running = history.trials, history.running
        fidelity = np.array([*trials.fidelity.tolist(), *(one.fidelity for one in running)], dtype=np.int64)
        shares = np.concatenate([trials.shares, *(one.row[None] for one in running)])
        cost = np.r_[trials.costs @ history.weights, np.full(len(running), np.nan)]
        kept = np.isin(fidelity, rungs)
        shares, cost = shares[kept], cost[kept]
        place = np.array([rungs.index(one) for one in fidelity[kept].tolist()], dtype=np.int64)
        rounded = np.round(shares, _DIGITS)
        _, first, mixture = np.unique(rounded, axis=0, return_index=True, return_inverse=True)
        tried = np.zeros((len(first), len(rungs)), dtype=np.bool_)
        costs = np.full(tried.shape, np.nan)
        tried[mixture.ravel(), place] = True
        costs[mixture.ravel(), place] = cost
        return cls(rungs, shares[first], tried, costs)

    @property
    def bracket(self) -> IntArray:
        """The rung [U] at which each mixture began."""
        return np.asarray(self.tried.argmax(axis=1), dtype=np.int64)

    def turns(self, space: Space) -> IntArray:
        """How many turns [K] each bracket has had."""
        flops = self.tried @ space.flops[list(self.rungs)]
        spent = np.bincount(self.bracket, weights=flops, minlength=len(self.rungs))
        turn = len(self.rungs) * space.fidelities[space.target].flops
        return np.asarray(spent // turn, dtype=np.int64)

    def order(self, rung: int, bracket: int | None) -> IntArray:
        """What was measured on a rung, of one bracket or of all, the best first."""
        measured = np.isfinite(self.costs[:, rung])
        if bracket is not None:
            measured &= self.bracket == bracket
        rows = np.flatnonzero(measured)
        result: IntArray = rows[np.argsort(self.costs[rows, rung], kind="stable")]
        return result

    def moved(self, history: History, rung: int, order: IntArray) -> list[Experiment]:
        """The first of these mixtures that can move to the next rung and has not, there; or none."""
        fidelity = self.rungs[rung + 1]
        up = self.mixtures[order[~self.tried[order, rung + 1]]]
        return at_fidelity(up[history.space.offers(up, fidelity)][:1], fidelity)


def _finished(history: History, standing: _Standing) -> list[Experiment]:
    """Where there is no new mixture: the best of those left on the highest rung moves up all the same."""
    for rung in reversed(range(len(standing.rungs) - 1)):
        if found := standing.moved(history, rung, standing.order(rung, None)):
            return found
    return []
