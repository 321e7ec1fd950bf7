"""Multi-fidelity multi-scale Bayesian optimisation.

Yen et al. 2025, https://arxiv.org/abs/2503.21023; what is followed is the program behind its figures,
``opt_algos/eval_ei_optimizer.py`` in github.com/namkoong-lab/data-recipes.

It begins with runs of random mixtures and sizes over few tokens, of which every checkpoint counts. The
process of ``search/product_process.py`` is fitted to these once. Then, run by run, it asks for the largest
EI / cost^a with a = 0.99^t; EI is that of the queried size and tokens below the lowest value seen anywhere.
After an ask with little EI at the target, the length scales of parameters and tokens get shorter by 5 %.
"""

from dataclasses import dataclass

import numpy as np

from cuvee.search.product_process import ProcessPosterior, ProcessPrior
from cuvee.search.proposer import History
from cuvee.search.space import Experiment, Space
from cuvee.search.untried import at_fidelity, untried_draws
from cuvee.types import BoolArray, FloatArray, IntArray

_STEPS = 50
_SHORT = 0.05  # of the most tokens of a size; published: 100 to 900 of 19,700 steps
_ALPHA_DECAY = 0.99
_LITTLE, _SHORTER = 1e-4, (1.0, 0.95, 0.95)
_CANDIDATES, _CHECKED = 512, 256
_SPARSE = 0.3  # Dirichlet parameter of a third of the candidates
_DECIMALS = 9  # mixtures that agree in them are one

_Run = tuple[bytes, str, float]  # mixture, kind, parameters


@dataclass(frozen=True)
class MultiFidelityMultiScale:
    """The method, with its settings."""

    start: int = 20
    """Random runs to begin with."""
    noise: float = 0.1
    """Variance of a measured target cost, in its unit squared, whatever the spread of the data."""
    name: str = "mfms"
    paper: str = "https://arxiv.org/abs/2503.21023"
    needs: str = (
        "fidelities of the target's kind; with short runs and their checkpoints it begins as published"
    )
    cost: str = "some tenths of a second an ask at 100 experiments"
    deviations: str = (
        "EI is maximised over random candidates, not from five starts of L-BFGS-B. Tokens stand for steps. "
        "The noise stays, while the published program loses it when it adds its first run. Checkpoints at "
        "fidelities that it asks for count in later runs too. Without short ones it begins at all that are "
        "cheaper than the target. Pending runs are set to their posterior mean."
    )

    def ask(self, history: History, count: int, seed: int) -> list[Experiment]:
        """See ``Method.ask``. It waits until all of the first runs are observed."""
        asked: list[Experiment] = []
        known: FittedSurrogate | None = None
        for _ in range(count):
            found = self._first(history, seed)
            if found is None and self._begun(history):
                known = known or FittedSurrogate.of(history, self.start, self.noise, seed)
                found = known.best(history, self.noise, seed)
            if found is None:
                break
            asked.append(found)
            history = history.plus(found)
        return asked

    def recommend(self, history: History) -> FloatArray:
        """The mixture [S] of the lowest value at any fidelity of the target's kind, of which there is one."""
        shares: FloatArray = history.trials.shares[np.nanargmin(_values(history))]
        return shares

    def _first(self, history: History, seed: int) -> Experiment | None:
        """A random mixture at a random fidelity to begin with; None where there were enough.

        Where all of them failed there is another one, after those on their way.
        """
        space, rng = history.space, history.rng(seed)
        running = [_run(space, one.row, one.fidelity) for one in history.running]
        begun = {*_runs(history), *running}
        if len(begun) >= self.start and (running or np.isfinite(_values(history)).any()):
            return None
        for fidelity in rng.permutation(_first_fidelities(space)).tolist():
            drawn = untried_draws(history, fidelity, 1, rng)
            if len(drawn):
                return at_fidelity(drawn, fidelity)[0]
        return None

    def _begun(self, history: History) -> bool:
        waiting = bool(history.running) and len({*_runs(history)}) < self.start
        return not waiting and bool(np.isfinite(_values(history)).any())


