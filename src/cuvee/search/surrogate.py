"""What is believed of a mixture at any level: a law, and a Gaussian process of what it misses (floor 5).

    z(p; N, D, kind) = rho_kind (law(p; N, D; theta) + r(p; N, D)) + delta_kind(p) + noise_kind
    theta ~ N(prior of the law),   r ~ GP(0, RBF(x / l) (s + s_N min(n, n') + s_D min(d, d'))),   x = p^0.3
    delta_kind ~ GP(0, w_kind RBF(x / l) + o_kind);   rho is 1 and delta 0 for the kind of the target

The law is one of ``laws/`` with priors learnt over metrics, made linear in its parameters around its fit.
Being linear and normal it is a process too, and adds to the other: both are conditioned on all runs at
once, and what the law cannot say the residual does. It drifts with scale, as Brownian motion does in n and
d, the decades above the smallest N and D that can be tried: what is learnt at small scales is less and less
sure above them, also where the law fits them well. Merges, ensembles and whatever else is cheap may be
scaled, turned round and biased; how much is learnt from mixtures that were measured in both ways.
Hyperparameters are the most probable ones with priors on their logarithms (MAP-II).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize

from cuvee.laws.effective_data import EffectiveData
from cuvee.laws.effective_data_scaling import EffectiveDataScaling
from cuvee.laws.hierarchical import HierarchicalFit
from cuvee.laws.interface import LawData, Scale, own_sources
from cuvee.search.proposer import History
from cuvee.search.space import Space
from cuvee.types import FloatArray, IntArray

SEARCH_RUNS = 160
"""Hyperparameters are searched for on at most so many runs; all are conditioned on."""

_POWER = 0.3
_JITTER = 1e-7
_STEPS, _STEPS_NEAR = 60, 15
_REACH = 4.0  # deviations of the prior that a hyperparameter may move
_SINGLE = ("log l", "log s", "log s_N", "log s_D", "log noise")
_OF_KIND = ("rho", "log w", "log o", "log noise")
_LEAST_NOISE = 1e-5
_DRIFT = 0.1  # variance a decade, in that of a metric


@dataclass(frozen=True, eq=False)
class Places:
    """Mixtures at levels, as the law and the process see them; E metrics."""

    roots: FloatArray
    """x, [n, S]."""
    scale: FloatArray
    """n and d: decades above the smallest parameters and tokens of the space [n, 2]."""
    kind: IntArray
    """[n]; 0 is that of the target."""
    mean: FloatArray
    """The law under its prior's means [E, n], standardised."""
    features: FloatArray
    """Its derivatives in its parameters, in units of their priors' deviations [E, n, P]."""

    def plus(self, more: "Places") -> "Places":
        """These and those."""
        return Places(
            np.concatenate([self.roots, more.roots]),
            np.concatenate([self.scale, more.scale]),
            np.concatenate([self.kind, more.kind]),
            np.concatenate([self.mean, more.mean], axis=1),
            np.concatenate([self.features, more.features], axis=1),
        )

    def select(self, rows: IntArray) -> "Places":
        """Some of them."""
        return Places(
            self.roots[rows], self.scale[rows], self.kind[rows], self.mean[:, rows], self.features[:, rows]
        )


@dataclass(frozen=True, eq=False)
class _Process:
    """One metric, conditioned on its runs."""

    metric: int
    rows: IntArray
    """Of the trials that measured it."""
    theta: FloatArray
    factor: FloatArray
    weights: FloatArray


