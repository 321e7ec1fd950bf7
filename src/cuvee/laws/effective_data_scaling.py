"""The effective-data law at every scale: mixture, parameters and tokens (floor 4).

    L(w, N, D) = E + (eps + sum_i C_i w_i^g_i)^-b D^-beta + A N^-alpha + T D^-tau + sum_i B_i w_i,   tau = 1.5

The mixture says how much a token is worth, and tokens and parameters enter as in Hoffmann et al. (2022,
https://arxiv.org/abs/2203.15556); at one scale it is the law of ``effective_data.py``, and convex in the
shares like it. The term in T is ours: losses early in a training lie above the power law, and without a word
for that the exponent beta has to explain them, which spoils what is foretold for longer trainings.

N and D are told in their geometric means over the runs while fitting. Priors are learnt over metrics.
"""

from dataclasses import dataclass

import numpy as np

from cuvee.errors import ConfigError
from cuvee.laws.hierarchical import Group, HierarchicalFit, fit_hierarchically
from cuvee.laws.interface import LawData, Scale
from cuvee.laws.powers import log_shares, sigmoid
from cuvee.types import FloatArray, Json

TRANSIENT = 1.5
"""Exponent tau of what fades early."""

_SINGLE = 7  # parameters that are no list over sources
_LEAST_SHARE = 1e-9  # shares are taken for at least this where a derivative is asked


@dataclass(frozen=True)
class EffectiveDataScalingFormula:
    """theta = (log of fall, eps, b, beta / b, A, alpha and T; log C [S], logit g [S], B [S])."""

    params: float
    """In which N is told."""
    tokens: float
    """In which D is told."""
    law: str = "effective_data_scaling"
    text: str = (
        "E + (eps + sum_i C[i] * w[i]**g[i])**-b * D**-beta + A * N**-alpha + T * D**-tau + sum_i B[i] * w[i]"
    )
    convex: bool = True

    def names(self, sources: int) -> tuple[str, ...]:
        """See ``Formula.names``."""
        single = ("log fall", "log eps", "log b", "log beta/b", "log A", "log alpha", "log T")
        return (*single, *(f"{name}[{i}]" for name in ("log C", "logit g", "B") for i in range(sources)))

    def values(self, theta: FloatArray, shares: FloatArray, scale: Scale) -> FloatArray:
        """See ``Formula.values``."""
        parts = self._parts(theta, shares, scale)
        result: FloatArray = parts.data + parts.capacity + parts.early - np.exp(theta[:, :1])
        result += self._of_sources(theta, 2, shares) @ shares.T
        return result

    def jacobian(self, theta: FloatArray, shares: FloatArray, scale: Scale) -> tuple[FloatArray, FloatArray]:
        """See ``Formula.jacobian``."""
        parts, sources = self._parts(theta, shares, scale), shares.shape[1]
        b, ratio, alpha = (np.exp(theta[:, place : place + 1]) for place in (2, 3, 5))
        g = sigmoid(self._of_sources(theta, 1, shares))
        slope = -b * parts.data / parts.effective
        result = np.empty((*parts.data.shape, _SINGLE + 3 * sources))
        result[:, :, 0] = -np.exp(theta[:, :1])
        result[:, :, 1] = slope * np.exp(theta[:, 1:2])
        result[:, :, 2] = -b * parts.data * (np.log(parts.effective) + ratio * parts.log_tokens)
        result[:, :, 3] = -b * ratio * parts.data * parts.log_tokens
        result[:, :, 4] = parts.capacity
        result[:, :, 5] = -alpha * parts.capacity * parts.log_params
        result[:, :, 6] = parts.early
        terms = parts.terms * slope[..., None]
        first = _SINGLE
        result[:, :, first : first + sources] = terms
        terms = terms * np.where(shares > 0, log_shares(shares), 0.0) * (g * (1.0 - g))[:, None, :]
        result[:, :, first + sources : first + 2 * sources] = terms
        result[:, :, first + 2 * sources :] = shares
        values = parts.data + parts.capacity + parts.early - np.exp(theta[:, :1])
        values += self._of_sources(theta, 2, shares) @ shares.T
        return values, result

    def slopes(self, theta: FloatArray, shares: FloatArray, scale: Scale) -> FloatArray:
        """See ``Formula.slopes``; at a share of zero the derivative of its power at 1e-9, not infinity."""
        shares = np.maximum(shares, _LEAST_SHARE)
        parts = self._parts(theta, shares, scale)
        g = sigmoid(self._of_sources(theta, 1, shares))
        slope = -np.exp(theta[:, 2:3]) * parts.data / parts.effective
        powers = parts.terms * g[:, None, :] / shares
        result: FloatArray = slope[..., None] * powers + self._of_sources(theta, 2, shares)[:, None, :]
        return result

    def natural(self, theta: FloatArray, shift: float, scale: float, sources: int) -> Json:
        """See ``Formula.natural``."""
        fall, eps, b, ratio, capacity, alpha, early = (float(x) for x in np.exp(theta[:_SINGLE]))
        per_source, beta = theta[_SINGLE:].reshape(3, sources), b * ratio
        unit = (scale * self.tokens**beta) ** (-1.0 / b)
        return {
            "E": shift - scale * fall,
            "eps": eps * unit,
            "b": b,
            "C": (np.exp(per_source[0]) * unit).tolist(),
            "g": sigmoid(per_source[1]).tolist(),
            "beta": beta,
            "A": scale * capacity * self.params**alpha,
            "alpha": alpha,
            "T": scale * early * self.tokens**TRANSIENT,
            "tau": TRANSIENT,
            "B": (per_source[2] * scale).tolist(),
        }

    def _of_sources(self, theta: FloatArray, part: int, shares: FloatArray) -> FloatArray:
        sources = shares.shape[1]
        return theta[:, _SINGLE + part * sources : _SINGLE + (part + 1) * sources]

    def _parts(self, theta: FloatArray, shares: FloatArray, scale: Scale) -> "_Parts":
        log_params, log_tokens = (
            np.log(np.broadcast_to(np.asarray(size, dtype=np.float64) / unit, (len(shares),)))[None]
            for size, unit in ((scale.params, self.params), (scale.tokens, self.tokens))
        )
        exponent = sigmoid(self._of_sources(theta, 1, shares))[:, None, :] * log_shares(shares)[None]
        terms = np.exp(exponent + self._of_sources(theta, 0, shares)[:, None, :])
        effective = np.exp(theta[:, 1:2]) + terms.sum(axis=2)
        b, ratio, alpha = (np.exp(theta[:, place : place + 1]) for place in (2, 3, 5))
        return _Parts(
            log_params,
            log_tokens,
            terms,
            effective,
            data=np.exp(-b * (np.log(effective) + ratio * log_tokens)),
            capacity=np.exp(theta[:, 4:5] - alpha * log_params),
            early=np.exp(theta[:, 6:7] - TRANSIENT * log_tokens),
        )


