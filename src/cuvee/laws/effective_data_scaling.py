"""The effective-data law at every scale: amounts of the sources, parameters and tokens.

    L(w, N, D) = E + (eps + sum_i C_i n_i^g_i)^-b + A N^-alpha + T D^-tau + sum_i B_i w_i,   tau = 1.5

n_i is the amount w_i D of source i, as ``laws/amounts.py`` counts it in fresh tokens. So every source has a
power of its own in the tokens, as in AutoScale (Kang et al. 2025, https://arxiv.org/abs/2407.20177): one of a
small power saturates, and the best mixture moves away from it as runs become longer. The term in N is that of
Hoffmann et al. (2022, https://arxiv.org/abs/2203.15556); at one scale without repetition the law is that of
``effective_data.py``. Powers below one of amounts that are concave in the shares make it convex in them.
What is read a second time is worth less, so that caps on epochs follow from unique tokens.

Where all runs have the same N or D the law stays there, whatever is asked (``laws/axes.py``): a source's own
power in tokens is then known from the bend of its share's effect alone.

The term in T is ours: losses early in a training lie above the power law, and without a word for that the
powers g have to explain them, which spoils predictions for longer trainings.

N and D are divided by their geometric means over the runs while fitting. Priors are learnt over metrics;
where no run repeats anything, R is that of Muennighoff et al.
"""

from dataclasses import dataclass

import numpy as np

from cuvee.errors import ConfigError
from cuvee.laws.amounts import DECAY, Amounts
from cuvee.laws.axes import Axes, free, held
from cuvee.laws.hierarchical import Group, HierarchicalFit, fit_hierarchically
from cuvee.laws.interface import LawData, Scale
from cuvee.laws.powers import log_shares, sigmoid
from cuvee.types import FloatArray, Json

TRANSIENT = 1.5
"""Exponent tau of what fades early."""

_SINGLE = ("log fall", "log eps", "log b", "log A", "log alpha", "log T", "log R")
_PER_SOURCE = ("log C", "logit g", "B")
_FALL, _EPS, _B, _A, _ALPHA, _T, _R = range(len(_SINGLE))
_LEAST_SHARE = 1e-9  # shares are taken for at least this where a derivative is asked


@dataclass(frozen=True)
class EffectiveDataScalingFormula:
    """theta = (log of fall, eps, b, A, alpha, T and R; log C [S], logit g [S], B [S])."""

    params: float
    """The unit of N."""
    tokens: float
    """The unit of D."""
    law: str = "effective_data_scaling"
    text: str = (
        "E + (eps + sum_i C[i] * n[i]**g[i])**-b + A * N**-alpha + T * D**-tau + sum_i B[i] * w[i]; "
        "n[i] = w[i] * D up to U[i], and U[i] * (1 + R * (1 - exp(-(w[i] * D / U[i] - 1) / R))) beyond"
    )
    convex: bool = True

    def names(self, sources: int) -> tuple[str, ...]:
        """See ``Formula.names``."""
        return (*_SINGLE, *(f"{name}[{i}]" for name in _PER_SOURCE for i in range(sources)))

    def values(self, theta: FloatArray, shares: FloatArray, scale: Scale) -> FloatArray:
        """See ``Formula.values``."""
        return _Parts.of(self, theta, shares, scale).costs

    def jacobian(self, theta: FloatArray, shares: FloatArray, scale: Scale) -> tuple[FloatArray, FloatArray]:
        """See ``Formula.jacobian``."""
        parts, sources = _Parts.of(self, theta, shares, scale), shares.shape[1]
        alpha = np.exp(theta[:, _ALPHA, None])
        powers = parts.powers
        result = np.empty((*parts.costs.shape, len(_SINGLE) + len(_PER_SOURCE) * sources))
        result[:, :, _FALL] = -np.exp(theta[:, _FALL, None])
        result[:, :, _EPS] = parts.slope * np.exp(theta[:, _EPS, None])
        result[:, :, _B] = -np.exp(theta[:, _B, None]) * parts.data * np.log(parts.effective)
        result[:, :, _A] = parts.capacity
        result[:, :, _ALPHA] = -alpha * parts.capacity * parts.log_params
        result[:, :, _T] = parts.early
        terms = parts.terms * parts.slope[..., None]
        safe = np.where(parts.amounts.fresh > 0, parts.amounts.fresh, 1.0)  # its term is zero
        result[:, :, _R] = (terms * powers * parts.amounts.per_decay / safe).sum(axis=2)
        gain, power, linear = (
            slice(len(_SINGLE) + part * sources, len(_SINGLE) + (part + 1) * sources) for part in range(3)
        )
        result[:, :, gain] = terms
        result[:, :, power] = terms * np.log(safe) * powers * (1.0 - powers)
        result[:, :, linear] = shares
        return parts.costs, result

    def slopes(self, theta: FloatArray, shares: FloatArray, scale: Scale) -> FloatArray:
        """See ``Formula.slopes``; at a share of zero the derivative of its power at 1e-9, not infinity."""
        parts = _Parts.of(self, theta, np.maximum(shares, _LEAST_SHARE), scale)
        tokens = np.broadcast_to(np.asarray(scale.tokens, dtype=np.float64), (len(shares),))
        per_share = parts.amounts.per_read * (tokens / self.tokens)[:, None] / parts.amounts.fresh
        linear = _of_sources(theta, 2, shares.shape[1])[:, None, :]
        result: FloatArray = parts.slope[..., None] * parts.terms * parts.powers * per_share + linear
        return result

    def natural(self, theta: FloatArray, shift: float, scale: float, sources: int) -> Json:
        """See ``Formula.natural``."""
        fall, eps, b, capacity, alpha, early, decay = (float(x) for x in np.exp(theta[: len(_SINGLE)]))
        gains, powers, linear = theta[len(_SINGLE) :].reshape(len(_PER_SOURCE), sources)
        unit, g = scale ** (-1.0 / b), sigmoid(powers)
        return {
            "E": shift - scale * fall,
            "eps": eps * unit,
            "b": b,
            "C": (np.exp(gains) * unit * self.tokens**-g).tolist(),
            "g": g.tolist(),
            "R": decay,
            "A": scale * capacity * self.params**alpha,
            "alpha": alpha,
            "T": scale * early * self.tokens**TRANSIENT,
            "tau": TRANSIENT,
            "B": (linear * scale).tolist(),
        }


