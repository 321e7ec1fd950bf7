"""Scaling laws for mixtures: metrics from shares, parameters and tokens.

    additive   E + (sum_i C_i w_i^g_i)^-1 + A N^-alpha + B D^-beta
    joint      E + (sum_i C_i w_i^g_i)^-1 + (sum_i P_i w_i)^p N^-alpha + (sum_i Q_i w_i)^q D^-beta

(Shukor et al. 2025, https://arxiv.org/abs/2507.09404.) Under the additive law the best mixture is the same at
every scale; under the joint one it moves. N and D are divided by their geometric means over the runs. Fitted
to logarithms (``laws/log_residuals.py``). Where all runs have the same N or D the laws stay there, whatever
is asked (``laws/axes.py``).
"""

from dataclasses import dataclass

import numpy as np

from cuvee.errors import ConfigError
from cuvee.laws.axes import Axes, held
from cuvee.laws.formula import FittedFormula, Standardised, fit_from_starts
from cuvee.laws.interface import NO_SOURCE, LawData, Scale
from cuvee.laws.least_squares import ParameterPrior
from cuvee.laws.log_residuals import fit_to_logs
from cuvee.laws.powers import log_shares, sigmoid
from cuvee.types import BoolArray, FloatArray, Json

HUBER = 0.06
"""Of a metric's spread, where costs are fitted as they are."""
_DEVIATION, _JOINT_DEVIATION = 1.0, 0.13
"""Of the parameters around the middle of the starts. What the smaller sizes leave open stays there, instead
of at what a few curves happen to like best. The second, of log P, p, log Q and q, was chosen on rows that
``make bench-scale`` predicts. On other rows it helps where few mixtures were seen at the larger size, and
does nothing elsewhere; mean errors with it and with 1.0, in nats, measured by hand:
tables of Data Mixing Laws, 85M from 19M and one mixture of 85M: two sources .014, .030; three .114, .131;
the one of five sources, 302M from 19M and 85M .041, .063; later tokens of three sizes .019, .020;
20 synthetic tables of known laws .0147, .0139; the simulator of Data Recipes, 700M and 1B from 20M to 300M
.0599, .0596."""
_TERM, _TERM_DEVIATION = 0.5, 0.5
"""The part of the median cost that a term in N or D of the joint law is in the middle of the runs, and the
deviation of its logarithm. Without a size of its own, a term was held near the whole median: with a floor of
half the loss, errors of the synthetic tables were .099, and .076 in the simulator."""
_TERM_STARTS = 1.2  # of its logarithm, to both sides
_RIDGE = 1e-4  # the same, in squares of a metric's spread
_STARTS = 6
_FLOOR = 1e-9  # of shares at which slopes are taken; those of powers are infinite at zero
_LARGEST = 30.0


