"""The effective-data law: the cost falls with a sum of powers of the shares.

    L(w) = E + (eps + sum_i C_i w_i^g_i)^-b + sum_i B_i w_i,     C_i, eps, b > 0,  0 < g_i < 1

The second term is the law of Shukor et al. (2025, https://arxiv.org/abs/2507.09404) at one scale, with a
share eps that all sources give and an exponent b near one. Exponents g below one make the sum concave and its
negative power convex, so that any weighting of metrics is a convex programme in the shares. The linear term,
small beforehand, is ours: it holds what a source takes from a metric, which the sum cannot, and keeps the law
convex.

Fitted with priors learnt from all metrics together (``laws/hierarchical.py``). Two things are known
beforehand and only their sizes are learnt: a source does most for its own held-out text, and most sources
do about as much as each other for any other metric. With fewer runs than sources that is what decides.
"""

from dataclasses import dataclass

import numpy as np

from cuvee.laws.hierarchical import Group, HierarchicalFit, fit_hierarchically, transferred
from cuvee.laws.interface import LawData, Scale
from cuvee.laws.powers import log_shares, sigmoid
from cuvee.types import FloatArray, Json


@dataclass(frozen=True)
class EffectiveDataFormula:
    """theta = (log of the fall below the smallest cost, log eps, log b, log C [S], logit g [S], B [S])."""

    law: str = "effective_data"
    text: str = "E + (eps + sum_i C[i] * w[i]**g[i])**-b + sum_i B[i] * w[i]"
    convex: bool = True

    def names(self, sources: int) -> tuple[str, ...]:
        """See ``Formula.names``."""
        per_source = [f"{name}[{i}]" for name in ("log C", "logit g", "B") for i in range(sources)]
        return ("log fall", "log eps", "log b", *per_source)

    def values(self, theta: FloatArray, shares: FloatArray, scale: Scale) -> FloatArray:
        """See ``Formula.values``."""
        effective = np.exp(theta[:, 1])[:, None] + self._terms(theta, shares).sum(axis=2)
        costs = effective ** -np.exp(theta[:, 2:3]) - np.exp(theta[:, 0])[:, None]
        costs += self._part(theta, 2, shares) @ shares.T
        result: FloatArray = costs
        return result

    def jacobian(self, theta: FloatArray, shares: FloatArray, scale: Scale) -> tuple[FloatArray, FloatArray]:
        """See ``Formula.jacobian``."""
        sources = shares.shape[1]
        terms = self._terms(theta, shares)
        fall, eps, b = np.exp(theta[:, 0]), np.exp(theta[:, 1]), np.exp(theta[:, 2:3])
        effective = eps[:, None] + terms.sum(axis=2)
        power = effective**-b
        slope = -b * power / effective
        g = sigmoid(self._part(theta, 1, shares))
        result = np.empty((len(theta), len(shares), 3 + 3 * sources))
        result[:, :, 0] = -fall[:, None]
        result[:, :, 1] = slope * eps[:, None]
        result[:, :, 2] = -b * power * np.log(effective)
        terms *= slope[..., None]
        result[:, :, 3 : 3 + sources] = terms
        terms *= np.where(shares > 0, log_shares(shares), 0.0)
        terms *= (g * (1.0 - g))[:, None, :]
        result[:, :, 3 + sources : 3 + 2 * sources] = terms
        result[:, :, 3 + 2 * sources :] = shares
        values = power - fall[:, None] + self._part(theta, 2, shares) @ shares.T
        return values, result

    def slopes(self, theta: FloatArray, shares: FloatArray, scale: Scale) -> FloatArray:
        """See ``Formula.slopes``; at a share of zero the derivative of its power at 1e-9, not infinity."""
        shares = np.maximum(shares, 1e-9)
        terms = self._terms(theta, shares)
        effective, b = np.exp(theta[:, 1])[:, None] + terms.sum(axis=2), np.exp(theta[:, 2:3])
        g = sigmoid(self._part(theta, 1, shares))
        falling = -b * effective ** (-b - 1.0)
        powers = terms * g[:, None, :] / shares
        result: FloatArray = falling[..., None] * powers + self._part(theta, 2, shares)[:, None, :]
        return result

    def natural(self, theta: FloatArray, shift: float, scale: float, sources: int) -> Json:
        """See ``Formula.natural``."""
        per_source = theta[3:].reshape(3, sources)
        b = float(np.exp(theta[2]))
        unit = scale ** (-1.0 / b)
        return {
            "E": shift - scale * float(np.exp(theta[0])),
            "eps": float(np.exp(theta[1])) * unit,
            "b": b,
            "C": (np.exp(per_source[0]) * unit).tolist(),
            "g": sigmoid(per_source[1]).tolist(),
            "B": (per_source[2] * scale).tolist(),
        }

    def _part(self, theta: FloatArray, part: int, shares: FloatArray) -> FloatArray:
        sources = shares.shape[1]
        return theta[:, 3 + part * sources : 3 + (part + 1) * sources]

    def _terms(self, theta: FloatArray, shares: FloatArray) -> FloatArray:
        """C_i w_i^g_i, [B, R, S]."""
        exponent = sigmoid(self._part(theta, 1, shares))[:, None, :] * log_shares(shares)[None]
        exponent += self._part(theta, 0, shares)[:, None, :]
        result: FloatArray = np.exp(exponent, out=exponent)
        return result


