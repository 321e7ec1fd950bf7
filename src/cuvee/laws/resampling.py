"""The laws that other draws of the runs would have given (floor 4).

Runs are drawn with replacement as often as there are runs (Efron 1979), and the law is fitted to each draw.
What differs between them is what the runs leave open. A law can be wrong in ways that resampling does not
see; held-out residuals do, so the resampled parameters are moved away from the fitted ones by the factor by
which held-out errors exceed what the law believes (``Spread.factor``), where that is above one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cuvee.laws.hierarchical import HierarchicalFit
from cuvee.laws.interface import UNKNOWN_SCALE, FittedLaw, Law, LawData, Refittable, Scale
from cuvee.types import FloatArray, IntArray

_LARGEST_FACTOR = 4.0


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
        factor: Sequence[float] | FloatArray = (),
    ) -> "Resamples":
        """Fit ``law`` to ``count`` draws of the runs.

        Args:
            law: what is fitted.
            fitted: its fit to all runs, where each fit begins.
            data: the runs.
            count: of draws.
            rng: draws them.
            factor: for each metric [E] how far parameters are moved beyond what resampling says; only for
                laws whose parameters are at hand.

        Cost: ``count`` short fits.
        """
        drawn = _counts(len(data), count, rng)
        if isinstance(fitted, HierarchicalFit):
            stretch = np.clip(np.asarray(factor, dtype=np.float64), 1.0, _LARGEST_FACTOR)
            theta = fitted.resampled(data, drawn)
            if stretch.size:
                theta = fitted.theta + stretch[:, None] * (theta - fitted.theta)
            return cls(tuple(fitted.with_parameters(one) for one in theta))
        laws = []
        for one in drawn:
            rows = np.repeat(np.arange(len(data)), one.astype(np.int64))
            part = data.select(rows)
            laws.append(law.refit(part, fitted) if isinstance(law, Refittable) else law.fit(part))
        return cls(tuple(laws))

    def predict(self, shares: FloatArray, scale: Scale = UNKNOWN_SCALE) -> FloatArray:
        """Costs [K, M, E] of mixtures [M, S] under every resample."""
        return np.stack([law.predict(shares, scale) for law in self.laws])


def _counts(runs: int, count: int, rng: np.random.Generator) -> FloatArray:
    """How often each run is drawn, [count, runs]; at least three different runs a draw."""
    drawn: list[IntArray] = []
    while len(drawn) < count:
        one = np.bincount(rng.integers(runs, size=runs), minlength=runs)
        if (one > 0).sum() >= min(3, runs):
            drawn.append(one)
    return np.stack(drawn).astype(np.float64)