@dataclass(frozen=True)
class ScaleFormula:
    """theta = (E, log C [S], logit g [S], log alpha, log beta; log A, log B), or for the joint law (...;
    log A, log P [S], p, log B, log Q [S], q): the size of a term apart from how sources differ in it."""

    law: str
    text: str
    joint: bool
    params: float
    """The unit of N."""
    tokens: float
    """The unit of D."""

    @property
    def convex(self) -> bool:
        """The factors of the joint law are concave in the shares, or convex, as p is below or above one."""
        return not self.joint

    def names(self, sources: int) -> tuple[str, ...]:
        """See ``Formula.names``."""
        own = [f"{name}[{i}]" for name in ("log C", "logit g") for i in range(sources)]
        last = ["log A", "log B"]
        if self.joint:
            last = ["log A", *(f"log P[{i}]" for i in range(sources)), "p"]
            last += ["log B", *(f"log Q[{i}]" for i in range(sources)), "q"]
        return ("E", *own, "log alpha", "log beta", *last)

    def values(self, theta: FloatArray, shares: FloatArray, scale: Scale) -> FloatArray:
        """See ``Formula.values``."""
        return self._parts(theta, shares, scale)[0]

    def jacobian(self, theta: FloatArray, shares: FloatArray, scale: Scale) -> tuple[FloatArray, FloatArray]:
        """See ``Formula.jacobian``."""
        sources = shares.shape[1]
        total, terms, falls = self._parts(theta, shares, scale)
        effective = terms.sum(axis=2)
        slope = -1.0 / effective**2
        g = sigmoid(theta[:, 1 + sources : 1 + 2 * sources])
        result = np.empty((*total.shape, theta.shape[1]))
        result[:, :, 0] = 1.0
        result[:, :, 1 : 1 + sources] = terms * slope[..., None]
        result[:, :, 1 + sources : 1 + 2 * sources] = (
            terms * slope[..., None] * log_shares(shares) * (g * (1.0 - g))[:, None, :]
        )
        at = 1 + 2 * sources
        for place, (fall, log_size, exponent) in enumerate(falls):
            result[:, :, at + place] = -fall * log_size * exponent
            if not self.joint:
                result[:, :, at + 2 + place] = fall
                continue
            first = self._first(place, sources)
            result[:, :, first - 1] = fall
            weights, power = np.exp(theta[:, first : first + sources]), theta[:, first + sources]
            mean = weights @ shares.T
            result[:, :, first : first + sources] = (
                (fall * power[:, None] / mean)[..., None] * weights[:, None, :] * shares
            )
            result[:, :, first + sources] = fall * np.log(mean)
        return total, result

    def slopes(self, theta: FloatArray, shares: FloatArray, scale: Scale) -> FloatArray:
        """See ``Formula.slopes``; at a share of zero the derivative of its power at 1e-9, not infinity."""
        sources, shares = shares.shape[1], np.maximum(shares, _FLOOR)
        _, terms, falls = self._parts(theta, shares, scale)
        g = sigmoid(theta[:, 1 + sources : 1 + 2 * sources])
        effective = terms.sum(axis=2)
        powers = terms * g[:, None, :] / shares
        result: FloatArray = -powers / effective[..., None] ** 2
        for place, (fall, _, _) in enumerate(falls if self.joint else ()):
            first = self._first(place, sources)
            weights, power = np.exp(theta[:, first : first + sources]), theta[:, first + sources]
            result += (fall * power[:, None] / (weights @ shares.T))[..., None] * weights[:, None, :]
        return result

    def natural(self, theta: FloatArray, shift: float, scale: float, sources: int) -> Json:
        """See ``Formula.natural``."""
        at = 1 + 2 * sources
        alpha, beta = (float(x) for x in np.exp(theta[at : at + 2]))
        values: Json = {
            "E": shift + scale * float(theta[0]),
            "C": (np.exp(theta[1 : 1 + sources]) / scale).tolist(),
            "g": sigmoid(theta[1 + sources : at]).tolist(),
            "alpha": alpha,
            "beta": beta,
        }
        sizes = (scale * self.params**alpha, scale * self.tokens**beta)
        if not self.joint:
            for name, place, size in zip("AB", (at + 2, at + 3), sizes, strict=True):
                values[name] = float(np.exp(theta[place])) * size
            return values
        for place, ((name, exponent), size) in enumerate(zip((("P", "p"), ("Q", "q")), sizes, strict=True)):
            first = self._first(place, sources)
            values[name] = np.exp(theta[first : first + sources]).tolist()
            values[exponent] = float(theta[first + sources])
            values[f"{name}0"] = float(np.exp(theta[first - 1])) * size
        return values

    def sizes(self, sources: int) -> list[int]:
        """Where log A and log B stand in the parameters of the joint law."""
        return [self._first(place, sources) - 1 for place in range(2)]

    def _first(self, place: int, sources: int) -> int:
        """Where log P or log Q begins in the parameters of the joint law."""
        return 4 + 2 * sources + place * (sources + 2)

    def _parts(
        self, theta: FloatArray, shares: FloatArray, scale: Scale
    ) -> tuple[FloatArray, FloatArray, list[tuple[FloatArray, FloatArray, FloatArray]]]:
        """Values [B, R], C_i w_i^g_i [B, R, S]; for N and D the fall [B, R], log size [R], exponent [B]."""
        sources = shares.shape[1]
        g = sigmoid(theta[:, 1 + sources : 1 + 2 * sources])
        terms = np.exp(theta[:, None, 1 : 1 + sources] + g[:, None, :] * log_shares(shares)) * (shares > 0)
        total = theta[:, :1] + 1.0 / terms.sum(axis=2)
        at, falls = 1 + 2 * sources, []
        for place, (size, unit) in enumerate(((scale.params, self.params), (scale.tokens, self.tokens))):
            log_size = np.log(np.broadcast_to(np.asarray(size, dtype=np.float64) / unit, (len(shares),)))
            exponent = np.exp(theta[:, at + place])[:, None]
            if self.joint:
                first = self._first(place, sources)
                mean = np.exp(theta[:, first : first + sources]) @ shares.T
                log_factor = theta[:, first - 1, None] + theta[:, first + sources, None] * np.log(mean)
            else:
                log_factor = theta[:, at + 2 + place, None]
            fall = np.exp(np.minimum(log_factor - exponent * log_size, _LARGEST))
            total = total + fall
            falls.append((fall, log_size, exponent))
        return total, terms, falls


