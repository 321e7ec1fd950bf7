"""Axes of scale that no run has moved along, and formulas that are held there.

A law of scale counts each source with a power in tokens of its own. Where all runs have the same tokens
nothing is known of these powers but how they bend a share's effect, and carried to other tokens they order
mixtures anew by that assumption alone. So a formula is held at the parameters or tokens that all its runs
have, whatever scale it is asked for. How far it would have moved from there belongs into intervals.
"""

import math
from dataclasses import dataclass, replace
from typing import Protocol, Self, TypeVar, runtime_checkable

import numpy as np

from cuvee.laws.formula import FittedFormula, Formula
from cuvee.laws.interface import FittedLaw, Scale
from cuvee.quantities import size
from cuvee.types import FloatArray, Json

SAME = 1.05
"""Sizes within this factor are one: rounding to whole steps moves no run along an axis."""

Fitted = TypeVar("Fitted", bound=FittedFormula)


@dataclass(frozen=True)
class Axes:
    """Where all runs stand on the axes that they do not span."""

    params: float = math.nan
    """NaN where they span it, or where it is unknown."""
    tokens: float = math.nan

    @classmethod
    def of(cls, scale: Scale) -> Self:
        """Of runs."""
        return cls(_one(scale.params), _one(scale.tokens))

    def held(self, scale: Scale) -> Scale:
        """A scale with these sizes in place of what is asked for; sources are repeated as often as there."""
        params = scale.params if math.isnan(self.params) else self.params
        if math.isnan(self.tokens):
            return Scale(params, scale.tokens, scale.unique)
        unique = scale.unique
        if unique is not None:
            times = self.tokens / np.asarray(scale.tokens, dtype=np.float64)
            unique = unique * np.where(np.isfinite(times), times, 1.0)[..., None]
        return Scale(params, self.tokens, unique)

    def beyond(self, scale: Scale) -> bool:
        """Whether a scale lies off these sizes anywhere."""
        asked = ((scale.params, self.params), (scale.tokens, self.tokens))
        return any(bool((_factor(size, known) > SAME).any()) for size, known in asked)

    @property
    def any(self) -> bool:
        """There is an axis that is not spanned."""
        return not (math.isnan(self.params) and math.isnan(self.tokens))

    @property
    def in_formula(self) -> str:
        """What stands behind the formula of a law; nothing where all axes are spanned."""
        sizes = (("N", self.params), ("D", self.tokens))
        known = ", ".join(f"{name} = {value:.17g}" for name, value in sizes if not math.isnan(value))
        return f"; whatever is asked, {known}, as in all runs" if known else ""

    @property
    def in_words(self) -> str:
        """Of runs that have them."""
        known = ((self.params, "parameters"), (self.tokens, "tokens"))
        return " and ".join(f"{size(value)} {unit}" for value, unit in known if not math.isnan(value))


SPANNED = Axes()
"""Nothing is held."""


def _one(sizes: FloatArray | float) -> float:
    known = np.unique(np.asarray(sizes, dtype=np.float64))
    if not (np.isfinite(known).all() and (known > 0).all()) or known[-1] > SAME * known[0]:
        return math.nan
    return float(known[0] if len(known) == 1 else np.exp(np.log(np.asarray(sizes)).mean()))


def _factor(sizes: FloatArray | float, known: float) -> FloatArray:
    """From known ones; one where either is not known."""
    with np.errstate(invalid="ignore", divide="ignore"):
        away: FloatArray = np.abs(np.log(np.asarray(sizes, dtype=np.float64) / known))
    result: FloatArray = np.exp(np.nan_to_num(away, nan=0.0))
    return result


@dataclass(frozen=True)
class HeldFormula:
    """A formula at the sizes that all runs have, whatever is asked."""

    free: Formula
    axes: Axes

    @property
    def law(self) -> str:
        """See ``Formula.law``."""
        return self.free.law

    @property
    def text(self) -> str:
        """See ``Formula.text``; with where it is held."""
        return self.free.text + self.axes.in_formula

    @property
    def convex(self) -> bool:
        """See ``Formula.convex``."""
        return self.free.convex

    def names(self, sources: int) -> tuple[str, ...]:
        """See ``Formula.names``."""
        return self.free.names(sources)

    def values(self, theta: FloatArray, shares: FloatArray, scale: Scale) -> FloatArray:
        """See ``Formula.values``."""
        return self.free.values(theta, shares, self.axes.held(scale))

    def jacobian(self, theta: FloatArray, shares: FloatArray, scale: Scale) -> tuple[FloatArray, FloatArray]:
        """See ``Formula.jacobian``."""
        return self.free.jacobian(theta, shares, self.axes.held(scale))

    def slopes(self, theta: FloatArray, shares: FloatArray, scale: Scale) -> FloatArray:
        """See ``Formula.slopes``."""
        return self.free.slopes(theta, shares, self.axes.held(scale))

    def natural(self, theta: FloatArray, shift: float, scale: float, sources: int) -> Json:
        """See ``Formula.natural``."""
        return self.free.natural(theta, shift, scale, sources)

    def held_back(self, theta: FloatArray, shares: FloatArray, scale: Scale) -> FloatArray:
        """See ``Holding.held_back``."""
        if not self.axes.beyond(scale):
            return np.zeros((len(theta), len(shares)))
        return self.free.values(theta, shares, scale) - self.values(theta, shares, scale)


@runtime_checkable
class Holdable(Protocol):
    """A fit that is no formula of one metric, and holds its axes itself."""

    @property
    def axes(self) -> Axes:
        """Where it is held."""
        ...

    def held(self, axes: Axes) -> FittedLaw:
        """The same law, held there."""
        ...


def held(fitted: Fitted, axes: Axes) -> Fitted:
    """A fit that stays where its runs are, on the axes that they do not span; elsewhere it moves."""
    formula = free(fitted.formula)
    if axes.any:
        formula = HeldFormula(formula, axes)
    return fitted if formula is fitted.formula else replace(fitted, formula=formula)


def held_like(fitted: FittedLaw, other: FittedLaw) -> FittedLaw:
    """A fit of the same law that is held where another is: what that one is asked can then be seen of it."""
    if isinstance(fitted, FittedFormula) and isinstance(other, FittedFormula):
        return held(fitted, other.formula.axes if isinstance(other.formula, HeldFormula) else SPANNED)
    return fitted.held(other.axes) if isinstance(fitted, Holdable) and isinstance(other, Holdable) else fitted


def free(formula: Formula) -> Formula:
    """The formula that is held, or the same."""
    return formula.free if isinstance(formula, HeldFormula) else formula
