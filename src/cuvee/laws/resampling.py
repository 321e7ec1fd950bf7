"""The laws that other draws of the runs would have given.

Runs are drawn with replacement as often as there are runs (Efron 1979), and the law is fitted to each draw.
What differs between them is what the runs leave open. A law can be wrong in ways that resampling does not
see; held-out residuals do. So what a draw changes is taken ``factor`` times:

    f_k(w) = f(w) + factor (f(w; draw k) - f(w))

with the factor by which held-out errors exceed what the law believes (``Spread.factor``), times what draws of
few runs lack (``small_sample``), from one to two.
Predictions are stretched and not parameters: a law that is far from linear in them would be another law.
Beyond two the difference, for which no runs speak near the corners of the simplex, outweighs the law there.

A source of one or two mixtures is in all of a draw or in none of it. What a law of learnt priors leaves open
of such a source is drawn from its posterior beside (``HierarchicalFit.loosened``).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm
from scipy.stats import t as student

from cuvee.laws.asked import CheckedQuestions, checked
from cuvee.laws.hierarchical import HierarchicalFit
from cuvee.laws.interface import UNKNOWN_SCALE, Asked, FittedLaw, Law, LawData, Refittable, Scale
from cuvee.types import FloatArray, IntArray, Json

SELDOM = 2
"""Mixtures with a source up to which draws of the runs say nothing of it: most hold all of them or none."""

_LARGEST_FACTOR = 2.0


@dataclass(frozen=True, eq=False)
class StretchedLaw(CheckedQuestions):
    """A law, moved away from another by a factor for each metric."""

    base: FittedLaw
    drawn: FittedLaw
    factor: FloatArray
    """[E], at least one."""
    convex: bool = False

    @property
    def law(self) -> str:
        """Name of the law."""
        return self.base.law

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the sources."""
        return self.base.sources

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics."""
        return self.base.metrics

    def costs(self, shares: FloatArray, scale: Scale = UNKNOWN_SCALE) -> FloatArray:
        """See ``FittedLaw.costs``."""
        known = self.base.costs(shares, scale)
        result: FloatArray = known + self.factor * (self.drawn.costs(shares, scale) - known)
        return result

    def slopes(self, shares: FloatArray, scale: Scale = UNKNOWN_SCALE) -> FloatArray:
        """See ``FittedLaw.slopes``."""
        known = self.base.slopes(shares, scale)
        result: FloatArray = known + self.factor[:, None] * (self.drawn.slopes(shares, scale) - known)
        return result

    def uncertainty(self, shares: FloatArray, scale: Scale = UNKNOWN_SCALE) -> FloatArray:
        """See ``FittedLaw.uncertainty``."""
        return self.base.uncertainty(shares, scale)

    def as_json(self) -> Json:
        """See ``FittedLaw.as_json``."""
        return {
            "law": self.law,
            "formula": "base + factor * (drawn - base)",
            "sources": list(self.sources),
            "factor": self.factor.tolist(),
            "base": self.base.as_json(),
            "drawn": self.drawn.as_json(),
        }


@dataclass(frozen=True, eq=False)
class Resamples:
    """One law fitted to many draws of the runs."""

    laws: tuple[FittedLaw, ...]

    @classmethod
    def draw(
        cls,
        law: Law,
        fitted: FittedLaw,
        data: LawData,
        count: int,
        rng: np.random.Generator,
        factor: FloatArray | None = None,
    ) -> "Resamples":
        """Fit ``law`` to ``count`` draws of the runs.

        Args:
            law: what is fitted.
            fitted: its fit to all runs, where each fit begins.
            data: the runs.
            count: of draws.
            rng: draws them.
            factor: for each metric [E] how many times the change is taken; none for once.

        Cost: ``count`` short fits.
        """
        drawn = _counts(len(data), count, rng)
        laws: list[FittedLaw] = []
        if isinstance(fitted, HierarchicalFit):
            parameters = fitted.loosened(fitted.resampled(data, drawn), seldom(data.shares), rng)
            return cls.of_parameters(fitted, parameters, factor, len(data))
        for one in drawn:
            part = data.select(np.repeat(np.arange(len(data)), one.astype(np.int64)))
            laws.append(law.refit(part, fitted) if isinstance(law, Refittable) else law.fit(part))
        return cls._stretched(fitted, laws, factor, len(data))

    @classmethod
    def of_parameters(
        cls, fitted: HierarchicalFit, parameters: FloatArray, factor: FloatArray | None, runs: int
    ) -> "Resamples":
        """The laws of parameters [K, E, P] that draws of so many runs gave before; see ``draw``."""
        return cls._stretched(fitted, [fitted.with_parameters(one) for one in parameters], factor, runs)

    @classmethod
    def _stretched(
        cls, fitted: FittedLaw, laws: Sequence[FittedLaw], factor: FloatArray | None, runs: int
    ) -> "Resamples":
        if factor is None:
            return cls(tuple(laws))
        stretch = np.clip(factor * small_sample(runs, len(fitted.sources)), 1.0, _LARGEST_FACTOR)
        return cls(tuple(StretchedLaw(fitted, one, stretch) for one in laws))

    def predict(self, mixtures: Asked, scale: Scale = UNKNOWN_SCALE) -> FloatArray:
        """Costs [K, M, E] of mixtures under every resample; refuses what ``FittedLaw.predict`` does."""
        return self.costs(*checked(mixtures, scale, self.laws[0].sources))

    def costs(self, shares: FloatArray, scale: Scale = UNKNOWN_SCALE) -> FloatArray:
        """The same of shares [M, S] that are known to be mixtures."""
        return np.stack([law.costs(shares, scale) for law in self.laws])


def small_sample(runs: int, sources: int) -> float:
    """By how much draws of few runs differ too little.

    Draws with replacement spread by the residuals of a fit, which are too small by the runs that the fit uses
    up, one a source; and their quantiles are normal ones, where Student's t holds (at 80 %).
    """
    left = runs - sources
    if left < 1:
        return _LARGEST_FACTOR
    return float(np.sqrt(runs / left) * student.ppf(0.9, left) / norm.ppf(0.9))


def seldom(shares: FloatArray) -> IntArray:
    """Sources that stand in one or two different mixtures of runs [R, S], or in none."""
    different = np.unique(shares, axis=0)
    return np.flatnonzero((different > 0.0).sum(axis=0) <= SELDOM)


def _counts(runs: int, count: int, rng: np.random.Generator) -> FloatArray:
    """How often each run is drawn, [count, runs]; at least three different runs a draw."""
    drawn: list[IntArray] = []
    while len(drawn) < count:
        one = np.bincount(rng.integers(runs, size=runs), minlength=runs)
        if (one > 0).sum() >= min(3, runs):
            drawn.append(one)
    return np.stack(drawn).astype(np.float64)