@dataclass(frozen=True)
class ScalingLaw:
    """One of the laws, ready to be fitted."""

    name: str
    text: str
    joint: bool
    paper: str = "https://arxiv.org/abs/2507.09404"
    needs: str = "runs of known parameters and tokens, at several of each"
    cost: str = "tenths of a second a metric"
    deviations: str = (
        "Six starts; exponents g below one; a weak prior; metrics that fall below zero are fitted as they "
        "are, the others in logarithms."
    )

    def parameters(self, sources: int) -> int:
        """See ``Law.parameters``."""
        return (4 if self.joint else 2) * sources + 5

    def fit(self, data: LawData, seed: int = 0) -> FittedFormula:
        """See ``Law.fit``; ``seed`` draws the starts."""
        sizes = [np.broadcast_to(np.asarray(x, dtype=np.float64), (len(data),)) for x in
                 (data.scale.params, data.scale.tokens)]  # fmt: skip
        for values, what in zip(sizes, ("parameters", "tokens"), strict=True):
            if not (np.isfinite(values).all() and (values > 0).all()):
                raise ConfigError(f"{self.name} needs the {what} of every run; some are unknown or zero")
        units = [float(np.exp(np.log(values).mean())) for values in sizes]
        formula = ScaleFormula(self.name, self.text, self.joint, *units)
        whole = Standardised.of(data)  # refuses metrics that were never measured
        positive = np.nanmin(data.costs, axis=0) > 0.0
        theta = np.empty((len(data.metrics), len(formula.names(len(data.sources)))))
        shift, spread, objective = whole.shift.copy(), whole.spread.copy(), np.empty(len(data.metrics))
        for chosen, fit in ((positive, _fit_logs), (~positive, _fit_costs)):
            if chosen.any():
                one = fit(formula, _of_metrics(data, chosen), np.random.default_rng(seed))
                theta[chosen], objective[chosen] = one.theta, one.objective
                shift[chosen], spread[chosen] = one.shift, one.spread
        fitted = FittedFormula(formula, data.sources, data.metrics, theta, shift, spread, objective)
        return held(fitted, Axes.of(data.scale))


def _of_metrics(data: LawData, chosen: BoolArray) -> LawData:
    names = tuple(name for name, kept in zip(data.metrics, chosen.tolist(), strict=True) if kept)
    return LawData(data.sources, names, data.shares, data.costs[:, chosen], data.scale, data.own[chosen])