@dataclass(frozen=True, eq=False)
class FittedSurrogate:
    """What was learnt from the runs so far."""

    prior: ProcessPrior
    points: FloatArray
    """[n, S + 2]."""
    values: FloatArray
    """Target costs [n]."""
    later: int
    """Runs after the first."""

    @classmethod
    def of(cls, history: History, start: int, noise: float, seed: int) -> "FittedSurrogate":
        """Deterministic: the length scales are followed from the first runs on."""
        space, trials = history.space, history.trials
        values = _values(history)
        runs = _runs(history)
        number = {run: place for place, run in enumerate(dict.fromkeys(runs))}
        after = np.logical_or.accumulate([number[run] >= start for run in runs])
        asked_for = np.isin(trials.fidelity, _later_fidelities(space))
        complete = np.isfinite(values)
        first = np.flatnonzero(complete & ~after)
        later = np.flatnonzero(complete & after & asked_for)
        if not len(first):  # all of them failed
            first, later = np.flatnonzero(complete), later[:0]
        rows = np.concatenate([first, later])
        points, values = _points(space, trials.shares[rows], trials.fidelity[rows]), values[rows]
        rng = np.random.default_rng([seed, 0, 1])
        prior = ProcessPrior.fitted(points[: len(first)], values[: len(first)], noise, _STEPS, rng)
        checked = _candidates(space, space.target, trials.shares[:0], _CHECKED, rng)
        asked = _points(space, checked, np.full(len(checked), space.target))
        observed = len(first)  # at each later ask
        while observed < len(rows):
            gains = ProcessPosterior.of(prior, points, values, noise).largest_improvements(asked, values)
            little = np.flatnonzero(gains[observed - 1 : -1] < _LITTLE)
            if not len(little):
                break
            prior = prior.scaled(_SHORTER)
            observed += int(little[0]) + 1
        return cls(prior, points, values, len({runs[row] for row in later.tolist()}))

    def best(self, history: History, noise: float, seed: int) -> Experiment | None:
        """The largest EI / cost^a among experiments not tried; None where all were."""
        space, rng = history.space, history.rng(seed)
        posterior = ProcessPosterior.of(self.prior, self.points, self.values, noise)
        if history.running:
            shares = np.array([one.shares for one in history.running])
            believed = _points(space, shares, np.array([one.fidelity for one in history.running]))
            mean, _ = posterior.predict(believed)
            points, values = np.concatenate([self.points, believed]), np.concatenate([self.values, mean])
            posterior = ProcessPosterior.of(self.prior, points, values, noise)
        lowest = float(self.values.min())
        alpha = _ALPHA_DECAY ** (self.later + len(history.running))
        near = history.trials.shares[np.argsort(_values(history))[:1]]
        drawn = None if space.pool is not None else _candidates(space, 0, near, _CANDIDATES, rng)
        found, highest = None, -1.0
        for fidelity in _later_fidelities(space).tolist():
            mixtures = _candidates(space, fidelity, near, _CANDIDATES, rng) if drawn is None else drawn
            asked = _points(space, mixtures, np.full(len(mixtures), fidelity))
            gain = posterior.expected_improvement(asked, lowest)
            order, free = np.argsort(-gain, kind="stable").tolist(), ~history.tried(mixtures, fidelity)
            place = next((one for one in order if free[one]), None)
            if place is None:
                continue
            price = (space.flops[fidelity] / space.flops[space.target]) ** alpha
            if gain[place] / price > highest:
                highest = float(gain[place] / price)
                found = Experiment(tuple(mixtures[place].tolist()), fidelity)
        return found


def _values(history: History) -> FloatArray:
    """Target cost of every trial [n]; NaN where it failed or is of another kind than the target."""
    trials, used = history.trials, history.weights > 0
    same = _of_kind(history.space)[trials.fidelity]
    result: FloatArray = np.where(same, trials.costs[:, used] @ history.weights[used], np.nan)
    return result


def _runs(history: History) -> list[_Run]:
    """The run of every trial [n]; checkpoints of one have it in common."""
    trials = history.trials
    return [_run(history.space, *one) for one in zip(trials.shares, trials.fidelity.tolist(), strict=True)]


def _run(space: Space, shares: FloatArray, fidelity: int) -> _Run:
    size = space.fidelities[fidelity]
    return np.round(shares, _DECIMALS).tobytes(), size.kind, size.params


def _short(space: Space) -> BoolArray:
    """Fidelities of few tokens for their size [L]."""
    most: dict[tuple[str, float], float] = {}
    for fidelity in space.fidelities:
        size = (fidelity.kind, fidelity.params)
        most[size] = max(fidelity.tokens, most.get(size, 0.0))
    return np.array([one.tokens <= _SHORT * most[one.kind, one.params] for one in space.fidelities])


def _of_kind(space: Space) -> BoolArray:
    return np.array([one.kind == space.fidelities[space.target].kind for one in space.fidelities])


def _first_fidelities(space: Space) -> IntArray:
    cheaper = space.flops < space.flops[space.target]
    for chosen in (_short(space), cheaper, np.ones_like(cheaper)):
        if (chosen & _of_kind(space)).any():
            return np.flatnonzero(chosen & _of_kind(space))
    raise AssertionError("the target is of its own kind")


def _later_fidelities(space: Space) -> IntArray:
    return np.flatnonzero(_of_kind(space) & ~_short(space))


def _points(space: Space, shares: FloatArray, fidelities: IntArray) -> FloatArray:
    """Inputs of the process [n, S + 2]."""
    target = space.fidelities[space.target]
    size = np.array([[one.params / target.params, one.tokens / target.tokens] for one in space.fidelities])
    return np.hstack([shares, size[fidelities]])


def _candidates(
    space: Space, fidelity: int, near: FloatArray, count: int, rng: np.random.Generator
) -> FloatArray:
    """Mixtures of a pool at a fidelity; else even and sparse draws, and points from ``near`` towards them."""
    if space.pool is not None:
        return space.drawn(count, rng, fidelity)
    third = count // 3
    even = space.drawn(third, rng)
    alpha = np.full(len(space.sources), _SPARSE)
    drawn = np.concatenate([even, np.stack([one.shares for one in space.region.sample(third, rng, alpha)])])
    if not len(near):
        return drawn
    step = rng.uniform(0.0, 0.5, size=(third, 1))
    chosen = drawn[rng.integers(len(drawn), size=third)]
    return np.concatenate([drawn, near + step * (chosen - near)])
