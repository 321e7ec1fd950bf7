"""The posterior of a mixture at any fidelity: a law, and a Gaussian process of its residual.

    z(p; N, D, kind) = rho_kind (law(p; N, D; theta) + r(p; N, D)) + delta_kind(p) + noise_kind
    theta ~ N(prior of the law),   r ~ GP(0, RBF(x / l) (s + s_N min(n, n') + s_D min(d, d'))),   x = p^0.3
    delta_kind ~ GP(0, w_kind (RBF(x / l) + 4 law) + o_kind);   rho is 1 and delta 0 for the target's kind

The law is one of ``laws/`` with priors learnt over metrics, made linear in its parameters around its fit. It
is held where runs have hardly moved along an axis of scale (``search/reach.py``).
Being linear and normal it is a process too, and adds to the other: both are conditioned on all runs at
once, and what the law cannot say the residual does. It drifts with scale, as Brownian motion does in n and
d, the decades above the smallest N and D that can be tried: what is learnt at small scales is less and less
sure above them, also where the law fits them well. Merges, ensembles and whatever else is cheap may be
scaled and biased; how much is learnt from mixtures that were measured in both ways. Merges and ensembles may
be off as a law with other parameters would be (checkpoints not: w_kind RBF + o_kind is all of their delta),
and the law is fitted to them only while there are hardly any trainings.
Hyperparameters are the most probable ones with priors on their logarithms (MAP-II).
"""

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np

from cuvee.laws.axes import Axes, held
from cuvee.laws.effective_data import EffectiveData
from cuvee.laws.effective_data_scaling import EffectiveDataScaling
from cuvee.laws.hierarchical import HierarchicalFit
from cuvee.laws.interface import LawData, Scale, own_sources
from cuvee.search.checkpoints import without_checkpoints
from cuvee.search.places import Between, Places
from cuvee.search.process import HistoryProcess
from cuvee.search.proposer import History
from cuvee.search.reach import EVERYWHERE, LEAST_TRAINED, Reach
from cuvee.search.space import PROXIES, Space
from cuvee.search.trials import Trials
from cuvee.types import FloatArray, IntArray

_POWER = 0.3
_TOGETHER, _TOGETHER_RUNS, _MOST_TOGETHER = 0.2, 10, 0.9


