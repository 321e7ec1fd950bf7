"""BiMix: a metric falls with a power of its own source's share, and with a power of the tokens.

    L(w, D) = A (w_own + eps)^-alpha (1 + B D^-beta)

(Ge et al. 2025, https://arxiv.org/abs/2405.14908: "bivariate" in share and training volume; their five
coefficients are four here, as one factor is common.) A metric without a source of its own gets the sum over
all sources that Olmix uses (Chen et al. 2026, https://arxiv.org/abs/2602.12237):

    L(w, D) = sum_i F_i (w_i + eps)^-a_i (1 + B D^-beta)

eps = 1e-4 keeps the laws finite at shares of zero. Where all runs have the same tokens, B is zero.
"""

from dataclasses import dataclass

import numpy as np

from cuvee.errors import ConfigError
from cuvee.laws.asked import CheckedQuestions
from cuvee.laws.axes import SAME
from cuvee.laws.formula import FittedFormula, fit_from_starts
from cuvee.laws.interface import NO_SOURCE, UNKNOWN_SCALE, LawData, Scale
from cuvee.types import FloatArray, Json

_EPS = 1e-4
_EXPONENTS = np.array([0.03, 0.1, 0.3, 0.8])


@dataclass(frozen=True)
class Powers:
    """theta = (log F [K], log a [K], then log B and log beta if tokens vary) of the sources ``used`` [K]."""

    used: tuple[int, ...]
    tokens: float
    """The unit of D, such as their geometric mean; NaN: they do not vary."""
    law: str = "bimix"
    text: str = f"sum_i F[i] * (w[i] + {_EPS})**-a[i] * (1 + B * D**-beta)"
    convex: bool = True

    def names(self, sources: int) -> tuple[str, ...]:
        """See ``Formula.names``."""
        own = [f"{name}[{i}]" for name in ("log F", "log a") for i in self.used]
        return (*own, *(("log B", "log beta") if np.isfinite(self.tokens) else ()))

    def values(self, theta: FloatArray, shares: FloatArray, scale: Scale) -> FloatArray:
        """See ``Formula.values``."""
        result: FloatArray = self._terms(theta, shares).sum(axis=2) * (1.0 + self._step(theta, shares, scale))
        return result

    def jacobian(self, theta: FloatArray, shares: FloatArray, scale: Scale) -> tuple[FloatArray, FloatArray]:
        """See ``Formula.jacobian``."""
        step = self._step(theta, shares, scale)
        terms = self._terms(theta, shares) * (1.0 + step)[..., None]
        logs, exponents = np.log(shares[:, self.used] + _EPS), self._exponents(theta)
        parts = [terms, -terms * logs * exponents[:, None, :]]
        if np.isfinite(self.tokens):
            falling = terms.sum(axis=2) / (1.0 + step) * step
            reach = np.log(self._relative_tokens(scale, shares)) * np.exp(theta[:, -1:])
            parts += [falling[..., None], (-falling * reach)[..., None]]
        return terms.sum(axis=2), np.concatenate(parts, axis=2)

    def slopes(self, theta: FloatArray, shares: FloatArray, scale: Scale) -> FloatArray:
        """See ``Formula.slopes``."""
        result = np.zeros((len(theta), *shares.shape))
        terms = self._terms(theta, shares) * (1.0 + self._step(theta, shares, scale))[..., None]
        result[:, :, self.used] = -terms * self._exponents(theta)[:, None, :] / (shares[:, self.used] + _EPS)
        return result

    def natural(self, theta: FloatArray, shift: float, scale: float, sources: int) -> Json:
        """See ``Formula.natural``."""
        factors, exponents = np.zeros(sources), np.zeros(sources)
        count = len(self.used)
        factors[list(self.used)] = scale * np.exp(theta[:count])
        exponents[list(self.used)] = np.exp(theta[count : 2 * count])
        values: Json = {"F": factors.tolist(), "a": exponents.tolist(), "B": 0.0, "beta": 1.0}
        if np.isfinite(self.tokens):
            beta = float(np.exp(theta[-1]))
            values |= {"B": float(np.exp(theta[-2])) * self.tokens**beta, "beta": beta}
        return values

    def _exponents(self, theta: FloatArray) -> FloatArray:
        count = len(self.used)
        result: FloatArray = np.exp(theta[:, count : 2 * count])
        return result

    def _terms(self, theta: FloatArray, shares: FloatArray) -> FloatArray:
        """F_i (w_i + eps)^-a_i, [B, R, K]."""
        logs = np.log(shares[:, self.used] + _EPS)
        result: FloatArray = np.exp(
            theta[:, None, : len(self.used)] - self._exponents(theta)[:, None, :] * logs
        )
        return result

    def _step(self, theta: FloatArray, shares: FloatArray, scale: Scale) -> FloatArray:
        """B D^-beta, [B, R]."""
        if not np.isfinite(self.tokens):
            return np.zeros((len(theta), len(shares)))
        logs = np.log(self._relative_tokens(scale, shares))
        result: FloatArray = np.exp(theta[:, -2:-1] - np.exp(theta[:, -1:]) * logs)
        return result

    def _relative_tokens(self, scale: Scale, shares: FloatArray) -> FloatArray:
        result: FloatArray = np.broadcast_to(np.asarray(scale.tokens) / self.tokens, (len(shares),))
        return result