@dataclass(frozen=True, eq=False)
class _Parts:
    """The terms of the law at given parameters."""

    log_params: FloatArray
    """[1, R]."""
    log_tokens: FloatArray
    terms: FloatArray
    """C_i w_i^g_i, [B, R, S]."""
    effective: FloatArray
    """[B, R], and so the rest."""
    data: FloatArray
    capacity: FloatArray
    early: FloatArray


@dataclass(frozen=True)
class EffectiveDataScaling:
    """The law, ready to be fitted."""

    name: str = "effective_data_scaling"
    paper: str = "https://arxiv.org/abs/2203.15556"
    needs: str = "runs of known parameters and tokens, at several of each; learning curves count as such"
    cost: str = "tenths of a second a metric for 5 sources and 1000 rows"
    deviations: str = "Tokens are worth what the mixture says; a term for what fades early; learnt priors."

    def parameters(self, sources: int) -> int:
        """See ``Law.parameters``."""
        return _SINGLE + 3 * sources

    def fit(self, data: LawData, seed: int = 0) -> HierarchicalFit:
        """See ``Law.fit``; nothing is random."""
        return self.refit(data, None)

    def refit(self, data: LawData, near: HierarchicalFit | None, seed: int = 0) -> HierarchicalFit:
        """See ``Refittable.refit``."""
        if near is not None:
            formula = near.formula
        else:
            formula = EffectiveDataScalingFormula(
                _middle(data, data.scale.params, "parameters"), _middle(data, data.scale.tokens, "tokens")
            )
        return fit_hierarchically(formula, data, _groups(len(data.sources)), near)


def _middle(data: LawData, sizes: FloatArray | float, what: str) -> float:
    """The geometric mean."""
    known = np.broadcast_to(np.asarray(sizes, dtype=np.float64), (len(data),))
    if not (np.isfinite(known).all() and (known > 0).all()):
        raise ConfigError(f"effective_data_scaling needs the {what} of every run; some are unknown or zero")
    return float(np.exp(np.log(known).mean()))


def _groups(sources: int) -> tuple[Group, ...]:
    """What is known of the parameters beforehand, in units of a metric's standard deviation."""
    first = _SINGLE
    return (
        Group("log fall", slice(0, 1), mean=0.0, deviation=1.0, freedom=2.0),
        Group("log eps", slice(1, 2), mean=-2.0, deviation=1.0, freedom=2.0),
        Group("log b", slice(2, 3), mean=0.0, deviation=0.3, freedom=4.0),
        Group("log beta/b", slice(3, 4), mean=-1.2, deviation=0.5, freedom=4.0),
        Group("log A", slice(4, 5), mean=-0.5, deviation=1.0, freedom=2.0),
        Group("log alpha", slice(5, 6), mean=-1.2, deviation=0.3, freedom=4.0),
        Group("log T", slice(6, 7), mean=-4.0, deviation=1.5, freedom=2.0),
        Group(
            "log C", slice(first, first + sources), -1.0, 1.5, 2.0, own_mean=0.0, level="metric", settled=0.7
        ),
        Group(
            "logit g",
            slice(first + sources, first + 2 * sources),
            -0.5,
            1.0,
            10.0,
            own_mean=-0.5,
            settled=0.7,
        ),
        Group(
            "B", slice(first + 2 * sources, first + 3 * sources), 0.0, 0.1, 4.0, level="fixed", settled=0.055
        ),
    )
