"""projektor: a metric by the shares and by the optimal transport between mixture and target.

    L(p) = sum_i (b2_i p_i^2 + b1_i p_i) OT(p) + sum_i (c2_i p_i^2 + c1_i p_i)

The first stage of Kang et al. 2023, Performance scaling via optimal transport
(https://arxiv.org/abs/2307.02460), which interpolates between mixtures at one size. The constants b0 and c0
of the paper are left out: as shares sum to one, b1 and c1 hold them. Its second stage predicts larger sizes
from two small ones, linear in the logarithm of the size. Losses fall as powers, so beyond three times the
larger size it predicts far too low ones: ``log_linear_loss`` is kept for reference, and not used.
"""

import math
from dataclasses import dataclass, field

import numpy as np

from cuvee.errors import ConfigError
from cuvee.laws.asked import CheckedQuestions
from cuvee.laws.interface import UNKNOWN_SCALE, LawData, Scale
from cuvee.laws.transport_planes import TransportPlanes
from cuvee.types import FloatArray, Json

_LEAST_RUNS = 4
_RIDGES = 10.0 ** np.arange(-8.0, 2.0)
"""Of which the one with the smallest left-out error is taken; terms are in units of their spread."""


@dataclass(frozen=True, eq=False)
class ProjektorFit(CheckedQuestions):
    """Coefficients of every metric."""

    planes: TransportPlanes
    metrics: tuple[str, ...]
    coefficients: FloatArray
    """b2, b1, c2, c1 behind each other [E, 4 S]."""
    intercept: FloatArray
    """[E]; what b1 and c1 would hold without a ridge."""
    centre: FloatArray = field(repr=False)
    """Means of the terms over the runs [E, 4 S]."""
    covariance: FloatArray = field(repr=False)
    """Of the coefficients [E, 4 S, 4 S]."""
    base: FloatArray
    """Variance of the mean [E]."""
    law: str = "projektor"
    convex: bool = False

    @property
    def sources(self) -> tuple[str, ...]:
        """See ``FittedLaw.sources``."""
        return self.planes.sources

    def costs(self, shares: FloatArray, scale: Scale = UNKNOWN_SCALE) -> FloatArray:
        """See ``FittedLaw.costs``."""
        result: FloatArray = self._terms(shares) @ self.coefficients.T + self.intercept
        return result

    def slopes(self, shares: FloatArray, scale: Scale = UNKNOWN_SCALE) -> FloatArray:
        """See ``FittedLaw.slopes``; OT has edges, at which the slope of one side is given."""
        shares = np.atleast_2d(shares)
        b2, b1, c2, c1 = np.split(self.coefficients, 4, axis=1)
        distance = self.planes.distances(shares)[:, None, None]
        weight = shares**2 @ b2.T + shares @ b1.T
        moved = 2.0 * b2 * shares[:, None, :] + b1
        result: FloatArray = (
            moved * distance
            + weight[:, :, None] * self.planes.gradients(shares)[:, None, :]
            + 2.0 * c2 * shares[:, None, :]
            + c1
        )
        return result

    def uncertainty(self, shares: FloatArray, scale: Scale = UNKNOWN_SCALE) -> FloatArray:
        """See ``FittedLaw.uncertainty``: that of a ridge regression with equal noise."""
        away = self._terms(shares)[:, None, :] - self.centre
        variance = np.einsum("mek,ekl,mel->me", away, self.covariance, away) + self.base
        result: FloatArray = np.sqrt(np.maximum(variance, 0.0))
        return result

    def as_json(self) -> Json:
        """See ``FittedLaw.as_json``."""
        names = ("b2", "b1", "c2", "c1")
        return {
            "law": self.law,
            "formula": "c0 + sum_i (b2[i] * w[i]^2 + b1[i] * w[i]) * ot + sum_i (c2[i] * w[i]^2 + c1[i] * "
            "w[i]), where ot = max_k (heights[k] + sum_i slopes[k][i] * w[i])",
            "sources": list(self.sources),
            "slopes": [list(row) for row in self.planes.slopes],
            "heights": list(self.planes.heights),
            "metrics": {
                name: {
                    "c0": float(constant),
                    **{key: part.tolist() for key, part in zip(names, np.split(row, 4), strict=True)},
                }
                for name, row, constant in zip(self.metrics, self.coefficients, self.intercept, strict=True)
            },
        }

    def _terms(self, shares: FloatArray) -> FloatArray:
        return terms(np.atleast_2d(shares), self.planes)