@dataclass(frozen=True)
class EffectiveData:
    """The law, ready to be fitted."""

    name: str = "effective_data"
    paper: str = "https://arxiv.org/abs/2507.09404"
    needs: str = (
        "mixtures at one scale; useful from as many runs as sources, fewer where metrics have own sources"
    )
    cost: str = "milliseconds a metric for 20 sources and 500 runs"
    deviations: str = (
        "A share eps given by all sources, an exponent b and a small linear term are added; priors are "
        "learnt over metrics."
    )

    def parameters(self, sources: int) -> int:
        """See ``Law.parameters``."""
        return 3 + 3 * sources

    def fit(self, data: LawData, seed: int = 0) -> HierarchicalFit:
        """See ``Law.fit``; nothing is random."""
        return self.refit(data, None)

    def transfer(self, base: HierarchicalFit, data: LawData) -> HierarchicalFit:
        """Fit to few runs of another scale, beginning at a fit to many of this one (see ``transferred``)."""
        return transferred(base, data, effective_data_groups(len(data.sources)))

    def refit(self, data: LawData, near: HierarchicalFit | None, seed: int = 0) -> HierarchicalFit:
        """See ``Refittable.refit``."""
        groups = effective_data_groups(len(data.sources))
        return fit_hierarchically(EffectiveDataFormula(), data, groups, near)


def effective_data_groups(sources: int) -> tuple[Group, ...]:
    """Priors of the parameters, in units of a metric's standard deviation."""
    # Chosen by hand: no table in ``benchmarks/`` compares others; ``laws.md`` has the law with these. log b
    # is there as an exponent near one predicts better than exactly one from 64 runs on.
    first = 3 + sources
    return (
        Group("log fall", slice(0, 1), mean=-0.5, deviation=1.0, freedom=2.0),
        Group("log eps", slice(1, 2), mean=-2.0, deviation=1.0, freedom=2.0),
        Group("log b", slice(2, 3), 0.0, 0.1, 4.0, level="fixed", settled=0.1),
        Group("log C", slice(3, first), -1.0, 1.5, 2.0, own_mean=0.0, level="metric", settled=0.7),
        Group("logit g", slice(first, first + sources), -0.5, 1.0, 10.0, own_mean=-0.5, settled=0.7),
        Group("B", slice(first + sources, first + 2 * sources), 0.0, 0.1, 4.0, level="fixed", settled=0.055),
    )