@dataclass(frozen=True, eq=False)
class Surrogate:
    """Beliefs after a history. Made by ``of``."""

    space: Space
    law: HierarchicalFit
    kinds: tuple[str, ...]
    """That of the target first."""
    told: Places
    """Of the trials."""
    processes: tuple[_Process, ...]

    @classmethod
    def of(cls, history: History, near: "Surrogate | None" = None, seed: int = 0) -> "Surrogate":
        """Fit the law, find hyperparameters, condition on all that was measured.

        Args:
            history: with at least a few measured trials.
            near: after fewer trials of the same search, where the search for hyperparameters begins.
            seed: chooses the runs of that search where there are many.

        Cost: about a second for 13 metrics and 100 trials.
        """
        space, trials = history.space, history.trials
        target = space.levels[space.target].kind
        kinds = (target, *sorted({level.kind for level in space.levels} - {target}))
        rows = trials.measured
        law = _fitted_law(history, rows, kinds)
        empty = cls(space, law, kinds, _nowhere(law), ())
        told = empty.places(trials.shares, trials.level)
        z = (trials.costs - law.shift) / law.spread
        processes = []
        for metric in range(len(trials.metrics)):
            known = np.flatnonzero(np.isfinite(z[:, metric]))
            start = near.processes[metric].theta if near is not None else None
            processes.append(_condition(told, z[:, metric], metric, known, law, len(kinds), start, seed))
        return cls(space, law, kinds, told, tuple(processes))

    def places(self, shares: FloatArray, level: IntArray) -> Places:
        """Mixtures [n, S] at levels [n]."""
        levels = self.space.levels
        params = np.array([levels[i].params for i in level])
        tokens = np.array([levels[i].tokens for i in level])
        kind = np.array([self.kinds.index(levels[i].kind) for i in level], dtype=np.int64)
        values, slopes = self.law.formula.jacobian(self.law.theta, shares, Scale(params, tokens))
        moved = self.law.prior.mean - self.law.theta
        mean = values + np.einsum("enp,ep->en", slopes, moved)
        features = slopes / np.sqrt(self.law.prior.precision)[:, None, :]
        smallest = [min(getattr(one, name) for one in levels) for name in ("params", "tokens")]
        scale = np.log10(np.stack([params, tokens], axis=1) / smallest) if len(level) else np.zeros((0, 2))
        return Places(np.maximum(shares, 0.0) ** _POWER, scale, kind, mean, features)

    def mean(self, asked: Places) -> FloatArray:
        """Expected costs [n, E] at places; the level of another kind is its own."""
        found = []
        for one in self.processes:
            cross = _covariance(asked, self.told.select(one.rows), one.metric, one.theta, len(self.kinds))
            found.append(_scaled_mean(asked, one, len(self.kinds)) + cross @ one.weights)
        result: FloatArray = np.stack(found, axis=1) * self.law.spread + self.law.shift
        return result

    def covariances(self, left: Places, right: Places) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Posterior covariances [E, M, A] of costs between places, and variances [E, M] and [E, A]."""
        between: list[FloatArray] = []
        first: list[FloatArray] = []
        second: list[FloatArray] = []
        kinds = len(self.kinds)
        for one in self.processes:
            told = self.told.select(one.rows)
            whitened = [
                solve_triangular(
                    one.factor,
                    _covariance(told, side, one.metric, one.theta, kinds),
                    lower=True,
                    check_finite=False,
                )
                for side in (left, right)
            ]
            prior = _covariance(left, right, one.metric, one.theta, kinds)
            between.append(prior - whitened[0].T @ whitened[1])
            for side, white, found in ((left, whitened[0], first), (right, whitened[1], second)):
                variance = _variance(side, one.metric, one.theta, kinds) - (white**2).sum(axis=0)
                found.append(np.maximum(variance, 1e-12))
        square = (self.law.spread**2)[:, None]
        return np.stack(between) * square[..., None], np.stack(first) * square, np.stack(second) * square

    def noise(self, kind: IntArray) -> FloatArray:
        """Variances [E, n] of single experiments of kinds, in costs."""
        found = [_noise(one.theta, kind, len(self.kinds)) for one in self.processes]
        result: FloatArray = np.stack(found) * (self.law.spread**2)[:, None]
        return result

    def believing(self, shares: FloatArray, level: IntArray) -> "Surrogate":
        """After experiments that measure what is expected of them: means stay, variances fall."""
        if not len(level):
            return self
        more = self.places(shares, level)
        expected = (self.mean(more) - self.law.shift) / self.law.spread
        told = self.told.plus(more)
        processes = []
        for one in self.processes:
            rows = np.concatenate([one.rows, len(self.told.kind) + np.arange(len(level))])
            z = np.concatenate([self._z(one), expected[:, one.metric]])
            processes.append(_at(told, z, one.metric, rows, one.theta, len(self.kinds)))
        return Surrogate(self.space, self.law, self.kinds, told, tuple(processes))

    def _z(self, one: _Process) -> FloatArray:
        """What the process was conditioned on."""
        told = self.told.select(one.rows)
        left = one.factor @ (one.factor.T @ one.weights)
        return left + _scaled_mean(told, one, len(self.kinds))

    @cached_property
    def described(self) -> dict[str, list[float]]:
        """What was learnt of every further kind: rho of each metric."""
        return {
            kind: [float(one.theta[len(_SINGLE) + len(_OF_KIND) * place]) for one in self.processes]
            for place, kind in enumerate(self.kinds[1:])
        }


def _fitted_law(history: History, rows: IntArray, kinds: tuple[str, ...]) -> HierarchicalFit:
    space, trials = history.space, history.trials
    levels = [space.levels[i] for i in trials.level[rows]]
    kind = np.array([kinds.index(level.kind) for level in levels])
    costs = trials.costs[rows].copy()
    reference = int(np.bincount(kind, minlength=len(kinds)).argmax()) if not (kind == 0).any() else 0
    for other in set(kind.tolist()) - {reference}:
        costs[kind == other] += _offset(trials.shares[rows], costs, kind, other, reference)
    sizes = {(level.params, level.tokens) for level in (*levels, space.levels[space.target])}
    law = EffectiveDataScaling() if len(sizes) > 1 else EffectiveData()
    data = LawData(
        space.sources,
        trials.metrics,
        trials.shares[rows],
        costs,
        Scale(np.array([level.params for level in levels]), np.array([level.tokens for level in levels])),
        own_sources(trials.metrics, space.sources),
    )
    return law.fit(data)


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


def _prior(law: HierarchicalFit, metric: int, kinds: int) -> tuple[FloatArray, FloatArray]:
    """Means and deviations of hyperparameters; the residual's size begins at what the law leaves."""
    left = np.log(np.clip(law.variance[metric], 1e-3, 0.5))
    length = np.log(0.35) + 0.5 * np.log(len(law.sources))
    mean = np.array([length, left, np.log(_DRIFT), np.log(_DRIFT), left])
    wide = np.array([1.0, 1.0, 1.5, 1.5, 1.0])
    further = np.tile([0.9, np.log(0.1), np.log(1.0), left], kinds - 1)
    further_wide = np.tile([0.5, 1.0, 1.5, 1.0], kinds - 1)
    return np.r_[mean, further], np.r_[wide, further_wide]


