"""Reach: axes of scale along which the runs have hardly moved, and the prior beyond them.

    law(p; N, D) = law(p; N, D0) + lambda (m(p) - m(u)) + level,     m(p) = what the law would move by to D
    lambda ~ N(0, 0.3^2),   level ~ N(0, (4 decades from N0)^2 + (4 decades from D0)^2)

A law fitted at D0 tokens knows each source's power in tokens by how its share counts, and carried to other
tokens would order mixtures anew by that alone. So it is fitted to the runs at D0, the tokens of most, and
held there until half as many have others. How far its own move is right is one number a metric, lambda, which
the runs at other tokens show. u are equal shares: what they move by is level, the same for all mixtures. A
decade may move it by several spreads of the runs, and so may a decade of parameters where all have N0.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cuvee.laws.axes import SAME, SPANNED, Axes
from cuvee.laws.hierarchical import HierarchicalFit
from cuvee.laws.interface import Scale
from cuvee.search.space import Fidelity
from cuvee.types import BoolArray, FloatArray

LEAST_TRAINED = 4
"""Fewer runs carry no law."""

_SAME = math.log10(SAME)
_PART = 0.5  # of the runs at D0, that must have other tokens
_TRUST = 0.3  # deviation of lambda
_LEVEL = 4.0  # spreads a decade


@dataclass(frozen=True)
class Reach:
    """What the runs of a law say of the axes of scale. Made by ``of``."""

    axes: Axes = SPANNED
    """N0 and D0; NaN where runs enough have moved along the axis, or nothing lies beyond them."""

    @classmethod
    def of(cls, fidelities: Sequence[Fidelity], everywhere: Sequence[Fidelity]) -> "Reach":
        """Of runs by their fidelities, and of all fidelities at which anything is asked."""
        params = _stands([one.params for one in fidelities], [one.params for one in everywhere], 0.0)
        tokens = _stands([one.tokens for one in fidelities], [one.tokens for one in everywhere], _PART)
        here = cls(Axes(params, tokens))
        return here if here.at(fidelities).sum() >= LEAST_TRAINED else here.let_in()

    def let_in(self) -> "Reach":
        """The same with the law moving along the tokens."""
        return Reach(Axes(self.axes.params))

    def at(self, fidelities: Sequence[Fidelity]) -> BoolArray:
        """Which runs have the tokens D0; all of them where there is none."""
        apart: BoolArray = _apart(np.array([one.tokens for one in fidelities]), self.axes.tokens) > _SAME
        return ~apart

    def said_of(self, fidelity: Fidelity) -> str:
        """What to know of mixtures at a fidelity beyond the runs, in a sentence; else empty."""
        if not self.axes.beyond(Scale(fidelity.params, fidelity.tokens)):
            return ""
        return (
            f"Most runs have {self.axes.in_words}: beyond that shares are taken to count as they do there, "
            "and intervals hold how far that may be wrong."
        )

    def beyond(self, law: HierarchicalFit, shares: FloatArray, scale: Scale) -> FloatArray:
        """Features [E, n, K] of mixtures, in deviations of what the runs leave open of a scale."""
        metrics, count = len(law.metrics), len(shares)
        found = [
            np.broadcast_to(_LEVEL * np.log10(np.asarray(sizes) / known), (metrics, count))
            for sizes, known in ((scale.params, self.axes.params), (scale.tokens, self.axes.tokens))
            if not math.isnan(known)
        ]
        if not math.isnan(self.axes.tokens):
            even = np.full_like(shares, 1.0 / shares.shape[1])
            moved = law.held_back(shares, scale) - law.held_back(even, scale)
            found.append(_TRUST * (moved / law.spread).T)
        return np.stack(found, axis=2) if found else np.zeros((metrics, count, 0))


EVERYWHERE = Reach()
"""The runs span all axes."""


def _stands(sizes: Sequence[float], everywhere: Sequence[float], part: float) -> float:
    """The size of most runs, of equally many the largest; NaN where other runs are more than that part."""
    runs = np.array(sizes)
    alike = (_apart(runs[:, None], runs[None]) <= _SAME).sum(axis=1)
    most, others = float(runs[alike == alike.max()].max()), len(runs) - int(alike.max())
    spanned = others > 0 and others >= part * alike.max()
    return math.nan if spanned or (_apart(np.array(everywhere), most) <= _SAME).all() else most


def _apart(sizes: FloatArray, known: FloatArray | float) -> FloatArray:
    """In decades; NaN where nothing is known."""
    result: FloatArray = np.abs(np.log10(sizes / known))
    return result
