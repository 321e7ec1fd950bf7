"""The linear law: a metric is a weighted mean of what each source alone would give.

    L(w) = sum_i B_i w_i

Ordinary least squares; the regression that RegMix (https://arxiv.org/abs/2407.01492) compares with. With
fewer runs than sources the smallest differences between the B_i that fit are taken.
"""

from dataclasses import dataclass

import numpy as np

from cuvee.errors import ConfigError
from cuvee.laws.asked import CheckedQuestions
from cuvee.laws.interface import UNKNOWN_SCALE, LawData, Scale
from cuvee.types import FloatArray, Json


@dataclass(frozen=True, eq=False)
class FittedLinear(CheckedQuestions):
    """Coefficients of every metric."""

    sources: tuple[str, ...]
    metrics: tuple[str, ...]
    coefficients: FloatArray
    """B [E, S]."""
    centre: FloatArray
    """Mean shares [E, S] of the runs of each metric."""
    leverage: FloatArray
    """[E, S, S], with (w - centre)' leverage (w - centre) + base the variance of a prediction."""
    base: FloatArray
    """[E]."""
    law: str = "linear"
    convex: bool = True

    def costs(self, shares: FloatArray, scale: Scale = UNKNOWN_SCALE) -> FloatArray:
        """See ``FittedLaw.costs``."""
        result: FloatArray = np.atleast_2d(shares) @ self.coefficients.T
        return result

    def slopes(self, shares: FloatArray, scale: Scale = UNKNOWN_SCALE) -> FloatArray:
        """See ``FittedLaw.slopes``."""
        return np.broadcast_to(self.coefficients, (len(np.atleast_2d(shares)), *self.coefficients.shape))

    def uncertainty(self, shares: FloatArray, scale: Scale = UNKNOWN_SCALE) -> FloatArray:
        """See ``FittedLaw.uncertainty``: that of least squares with equal noise."""
        away = np.atleast_2d(shares)[:, None, :] - self.centre
        variance = np.einsum("mes,est,met->me", away, self.leverage, away) + self.base
        result: FloatArray = np.sqrt(np.maximum(variance, 0.0))
        return result

    def as_json(self) -> Json:
        """See ``FittedLaw.as_json``."""
        return {
            "law": self.law,
            "formula": "sum_i B[i] * w[i]",
            "sources": list(self.sources),
            "metrics": {
                name: {"B": row.tolist()} for name, row in zip(self.metrics, self.coefficients, strict=True)
            },
        }


@dataclass(frozen=True)
class LinearLaw:
    """The law, ready to be fitted."""

    name: str = "linear"
    paper: str = "https://arxiv.org/abs/2407.01492"
    needs: str = "mixtures at one scale; at least as many runs as sources"
    cost: str = "milliseconds"
    deviations: str = "None."

    def parameters(self, sources: int) -> int:
        """See ``Law.parameters``."""
        return sources

    def fit(self, data: LawData, seed: int = 0) -> FittedLinear:
        """See ``Law.fit``; nothing is random."""
        count, sources = len(data.metrics), len(data.sources)
        coefficients, centre = np.empty((count, sources)), np.empty((count, sources))
        leverage, base = np.empty((count, sources, sources)), np.empty(count)
        for index in range(count):
            one = data.metric(index)
            if not len(one):
                raise ConfigError(f"metric {one.metrics[0]!r} was measured in none of the runs; leave it out")
            centre[index] = one.shares.mean(axis=0)
            shares, costs = one.shares - centre[index], one.costs[:, 0]
            inverse = np.linalg.pinv(shares, rcond=1e-10)
            slopes = inverse @ (costs - costs.mean())
            # On the simplex a constant can be added to all slopes; this one makes the intercept vanish.
            coefficients[index] = slopes + costs.mean() - slopes @ centre[index]
            freedom = max(len(costs) - 1 - int(np.linalg.matrix_rank(shares, tol=1e-10)), 1)
            noise = float(((costs - one.shares @ coefficients[index]) ** 2).sum()) / freedom
            leverage[index], base[index] = noise * inverse @ inverse.T, noise / len(costs)
        return FittedLinear(data.sources, data.metrics, coefficients, centre, leverage, base)