def _table(theta: FloatArray, kinds: int) -> FloatArray:
    """(rho, w, o, noise) of every kind [kinds, 4]."""
    table = np.zeros((kinds, len(_OF_KIND)))
    table[0] = 1.0, 0.0, 0.0, np.exp(theta[4])
    further = theta[len(_SINGLE) :].reshape(kinds - 1, len(_OF_KIND))
    table[1:, 0] = further[:, 0]
    table[1:, 1:] = np.exp(further[:, 1:])
    return table


def _noise(theta: FloatArray, kind: IntArray, kinds: int) -> FloatArray:
    result: FloatArray = _table(theta, kinds)[kind, 3] + _LEAST_NOISE
    return result


def _scaled_mean(places: Places, one: _Process, kinds: int) -> FloatArray:
    result: FloatArray = _table(one.theta, kinds)[places.kind, 0] * places.mean[one.metric]
    return result


def _covariance(left: Places, right: Places, metric: int, theta: FloatArray, kinds: int) -> FloatArray:
    length, s, s_n, s_d = np.exp(theta[:4])
    table = _table(theta, kinds)
    rbf = np.exp(-0.5 * _squared(left.roots, right.roots) / length**2)
    shared = [np.minimum.outer(left.scale[:, i], right.scale[:, i]) for i in range(2)]
    inner = left.features[metric] @ right.features[metric].T + rbf * (s + s_n * shared[0] + s_d * shared[1])
    inner *= np.outer(table[left.kind, 0], table[right.kind, 0])
    for kind in range(1, kinds):
        both = np.outer(left.kind == kind, right.kind == kind)
        inner += both * (table[kind, 1] * rbf + table[kind, 2])
    result: FloatArray = inner
    return result


def _variance(places: Places, metric: int, theta: FloatArray, kinds: int) -> FloatArray:
    table = _table(theta, kinds)
    inner = (places.features[metric] ** 2).sum(axis=1) + np.exp(theta[1])
    inner = inner + places.scale @ np.exp(theta[2:4])
    result: FloatArray = inner * table[places.kind, 0] ** 2 + table[places.kind, 1] + table[places.kind, 2]
    return result


def _squared(left: FloatArray, right: FloatArray) -> FloatArray:
    squares = (left**2).sum(axis=1)[:, None] + (right**2).sum(axis=1) - 2.0 * left @ right.T
    result: FloatArray = np.maximum(squares, 0.0)
    return result


def _condition(
    told: Places,
    z: FloatArray,
    metric: int,
    rows: IntArray,
    law: HierarchicalFit,
    kinds: int,
    start: FloatArray | None,
    seed: int,
) -> _Process:
    chosen = rows
    if len(rows) > SEARCH_RUNS:
        chosen = np.sort(np.random.default_rng(seed).permutation(rows)[:SEARCH_RUNS])
    middle, width = _prior(law, metric, kinds)
    search = _Search(told.select(chosen), z[chosen], metric, kinds, middle, width)
    return _at(told, z[rows], metric, rows, search.best(start), kinds)