@dataclass(frozen=True)
class ProjektorLaw:
    """The law, ready to be fitted."""

    name: str = "projektor"
    paper: str = "https://arxiv.org/abs/2307.02460"
    needs: str = "mixtures at one scale; transport.json of `cuvee value --method projektor` (--transport)"
    cost: str = "milliseconds"
    deviations: str = (
        "A ridge, chosen by left-out runs, in place of least squares: the paper's grid has more mixtures "
        "than there are coefficients, a study has fewer. OT is to one target, for all metrics."
    )

    def parameters(self, sources: int) -> int:
        """See ``Law.parameters``."""
        return 4 * sources

    def fit(self, data: LawData, seed: int = 0) -> ProjektorFit:
        """See ``Law.fit``; nothing is random."""
        if data.transport is None:
            raise ConfigError(
                "projektor needs the distances of mixtures to the target: `cuvee value STUDY --method "
                "projektor` writes transport.json; give it with --transport"
            )
        planes = data.transport.over(data.sources)
        parts = [data.metric(index) for index in range(len(data.metrics))]
        for one in parts:
            if len(one) < _LEAST_RUNS:
                raise ConfigError(f"metric {one.metrics[0]!r}: {len(one)} runs are too few for projektor")
        ridges = [_ridge(terms(one.shares, planes), one.costs[:, 0]) for one in parts]
        coefficients, intercept, centre, covariance, base = (np.stack(p) for p in zip(*ridges, strict=True))
        return ProjektorFit(planes, data.metrics, coefficients, intercept, centre, covariance, base)


def terms(shares: FloatArray, planes: TransportPlanes) -> FloatArray:
    """What the coefficients are of [M, 4 S]."""
    quadratic = np.concatenate([shares**2, shares], axis=1)
    return np.concatenate([quadratic * planes.distances(shares)[:, None], quadratic], axis=1)


def _ridge(x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]:
    """Coefficients [k], intercept, mean of x [k], covariance [k, k], variance of the mean."""
    centre, scale = x.mean(axis=0), x.std(axis=0)
    scale = np.where(scale > 1e-12, scale, 1.0)  # a term that never moves has the coefficient zero
    u, s, vt = np.linalg.svd((x - centre) / scale, full_matrices=False)
    away = u.T @ (y - y.mean())
    errors = []
    for ridge in _RIDGES * len(y):
        kept = s**2 / (s**2 + ridge)
        leverage = np.minimum((u**2) @ kept + 1.0 / len(y), 1.0 - 1e-9)
        errors.append(float(np.square((y - y.mean() - u @ (kept * away)) / (1.0 - leverage)).mean()))
    ridge = float(_RIDGES[int(np.argmin(errors))]) * len(y)
    back = (vt / scale).T
    coefficients = back @ (s / (s**2 + ridge) * away)
    freedom = max(len(y) - 1.0 - float((s**2 / (s**2 + ridge)).sum()), 1.0)
    residuals = y - y.mean() - (x - centre) @ coefficients
    noise = float(residuals @ residuals) / freedom
    covariance = noise * (back / (s**2 + ridge)) @ back.T
    intercept = np.array(y.mean() - centre @ coefficients)
    return coefficients, intercept, centre, covariance, np.array(noise / len(y))


def log_linear_loss(small: float, large: float, sizes: tuple[float, float], size: float) -> float:
    """The second stage, for reference: a loss at a size, linear in its logarithm through two losses.

    Use a law of ``cuvee scale`` instead: this line crosses zero where losses level out.

    Args:
        small: loss at the smaller size.
        large: loss at the larger.
        sizes: both.
        size: that is predicted.
    """
    first, second = sizes
    return (math.log(size / first) * large - math.log(size / second) * small) / math.log(second / first)