@dataclass(frozen=True, eq=False)
class Surrogate:
    """Beliefs after a history. Made by ``of``."""

    space: Space
    law: HierarchicalFit
    kinds: tuple[str, ...]
    """That of the target first."""
    observed: Places
    """Of the trials."""
    processes: tuple[HistoryProcess, ...]
    reach: Reach = EVERYWHERE
    """On which axes of scale the law is held."""

    @classmethod
    def of(
        cls,
        history: History,
        near: "Surrogate | None" = None,
        seed: int = 0,
        metrics: IntArray | None = None,
    ) -> "Surrogate":
        """Fit the law, find hyperparameters, condition on all that was measured.

        Args:
            history: with at least a few measured trials.
            near: after fewer trials of the same search, where the search for hyperparameters begins.
            seed: chooses the runs of that search where there are many.
            metrics: which have a process, and so a column or row in what is returned; default all [E]. The
                law is fitted to every metric, as they share its priors.

        Cost: about a second for 13 metrics and 100 trials.
        """
        space, trials = history.space, history.trials
        target = space.fidelities[space.target].kind
        kinds = (target, *sorted({fidelity.kind for fidelity in space.fidelities} - {target}))
        rows = trials.measured
        law, reach = _fitted_law(history, rows, kinds)
        empty = cls(space, law, kinds, _nowhere(law), (), reach)
        observed = empty.places(trials.shares, trials.fidelity)
        z = (trials.costs - law.shift) / law.spread
        processes = []
        for place, metric in enumerate(range(len(trials.metrics)) if metrics is None else metrics.tolist()):
            start = near.processes[place].theta if near is not None else None
            processes.append(HistoryProcess.of(observed, z[:, metric], metric, law, kinds, start, seed))
        return cls(space, law, kinds, observed, tuple(processes), reach)

    @classmethod
    def of_target(cls, history: History, seed: int) -> "Surrogate":
        """Of the metrics that have a weight, and of every training what was measured last.

        What was fitted last is kept: a search asks of the same trials what to try, and what is left to gain.
        """
        return _of_target(history.trials, history.space, tuple(history.weights.tolist()), seed)

    def places(self, shares: FloatArray, fidelity: IntArray) -> Places:
        """Mixtures [n, S] at fidelities [n]."""
        fidelities = self.space.fidelities
        params = np.array([fidelities[i].params for i in fidelity])
        tokens = np.array([fidelities[i].tokens for i in fidelity])
        kind = np.array([self.kinds.index(fidelities[i].kind) for i in fidelity], dtype=np.int64)
        values, slopes = self.law.formula.jacobian(self.law.theta, shares, Scale(params, tokens))
        moved = self.law.prior.mean - self.law.theta
        mean = values + np.einsum("enp,ep->en", slopes, moved)
        features = slopes / np.sqrt(self.law.prior.precision)[:, None, :]
        if self.reach.axes.any:
            beyond = self.reach.beyond(self.law, shares, Scale(params, tokens))
            features = np.concatenate([features, beyond], axis=2)
        smallest = [min(getattr(one, name) for one in fidelities) for name in ("params", "tokens")]
        scale = np.log10(np.stack([params, tokens], axis=1) / smallest) if len(fidelity) else np.zeros((0, 2))
        return Places(np.maximum(shares, 0.0) ** _POWER, scale, kind, mean, features)

    def mean(self, asked: Places) -> FloatArray:
        """Expected costs [n, E] at inputs; the fidelity of another kind is its own."""
        observed = Between.of(self.observed, asked)
        found = [one.mean(observed) for one in self.processes]
        result: FloatArray = np.stack(found, axis=1) * self._spread + self.law.shift[self.metrics]
        return result

    def covariances(self, left: Places, right: Places) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Posterior covariances [E, M, A] of costs between inputs, and variances [E, M] and [E, A]."""
        between: list[FloatArray] = []
        first: list[FloatArray] = []
        second: list[FloatArray] = []
        both = Between.of(left, right)
        sides = [Between.of(self.observed, side) for side in (left, right)]
        for one in self.processes:
            whitened = [one.whitened(side) for side in sides]
            between.append(one.covariance(both) - whitened[0].T @ whitened[1])
            for side, white, found in ((left, whitened[0], first), (right, whitened[1], second)):
                variance = one.variance(side) - (white**2).sum(axis=0)
                found.append(np.maximum(variance, 1e-12))
        square = (self._spread**2)[:, None]
        return np.stack(between) * square[..., None], np.stack(first) * square, np.stack(second) * square

    def noise(self, kind: IntArray) -> FloatArray:
        """Variances [E, n] of single experiments of kinds, in costs."""
        found = [one.kinds.noise[kind] for one in self.processes]
        result: FloatArray = np.stack(found) * (self._spread**2)[:, None]
        return result

    @cached_property
    def together(self) -> float:
        """How much the errors of metrics go together: a correlation, the same for every two.

        That of the runs' leave-one-out errors, as if 10 further runs had shown 0.2.
        """
        count, processes = len(self.observed.kind), self.processes
        missed = np.full((len(processes), count), np.nan)
        for row, one in zip(missed, processes, strict=True):
            row[one.rows] = one.missed
        missed = missed[:, (self.observed.kind == 0) & np.isfinite(missed).all(axis=0)]
        if len(processes) < 2 or not missed.shape[1]:
            return _TOGETHER
        products = missed @ missed.T
        pairs = products[np.triu_indices(len(products), 1)].mean() / np.diag(products).mean()
        runs = missed.shape[1]
        found = (runs * float(pairs) + _TOGETHER_RUNS * _TOGETHER) / (runs + _TOGETHER_RUNS)
        return min(max(found, 0.0), _MOST_TOGETHER)

    def of_sum(self, weights: FloatArray, variance: FloatArray) -> FloatArray:
        """Variance of a weighted sum of metrics [...] from those of the metrics [E, ...], none negative.

        Their errors go ``together``: intervals of a mean over metrics would else be too narrow.
        """
        deviations = np.tensordot(np.abs(weights), np.sqrt(variance), axes=1)
        alone = np.tensordot(weights**2, variance, axes=1)
        result: FloatArray = (1.0 - self.together) * alone + self.together * deviations**2
        return result

    def conditioned(self, shares: FloatArray, fidelity: IntArray) -> "Surrogate":
        """Condition on pending experiments at their posterior mean: means stay, variances fall."""
        if not len(fidelity):
            return self
        more = self.places(shares, fidelity)
        processes = tuple(one.conditioned(self.observed, more) for one in self.processes)
        return replace(self, observed=self.observed.plus(more), processes=processes)

    @property
    def metrics(self) -> list[int]:
        """Which have a process [E'], by their place among those of the trials."""
        return [one.metric for one in self.processes]

    @property
    def _spread(self) -> FloatArray:
        result: FloatArray = self.law.spread[self.metrics]
        return result

    def slope(self, shares: FloatArray, fidelity: int, weights: FloatArray) -> float:
        """How much a difference of target cost between mixtures [n, S] is expected to move it there.

        Of a line through what is expected; NaN where nothing differs.
        """
        here, there = (
            self.mean(self.places(shares, np.full(len(shares), one))) @ weights
            for one in (fidelity, self.space.target)
        )
        away = there - there.mean()
        square = float(away @ away)
        return float(away @ here) / square if square > 0 else float("nan")


@lru_cache(maxsize=1)
def _of_target(trials: Trials, space: Space, weights: tuple[float, ...], seed: int) -> Surrogate:
    observed = History(space, np.array(weights), without_checkpoints(trials, space))
    return Surrogate.of(observed, seed=seed, metrics=np.flatnonzero(observed.weights))


def _fitted_law(history: History, rows: IntArray, kinds: tuple[str, ...]) -> tuple[HierarchicalFit, Reach]:
    space, trials = history.space, history.trials
    really = rows[[space.fidelities[i].kind not in PROXIES for i in trials.fidelity[rows]]]
    if len(really) >= LEAST_TRAINED:  # proxies follow a law of their own
        rows = really
    reach, rows = _within_reach(history, rows)
    fidelities = [space.fidelities[i] for i in trials.fidelity[rows]]
    kind = np.array([kinds.index(fidelity.kind) for fidelity in fidelities])
    costs = trials.costs[rows].copy()
    reference = int(np.bincount(kind, minlength=len(kinds)).argmax()) if not (kind == 0).any() else 0
    for other in set(kind.tolist()) - {reference}:
        costs[kind == other] += _offset(trials.shares[rows], costs, kind, other, reference)
    sizes = {(fidelity.params, fidelity.tokens) for fidelity in (*fidelities, space.fidelities[space.target])}
    law = EffectiveDataScaling() if len(sizes) > 1 else EffectiveData()
    data = LawData(
        space.sources,
        trials.metrics,
        trials.shares[rows],
        costs,
        Scale(
            np.array([fidelity.params for fidelity in fidelities]),
            np.array([fidelity.tokens for fidelity in fidelities]),
        ),
        own_sources(trials.metrics, space.sources),
    )
    # Parameters move no mixture beside another: along them the law goes on, with what ``Reach`` leaves open.
    return held(law.fit(data), Axes(tokens=reach.axes.tokens)), reach


def _within_reach(history: History, rows: IntArray) -> tuple[Reach, IntArray]:
    """How far the runs reach, and those that a law is fitted to."""
    space, costs = history.space, history.trials.costs
    fidelities = [space.fidelities[i] for i in history.trials.fidelity[rows]]
    reach = Reach.of(fidelities, space.fidelities)
    here = rows[reach.at(fidelities)]
    lost = np.isfinite(costs[rows]).any(axis=0) & ~np.isfinite(costs[here]).any(axis=0)
    return (reach.let_in(), rows) if lost.any() else (reach, here)


def _offset(shares: FloatArray, costs: FloatArray, kind: IntArray, other: int, reference: int) -> FloatArray:
    """What brings one kind to the level of another [E]: from mixtures measured in both, else from means."""
    mine, theirs = np.flatnonzero(kind == other), np.flatnonzero(kind == reference)
    apart = np.abs(shares[mine][:, None] - shares[theirs][None]).max(axis=2)
    pairs = np.argwhere(apart < 1e-9)
    if len(pairs):
        between = costs[theirs[pairs[:, 1]]] - costs[mine[pairs[:, 0]]]
    else:
        between = costs[theirs].mean(axis=0, keepdims=True) - costs[mine].mean(axis=0, keepdims=True)
    known = np.isfinite(between)
    result: FloatArray = np.where(known, between, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    return result


def _nowhere(law: HierarchicalFit) -> Places:
    metrics, width = law.theta.shape
    return Places(
        np.zeros((0, len(law.sources))),
        np.zeros((0, 2)),
        np.zeros(0, dtype=np.int64),
        np.zeros((metrics, 0)),
        np.zeros((metrics, 0, width)),
    )