def _at(told: Places, z: FloatArray, metric: int, rows: IntArray, theta: FloatArray, kinds: int) -> _Process:
    mine = told.select(rows)
    covariance = _covariance(mine, mine, metric, theta, kinds)
    covariance[np.diag_indices(len(rows))] += _noise(theta, mine.kind, kinds) + _JITTER
    factor = cholesky(covariance, lower=True, check_finite=False)
    centred = z - _table(theta, kinds)[mine.kind, 0] * mine.mean[metric]
    return _Process(metric, rows, theta, factor, cho_solve((factor, True), centred, check_finite=False))


class _Search:
    """The log posterior of hyperparameters, with what does not depend on them kept."""

    def __init__(
        self, places: Places, z: FloatArray, metric: int, kinds: int, middle: FloatArray, width: FloatArray
    ) -> None:
        self.places, self.z, self.kinds = places, z, kinds
        self.mean = places.mean[metric]
        self.middle, self.width = middle, width
        self.law = places.features[metric] @ places.features[metric].T
        self.apart = _squared(places.roots, places.roots)
        self.shared = [np.minimum.outer(places.scale[:, i], places.scale[:, i]) for i in range(2)]
        self.masks = [np.outer(places.kind == k, places.kind == k) for k in range(kinds)]

    def best(self, start: FloatArray | None) -> FloatArray:
        """The most probable ones."""
        first = self.middle if start is None else start
        reach = _REACH * self.width
        bounds = list(zip(self.middle - reach, self.middle + reach, strict=True))
        found = minimize(
            self.objective,
            np.clip(first, self.middle - reach, self.middle + reach),
            jac=True,
            bounds=bounds,
            method="L-BFGS-B",
            options={"maxiter": _STEPS if start is None else _STEPS_NEAR},
        )
        return np.asarray(found.x, dtype=np.float64)

    def objective(self, theta: FloatArray) -> tuple[float, FloatArray]:
        """Minus the log posterior, and its slope."""
        kind = self.places.kind
        length, s, s_n, s_d = np.exp(theta[:4])
        table = _table(theta, self.kinds)
        rbf = np.exp(-0.5 * self.apart / length**2)
        residual = rbf * (s + s_n * self.shared[0] + s_d * self.shared[1])
        rho = table[kind, 0]
        scaled = np.outer(rho, rho)
        inner = (self.law + residual) * scaled
        covariance = inner.copy()
        for other in range(1, self.kinds):
            covariance += self.masks[other] * (table[other, 1] * rbf + table[other, 2])
        noise = table[kind, 3]
        covariance[np.diag_indices(len(kind))] += noise + _LEAST_NOISE + _JITTER
        try:
            factor = cholesky(covariance, lower=True, check_finite=False)
        except np.linalg.LinAlgError:
            return 1e10, np.zeros_like(theta)
        precision = cho_solve((factor, True), np.eye(len(kind)), check_finite=False)
        centred = self.z - rho * self.mean
        weights = precision @ centred
        pull = 0.5 * (precision - np.outer(weights, weights))
        moved = pull * residual * scaled
        slope = np.empty_like(theta)
        slope[0] = (moved * self.apart).sum() / length**2
        near = pull * rbf * scaled
        slope[1] = s * near.sum()
        slope[2] = s_n * (near * self.shared[0]).sum()
        slope[3] = s_d * (near * self.shared[1]).sum()
        slope[4] = noise[kind == 0] @ np.diag(pull)[kind == 0]
        of_row = (pull * inner).sum(axis=1)
        for other in range(1, self.kinds):
            mine, mask = kind == other, self.masks[other]
            biased = table[other, 1] * pull * mask * rbf
            slope[0] += (biased * self.apart).sum() / length**2
            first = len(_SINGLE) + (other - 1) * len(_OF_KIND)
            ratio = table[other, 0] if table[other, 0] != 0.0 else 1e-12
            slope[first] = 2.0 * of_row[mine].sum() / ratio - weights[mine] @ self.mean[mine]
            slope[first + 1] = biased.sum()
            slope[first + 2] = table[other, 2] * (pull * mask).sum()
            slope[first + 3] = noise[mine] @ np.diag(pull)[mine]
        away = (theta - self.middle) / self.width
        value = 0.5 * float(centred @ weights) + float(np.log(np.diag(factor)).sum())
        return value + 0.5 * float(away @ away), slope + away / self.width
