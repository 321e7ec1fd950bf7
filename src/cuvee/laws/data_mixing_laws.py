"""Data mixing laws: exponentials of shares.

    M1  c + sum_i k_i exp(t_i w_i)          M3  c + k exp(prod_i t_i w_i)
    M2  c + k sum_i exp(t_i w_i)            M4  c + k exp(sum_i t_i w_i)

(Ye et al. 2025, https://arxiv.org/abs/2403.16952, section 3; M4 is the one they choose. Shares sum to one, so
that in M4 k is the same as a constant added to all t_i: the log-linear law of Olmix, Chen et al. 2026,
https://arxiv.org/abs/2602.12237, is M4 without k.) Fitted by Huber's function from several starts, as they
do; the gradients are analytic, so that a few starts do what thousands did.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cuvee.laws.formula import FittedFormula, Standardised, fit_from_starts
from cuvee.laws.interface import NO_SOURCE, LawData, Scale
from cuvee.laws.least_squares import ParameterPrior
from cuvee.types import FloatArray, Json

HUBER = 0.1
"""Of a metric's spread: the 0.05 nats of the paper where that is half a nat."""
RIDGE = 1e-3
"""Precision of the pull on the exponent of a source that no run has, in squares of a metric's spread."""
_HARDLY = 0.1  # runs on a source alone, as which all its shares count: the pull falls by e with each

_STARTS = 6
_LARGEST = 30.0  # of an exponent
_OWN_SLOPES, _OTHER_SLOPE = (-1.0, -3.0, -10.0, -30.0), -0.3


@dataclass(frozen=True)
class SumOfExponentials:
    """M1 and M2: theta = (c, log k [S] or log k, t [S])."""

    law: str
    text: str
    shared: bool
    """One k for all sources (M2)."""
    convex: bool = True

    def names(self, sources: int) -> tuple[str, ...]:
        """See ``Formula.names``."""
        factors = ["log k"] if self.shared else [f"log k[{i}]" for i in range(sources)]
        return ("c", *factors, *(f"t[{i}]" for i in range(sources)))

    def values(self, theta: FloatArray, shares: FloatArray, scale: Scale) -> FloatArray:
        """See ``Formula.values``."""
        result: FloatArray = theta[:, :1] + self._terms(theta, shares).sum(axis=2)
        return result

    def jacobian(self, theta: FloatArray, shares: FloatArray, scale: Scale) -> tuple[FloatArray, FloatArray]:
        """See ``Formula.jacobian``."""
        terms = self._terms(theta, shares)
        total = terms.sum(axis=2, keepdims=True)
        first = np.ones_like(total)
        parts = [first, total if self.shared else terms, terms * shares]
        return theta[:, :1] + total[..., 0], np.concatenate(parts, axis=2)

    def slopes(self, theta: FloatArray, shares: FloatArray, scale: Scale) -> FloatArray:
        """See ``Formula.slopes``."""
        sources = shares.shape[1]
        result: FloatArray = self._terms(theta, shares) * theta[:, None, -sources:]
        return result

    def natural(self, theta: FloatArray, shift: float, scale: float, sources: int) -> Json:
        """See ``Formula.natural``."""
        factors = (scale * np.exp(theta[1:-sources])).tolist()
        return {
            "c": shift + scale * float(theta[0]),
            "k": factors[0] if self.shared else factors,
            "t": theta[-sources:].tolist(),
        }

    def _terms(self, theta: FloatArray, shares: FloatArray) -> FloatArray:
        sources = shares.shape[1]
        logs = theta[:, None, 1:-sources] + theta[:, None, -sources:] * shares
        result: FloatArray = np.exp(np.minimum(logs, _LARGEST))
        return result


@dataclass(frozen=True)
class ExponentialOfSum:
    """M4 and Olmix's law: theta = (c, t [S]); k, where the paper has one, is given as one."""

    law: str
    text: str
    factor: bool
    """Tell a k (M4)."""
    convex: bool = True

    def names(self, sources: int) -> tuple[str, ...]:
        """See ``Formula.names``."""
        return ("c", *(f"t[{i}]" for i in range(sources)))

    def values(self, theta: FloatArray, shares: FloatArray, scale: Scale) -> FloatArray:
        """See ``Formula.values``."""
        result: FloatArray = theta[:, :1] + self._term(theta, shares)
        return result

    def jacobian(self, theta: FloatArray, shares: FloatArray, scale: Scale) -> tuple[FloatArray, FloatArray]:
        """See ``Formula.jacobian``."""
        term = self._term(theta, shares)
        result = np.empty((*term.shape, 1 + shares.shape[1]))
        result[:, :, 0] = 1.0
        np.multiply(term[..., None], shares, out=result[:, :, 1:])
        return theta[:, :1] + term, result

    def slopes(self, theta: FloatArray, shares: FloatArray, scale: Scale) -> FloatArray:
        """See ``Formula.slopes``."""
        result: FloatArray = self._term(theta, shares)[..., None] * theta[:, None, 1:]
        return result

    def natural(self, theta: FloatArray, shift: float, scale: float, sources: int) -> Json:
        """See ``Formula.natural``."""
        values = {"c": shift + scale * float(theta[0])}
        exponents = theta[1:] + np.log(scale)
        if not self.factor:
            return {**values, "t": exponents.tolist()}
        middle = float(exponents.mean())
        return {**values, "k": float(np.exp(middle)), "t": (exponents - middle).tolist()}

    def _term(self, theta: FloatArray, shares: FloatArray) -> FloatArray:
        result: FloatArray = np.exp(np.minimum(theta[:, 1:] @ shares.T, _LARGEST))
        return result