@dataclass(frozen=True, eq=False)
class FittedBiMix(CheckedQuestions):
    """One fitted formula for each metric."""

    sources: tuple[str, ...]
    metrics: tuple[str, ...]
    parts: tuple[FittedFormula, ...]
    law: str = "bimix"
    convex: bool = True

    def costs(self, shares: FloatArray, scale: Scale = UNKNOWN_SCALE) -> FloatArray:
        """See ``FittedLaw.costs``."""
        return np.concatenate([part.costs(shares, scale) for part in self.parts], axis=1)

    def slopes(self, shares: FloatArray, scale: Scale = UNKNOWN_SCALE) -> FloatArray:
        """See ``FittedLaw.slopes``."""
        return np.concatenate([part.slopes(shares, scale) for part in self.parts], axis=1)

    def uncertainty(self, shares: FloatArray, scale: Scale = UNKNOWN_SCALE) -> FloatArray:
        """See ``FittedLaw.uncertainty``; nothing is known of it."""
        return np.zeros((len(np.atleast_2d(shares)), len(self.metrics)))

    def as_json(self) -> Json:
        """See ``FittedLaw.as_json``."""
        documents = [part.as_json() for part in self.parts]
        metrics = {name: entry for document in documents for name, entry in document["metrics"].items()}
        return {**documents[0], "metrics": metrics}


@dataclass(frozen=True)
class BiMix:
    """The law, ready to be fitted."""

    name: str = "bimix"
    paper: str = "https://arxiv.org/abs/2405.14908"
    needs: str = "positive losses on held-out text of the sources; a share of every such source in most runs"
    cost: str = "milliseconds a metric"
    deviations: str = "Shares are shifted by 1e-4; metrics of no source use the sum over all."

    def parameters(self, sources: int) -> int:
        """See ``Law.parameters``: of a metric without a source of its own, which has most."""
        return 2 * sources

    def fit(self, data: LawData, seed: int = 0) -> FittedBiMix:
        """See ``Law.fit``; nothing is random."""
        tokens = np.broadcast_to(np.asarray(data.scale.tokens, dtype=np.float64), (len(data),))
        # Rounding to whole steps does not identify beta (``laws/axes.py``).
        varies = bool(np.isfinite(tokens).all() and tokens.max() > SAME * tokens.min())
        middle = float(np.exp(np.log(tokens).mean())) if varies else float("nan")
        parts = []
        for index in range(len(data.metrics)):
            own = int(data.own[index])
            used = tuple(range(len(data.sources))) if own == NO_SOURCE else (own,)
            one = data.metric(index)
            if not len(one):
                raise ConfigError(f"metric {one.metrics[0]!r} was measured in none of the runs; leave it out")
            if (one.costs < 0).any():  # powers times positive factors never fall below zero
                raise ConfigError(
                    f"metric {one.metrics[0]!r}: bimix predicts positive losses only; use another law for "
                    "metrics that are to be high or that fall below zero"
                )
            parts.append(
                fit_from_starts(
                    Powers(used, middle), one, _starts(one, used, varies), steps=200, shifted=False
                )
            )
        return FittedBiMix(data.sources, data.metrics, tuple(parts))


def _starts(one: LawData, used: tuple[int, ...], varies: bool) -> FloatArray:
    """[1, K, P]: several exponents, the factors such that the median run, one when fitted, is met."""
    count = len(used)
    starts = []
    for exponent in _EXPONENTS:
        power = np.median((one.shares[:, used] + _EPS) ** -exponent, axis=0)
        factors = -np.log(count * power * (1.1 if varies else 1.0))
        starts.append(
            np.r_[factors, np.full(count, np.log(exponent)), (np.log(0.1), np.log(0.5)) if varies else ()]
        )
    return np.stack(starts)[None]