@dataclass(frozen=True, eq=False)
class _Parts:
    """The terms of the law at given parameters."""

    amounts: Amounts
    log_params: FloatArray
    """[R]."""
    powers: FloatArray
    """g, [B, 1, S]."""
    terms: FloatArray
    """C_i n_i^g_i, [B, R, S]."""
    effective: FloatArray
    """[B, R], and so the rest."""
    data: FloatArray
    slope: FloatArray
    """Of ``data`` in ``effective``."""
    capacity: FloatArray
    early: FloatArray
    costs: FloatArray

    @classmethod
    def of(
        cls, formula: EffectiveDataScalingFormula, theta: FloatArray, shares: FloatArray, scale: Scale
    ) -> "_Parts":
        log_params, log_tokens = (
            np.log(np.broadcast_to(np.asarray(size, dtype=np.float64) / unit, (len(shares),)))
            for size, unit in ((scale.params, formula.params), (scale.tokens, formula.tokens))
        )
        amounts = Amounts.of(shares, scale, theta[:, _R], formula.tokens)
        gains, powers, linear = (_of_sources(theta, part, shares.shape[1]) for part in range(3))
        powers = sigmoid(powers)[:, None, :]
        terms = np.exp(powers * log_shares(amounts.fresh) + gains[:, None, :])
        effective = np.exp(theta[:, _EPS, None]) + terms.sum(axis=2)
        b, alpha = np.exp(theta[:, _B, None]), np.exp(theta[:, _ALPHA, None])
        data = effective**-b
        capacity = np.exp(theta[:, _A, None] - alpha * log_params)
        early = np.exp(theta[:, _T, None] - TRANSIENT * log_tokens)
        costs = data + capacity + early - np.exp(theta[:, _FALL, None]) + linear @ shares.T
        slope = -b * data / effective
        return cls(amounts, log_params, powers, terms, effective, data, slope, capacity, early, costs)


def _of_sources(theta: FloatArray, part: int, sources: int) -> FloatArray:
    first = len(_SINGLE) + part * sources
    return theta[:, first : first + sources]


@dataclass(frozen=True)
class EffectiveDataScaling:
    """The law, ready to be fitted."""

    name: str = "effective_data_scaling"
    paper: str = "https://arxiv.org/abs/2407.20177"
    needs: str = "runs of known parameters and tokens, at several of each; learning curves count as such"
    cost: str = "tenths of a second a metric for 5 sources and 1000 rows"
    deviations: str = (
        "Sources add up inside one power; repeated tokens count as in arXiv 2305.16264; a term for what "
        "fades early and a small linear term; learnt priors."
    )

    def parameters(self, sources: int) -> int:
        """See ``Law.parameters``."""
        return len(_SINGLE) + len(_PER_SOURCE) * sources

    def fit(self, data: LawData, seed: int = 0) -> HierarchicalFit:
        """See ``Law.fit``; nothing is random."""
        return self.refit(data, None)

    def refit(self, data: LawData, near: HierarchicalFit | None, seed: int = 0) -> HierarchicalFit:
        """See ``Refittable.refit``."""
        formula = free(near.formula) if near is not None else _formula(data)
        return held(fit_hierarchically(formula, data, _groups(len(data.sources)), near), Axes.of(data.scale))


def _formula(data: LawData) -> EffectiveDataScalingFormula:
    return EffectiveDataScalingFormula(
        _middle(data, data.scale.params, "parameters"), _middle(data, data.scale.tokens, "tokens")
    )


def _middle(data: LawData, sizes: FloatArray | float, what: str) -> float:
    """The geometric mean."""
    known = np.broadcast_to(np.asarray(sizes, dtype=np.float64), (len(data),))
    if not (np.isfinite(known).all() and (known > 0).all()):
        raise ConfigError(f"effective_data_scaling needs the {what} of every run; some are unknown or zero")
    return float(np.exp(np.log(known).mean()))


def _groups(sources: int) -> tuple[Group, ...]:
    """What is known of the parameters beforehand, in units of a metric's standard deviation."""
    gains, powers, linear = (
        slice(len(_SINGLE) + part * sources, len(_SINGLE) + (part + 1) * sources) for part in range(3)
    )
    return (
        *(
            Group(name, slice(place, place + 1), mean, deviation, freedom, level="fixed")
            for place, (name, mean, deviation, freedom) in enumerate(
                (
                    ("log fall", 2.0, 1.5, 2.0),
                    ("log eps", -2.0, 1.0, 2.0),
                    ("log b", 0.0, 0.3, 4.0),
                    ("log A", -0.5, 1.0, 2.0),
                    ("log alpha", -1.2, 0.3, 4.0),
                    ("log T", -5.0, 1.5, 2.0),
                    ("log R", float(np.log(DECAY)), 0.5, 4.0),
                )
            )
        ),
        Group("log C", gains, -1.0, 1.5, 2.0, own_mean=0.0, level="metric", settled=0.7),
        Group("logit g", powers, -0.5, 1.0, 10.0, own_mean=-0.5, settled=0.7),
        Group("B", linear, 0.0, 0.1, 4.0, level="fixed", settled=0.055),
    )