@dataclass(frozen=True)
class ExponentialOfProduct:
    """M3: theta = (c, log k, t), with t the product of all t_i, the only part that is identifiable."""

    law: str
    text: str
    convex: bool = False

    def names(self, sources: int) -> tuple[str, ...]:
        """See ``Formula.names``."""
        return ("c", "log k", "t")

    def values(self, theta: FloatArray, shares: FloatArray, scale: Scale) -> FloatArray:
        """See ``Formula.values``."""
        result: FloatArray = theta[:, :1] + self._term(theta, shares)
        return result

    def jacobian(self, theta: FloatArray, shares: FloatArray, scale: Scale) -> tuple[FloatArray, FloatArray]:
        """See ``Formula.jacobian``."""
        term = self._term(theta, shares)
        product = np.broadcast_to(self._product(shares), term.shape)
        return theta[:, :1] + term, np.stack([np.ones_like(term), term, term * product], axis=2)

    def slopes(self, theta: FloatArray, shares: FloatArray, scale: Scale) -> FloatArray:
        """See ``Formula.slopes``."""
        sources = shares.shape[1]
        scaled = sources * shares
        others = np.stack([np.delete(scaled, i, axis=1).prod(axis=1) for i in range(sources)], axis=1)
        result: FloatArray = (self._term(theta, shares) * theta[:, 2:])[..., None] * others * sources
        return result

    def natural(self, theta: FloatArray, shift: float, scale: float, sources: int) -> Json:
        """See ``Formula.natural``."""
        return {
            "c": shift + scale * float(theta[0]),
            "k": scale * float(np.exp(theta[1])),
            "t": float(theta[2]),
            "S": sources,
        }

    def _product(self, shares: FloatArray) -> FloatArray:
        """Of the shares [R], one at equal shares."""
        result: FloatArray = (shares * shares.shape[1]).prod(axis=1)
        return result

    def _term(self, theta: FloatArray, shares: FloatArray) -> FloatArray:
        logs = theta[:, 1:2] + theta[:, 2:3] * self._product(shares)
        result: FloatArray = np.exp(np.minimum(logs, _LARGEST))
        return result


Exponential = SumOfExponentials | ExponentialOfSum | ExponentialOfProduct


@dataclass(frozen=True)
class DataMixingLaw:
    """One of the laws, ready to be fitted."""

    formula: Exponential
    huber: float
    """In spreads of the metric."""
    paper: str = "https://arxiv.org/abs/2403.16952"
    needs: str = "mixtures at one scale, at least as many as parameters; poor where shares come near zero"
    cost: str = "hundredths of a second a metric for 20 sources and 500 runs; M1 and M2 up to a second"
    deviations: str = (
        "Six starts, of M1 and M2 ten, that follow the data, instead of thousands at random; Huber's "
        "function at a part of the spread; a small ridge on t."
    )
    ridge: float = RIDGE
    """Precision of the pull on the exponent of a source that no run has; 0 is the law as published."""

    @property
    def name(self) -> str:
        """Name of the row."""
        return self.formula.law

    def parameters(self, sources: int) -> int:
        """See ``Law.parameters``."""
        return len(self.formula.names(sources))

    def fit(self, data: LawData, seed: int = 0) -> FittedFormula:
        """See ``Law.fit``; ``seed`` draws the last of the starts."""
        return self.fit_from(
            data, _STARTS_OF[type(self.formula)](self.formula, data, np.random.default_rng(seed))
        )

    def fit_from(self, data: LawData, starts: FloatArray) -> FittedFormula:
        """The best end of starts [E, K, P]."""
        prior = _ridge(self.formula, data, self.ridge)
        return fit_from_starts(self.formula, data, starts, huber=self.huber, prior=prior, steps=300)


def _ridge(formula: Exponential, data: LawData, ridge: float) -> ParameterPrior:
    """A small pull on the exponents of sources that are in none of the runs, or in hardly any.

    It goes towards what gives the mean cost. Without it the exponent of such a source is any number, and what
    the law says of the source its exponential.
    """
    sources, costs = len(data.sources), Standardised.of(data)
    names = formula.names(sources)
    mean, precision = (np.zeros((len(data.metrics), len(names))) for _ in range(2))
    exponents = [place for place, name in enumerate(names) if name.startswith("t[")]
    seen = costs.weights @ data.shares**2  # in runs on the source alone
    if exponents:
        precision[:, exponents] = ridge * np.exp(-seen / _HARDLY)
    if isinstance(formula, ExponentialOfSum):
        middle = (costs.values * costs.weights).sum(axis=1) / costs.weights.sum(axis=1)
        mean[:, exponents] = np.log(np.maximum(middle, 0.1))[:, None]
    return ParameterPrior(mean, precision)


