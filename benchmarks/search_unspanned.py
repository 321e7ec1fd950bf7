"""Arenas whose cheap runs all have the same tokens, fewer than the target's; and the search as it was there.

Tables: RegMix's runs of 1M and 60M parameters have 1.05B tokens; the target is a run of 1B parameters and
25B tokens, at RegMix's prices. No such run of these mixtures was published, so it is taken to measure what
the 60M runs did, 15 % lower: the order of mixtures at the target is theirs.
Simulator: sizes up to 700M at 6.3B tokens; the target, at 1B and 20.7B, is the simulator's own.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache, partial
from unittest.mock import patch

import numpy as np

from benchmarks.search_tables import Benchmark, simulator, tables
from cuvee.search.methods.registry import method_named
from cuvee.search.proposer import History, Method
from cuvee.search.reach import EVERYWHERE, Reach
from cuvee.search.replay import Replay
from cuvee.search.space import Experiment, Fidelity, Space
from cuvee.search.trials import Trials
from cuvee.types import FloatArray

FALL = 0.85
"""Of a pretended loss at 1B and 25B, over that at 60M and 1.05B: about what a decade of each does."""

_TARGET = (1e9, 25e9)
_PRICES = (4.6e-4, 3.2e-3, 1.0)  # of RegMix's configurations: 1M, 60M, 1B
_ONE_LENGTH = 12 * 512 * 1024 * 1000.0  # tokens that all sizes of the simulator can be asked for
_BEFORE = ", before"


@cache
def unspanned_tables() -> Benchmark:
    """1M and 60M at 1.05B tokens, and a pretended target of 1B at 25B."""
    benchmark = tables()
    space = benchmark.replay.space
    small, large = space.cheapest, space.target
    sizes = [(space.fidelities[i].params, space.fidelities[i].tokens) for i in (small, large)]
    fidelities = tuple(
        Fidelity("imported", params, tokens, price)
        for (params, tokens), price in zip((*sizes, _TARGET), _PRICES, strict=True)
    )
    moved = Space(space.region, fidelities, 2, space.pool)
    replay = Replay(moved, benchmark.replay.metrics, partial(_pretended, benchmark.replay, (small, large)))
    return Benchmark("unspanned tables", replay, benchmark.development, benchmark.fresh)


@cache
def unspanned_simulator() -> Benchmark:
    """All sizes below 1B at one length, and the target."""
    benchmark = simulator()
    space = benchmark.replay.space
    kept = [
        place
        for place, one in enumerate(space.fidelities)
        if place == space.target or (one.tokens == _ONE_LENGTH and one.params < space.fidelities[-1].params)
    ]
    few = Space(space.region, tuple(space.fidelities[place] for place in kept), len(kept) - 1, space.pool)
    replay = Replay(few, benchmark.replay.metrics, partial(_chosen, benchmark.replay, tuple(kept)))
    return Benchmark("unspanned simulator", replay, benchmark.development, benchmark.fresh)


@contextmanager
def moving() -> Iterator[None]:
    """The surrogate as it was: its law moves along every axis, whatever the runs say of it."""
    with patch.object(Reach, "of", return_value=EVERYWHERE):
        yield


@dataclass(frozen=True)
class Before:
    """A method with that surrogate."""

    method: Method

    @property
    def name(self) -> str:
        """Of the method, and that it is as it was."""
        return self.method.name + _BEFORE

    @property
    def paper(self) -> str:
        """See ``Method.paper``; so are the others."""
        return self.method.paper

    @property
    def needs(self) -> str:
        """See there."""
        return self.method.needs

    @property
    def cost(self) -> str:
        """See there."""
        return self.method.cost

    @property
    def deviations(self) -> str:
        """See there."""
        return self.method.deviations

    def ask(self, history: History, count: int, seed: int) -> list[Experiment]:
        """See ``Method.ask``."""
        # A space of its own: what methods keep of a history must not be that of the search as it is.
        with moving():
            return self.method.ask(replace(history, space=_again(history.space)), count, seed)


BEFORE: dict[str, Method] = {
    one.name: one for one in (Before(method_named("cost_aware")), Before(method_named("transfer")))
}


@cache
def _again(space: Space) -> Space:
    return replace(space)


def _pretended(replay: Replay, places: tuple[int, int], shares: FloatArray, fidelity: int) -> FloatArray:
    if fidelity < len(places):
        return replay.answers(shares, places[fidelity])
    result: FloatArray = FALL * replay.answers(shares, places[-1])
    return result


def _chosen(replay: Replay, places: tuple[int, ...], shares: FloatArray, fidelity: int) -> FloatArray:
    return replay.answers(shares, places[fidelity])


def observed(benchmark: Benchmark, counts: tuple[int, ...], seed: int) -> tuple[History, FloatArray]:
    """Random mixtures of the pool, so many at each fidelity, and the mixtures that are left [R, S]."""
    replay = benchmark.replay
    pool, metrics = replay.reference(), len(replay.metrics)
    order = np.random.default_rng(seed).permutation(len(pool))
    fidelity = np.repeat(np.arange(len(counts)), counts)
    given = order[: len(fidelity)]
    costs = np.concatenate(
        [replay.answers(pool[given[fidelity == one]], one) for one in range(len(counts)) if counts[one]]
    )
    trials = Trials(replay.metrics, pool[given], fidelity, costs)
    return History(replay.space, np.full(metrics, 1.0 / metrics), trials), pool[order[len(fidelity) :]]