def _fit_logs(formula: ScaleFormula, data: LawData, rng: np.random.Generator) -> FittedFormula:
    """Metrics that are positive: no floor E below zero."""
    starts = _parts_of_one(formula, data, rng)
    deviation = np.full(starts.shape[2], _DEVIATION)
    deviation[0] = np.inf
    if formula.joint:  # a source does to a term in N or D what others do, unless the runs say otherwise
        deviation[3 + 2 * len(data.sources) :] = _JOINT_DEVIATION
        deviation[formula.sizes(len(data.sources))] = _TERM_DEVIATION
    lower = np.full(starts.shape[2], -np.inf)
    lower[0] = 0.0
    return fit_to_logs(formula, data, starts, deviation, lower=lower)


def _fit_costs(formula: ScaleFormula, data: LawData, rng: np.random.Generator) -> FittedFormula:
    """Metrics that fall below zero, which have no logarithms."""
    starts = _starts(formula, data, rng)
    precision = np.full(starts.shape[::2], _RIDGE)
    precision[:, 0] = 0.0
    prior = ParameterPrior(starts.mean(axis=1), precision)
    return fit_from_starts(formula, data, starts, huber=HUBER, prior=prior, steps=400)


def _parts_of_one(formula: ScaleFormula, data: LawData, rng: np.random.Generator) -> FloatArray:
    """[E, K, P] of costs whose median is one: a floor, and the rest divided among the terms at random."""
    sources = len(data.sources)
    result = np.empty((len(data.metrics), _STARTS, len(formula.names(sources))))
    for index, own in enumerate(data.own.tolist()):
        terms = _terms(rng) if formula.joint else np.zeros((2, _STARTS))
        for place in range(_STARTS):
            floor = rng.uniform(0.05, 0.8)
            parts = (1.0 - floor) * rng.dirichlet(np.ones(3))
            strength = rng.normal(0.0, 0.3, sources) - np.log(sources * parts[0])
            strength[own] += float(own != NO_SOURCE)
            powers, exponents = rng.normal(0.0, 0.5, sources), np.log(rng.uniform(0.1, 0.8, 2))
            last = np.log(parts[1:])
            if formula.joint:
                last = np.concatenate(
                    [np.r_[term, rng.normal(0, 0.1, sources), 1.0] for term in terms[:, place]]
                )
            result[index, place] = np.r_[floor, strength, powers, exponents, last]
    return result


def _terms(rng: np.random.Generator) -> FloatArray:
    """log A and log B [2, K] of the starts, evenly apart: their mean is the middle of the prior."""
    apart = np.linspace(-_TERM_STARTS, _TERM_STARTS, _STARTS)
    result: FloatArray = np.log(_TERM) + np.stack([rng.permutation(apart) for _ in range(2)])
    return result


def _starts(formula: ScaleFormula, data: LawData, rng: np.random.Generator) -> FloatArray:
    """[E, K, P] around what losses of language models usually do."""
    sources = len(data.sources)
    costs = Standardised.of(data)
    result = np.empty((len(data.metrics), _STARTS, len(formula.names(sources))))
    for index in range(len(data.metrics)):
        for place in range(_STARTS):
            strength = rng.normal(0.0, 0.3, sources) - np.log(sources)
            own = int(data.own[index])
            if own >= 0:
                strength[own] += 1.5
            last = np.log([0.5, 0.5])
            if formula.joint:
                last = np.concatenate([np.r_[size, rng.normal(0, 0.1, sources), 0.5] for size in last])
            result[index, place] = np.r_[
                -1.0 - rng.exponential(1.0) * float(costs.values[index].std() > 0),
                strength,
                rng.normal(0.0, 0.3, sources),
                np.log(rng.uniform(0.15, 0.6, 2)),
                last,
            ]
    return result


SCALING_LAWS = (
    ScalingLaw(
        "additive_scaling", "E + 1 / sum_i C[i] * w[i]**g[i] + A * N**-alpha + B * D**-beta", joint=False
    ),
    ScalingLaw(
        "joint_scaling",
        "E + 1 / sum_i C[i] * w[i]**g[i] + P0 * (sum_i P[i] * w[i])**p * N**-alpha"
        " + Q0 * (sum_i Q[i] * w[i])**q * D**-beta",
        joint=True,
    ),
)