def _of_sum(formula: Exponential, data: LawData, rng: np.random.Generator) -> FloatArray:
    """Starts [E, K, P]: c some way below the lowest cost, t by least squares of log(z - c) on shares."""
    costs = Standardised.of(data)
    below = np.array([0.02, 0.1, 0.3, 1.0, 3.0, 10.0])
    result = np.empty((len(data.metrics), len(below), 1 + len(data.sources)))
    for index, (values, weights) in enumerate(zip(costs.values, costs.weights, strict=True)):
        used = weights > 0
        shares = data.shares[used]
        # A small pull towards equal slopes keeps starts finite with fewer runs than sources.
        gram = shares.T @ shares + 1e-3 * np.eye(shares.shape[1])
        for place, floor in enumerate(below):
            logs = np.log(values[used] + floor)
            centre = logs.mean()
            result[index, place, 0] = -floor
            result[index, place, 1:] = centre + np.linalg.solve(gram, shares.T @ (logs - centre))
    return result


def _of_exponentials(formula: Exponential, data: LawData, rng: np.random.Generator) -> FloatArray:
    """Starts [E, K, P]: a metric falls with its own source, others do a little, at several strengths.

    The first six share one k and have c at zero; the others have the c and k that least squares gives for
    their t, without which M2 ends far from its best where sources are many.
    """
    costs, sources = Standardised.of(data), len(data.sources)
    width = len(formula.names(sources))
    result = np.zeros((len(data.metrics), _STARTS, width))
    strengths = np.array([-1.0, -3.0, -8.0])
    for index, own in enumerate(data.own.tolist()):
        middle = float((costs.values[index] * costs.weights[index]).sum() / costs.weights[index].sum())
        for place in range(_STARTS):
            slopes = np.full(sources, -0.3) if place < len(strengths) else -rng.exponential(2.0, sources)
            if own != NO_SOURCE:
                slopes[own] = strengths[place % len(strengths)]
            elif place < len(strengths):
                slopes[:] = strengths[place]
            result[index, place, 1:-sources] = np.log(max(middle, 0.1) / sources)
            result[index, place, -sources:] = slopes
    return np.concatenate([result, _linear_in_factors(formula, data, costs)], axis=1)


def _linear_in_factors(formula: Exponential, data: LawData, costs: Standardised) -> FloatArray:
    """Starts [E, K, P] whose c and k are those of least squares, k held above zero."""
    sources = len(data.sources)
    result = np.empty((len(data.metrics), len(_OWN_SLOPES), len(formula.names(sources))))
    for index, own in enumerate(data.own.tolist()):
        used = costs.weights[index] > 0
        values, shares = costs.values[index][used], data.shares[used]
        for place, strength in enumerate(_OWN_SLOPES):
            slopes = np.full(sources, strength if own == NO_SOURCE else _OTHER_SLOPE)
            if own != NO_SOURCE:
                slopes[own] = strength
            terms = np.exp(slopes * shares)
            if result.shape[2] == 2 + sources:
                terms = terms.sum(axis=1, keepdims=True)
            centre = terms.mean(axis=0)
            away = terms - centre
            # A small pull towards zero keeps factors finite with fewer runs than sources.
            gram = away.T @ away + 1e-4 * np.eye(away.shape[1])
            factors = np.maximum(np.linalg.solve(gram, away.T @ (values - values.mean())), 0.01 / sources)
            result[index, place] = np.r_[values.mean() - centre @ factors, np.log(factors), slopes]
    return result


def _of_product(formula: Exponential, data: LawData, rng: np.random.Generator) -> FloatArray:
    result = np.zeros((len(data.metrics), _STARTS, 3))
    result[:, :, 2] = np.array([-3.0, -1.0, -0.1, 0.1, 1.0, 3.0])
    return result


_STARTS_OF: dict[type, Callable[[Exponential, LawData, np.random.Generator], FloatArray]] = {
    ExponentialOfSum: _of_sum,
    SumOfExponentials: _of_exponentials,
    ExponentialOfProduct: _of_product,
}

DATA_MIXING_LAWS = (
    DataMixingLaw(SumOfExponentials("data_mixing_m1", "c + sum_i k[i] * exp(t[i] * w[i])", False), HUBER),
    DataMixingLaw(SumOfExponentials("data_mixing_m2", "c + sum_i k * exp(t[i] * w[i])", True), HUBER),
    DataMixingLaw(ExponentialOfProduct("data_mixing_m3", "c + k * exp(t * prod_i (S * w[i]))"), HUBER),
    DataMixingLaw(ExponentialOfSum("data_mixing_m4", "c + k * exp(sum_i t[i] * w[i])", True), HUBER),
)
