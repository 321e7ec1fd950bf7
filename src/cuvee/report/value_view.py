"""``ValueView``: what the page of a valuation shows, before any rendering."""

import math
from dataclasses import dataclass
from typing import Self

from cuvee.decisions.value.decision import Valuation
from cuvee.decisions.value.result import SelectionArm, Valued, ValuedSource
from cuvee.precision import Precision
from cuvee.report.badge import Badge, badge_of
from cuvee.report.title import title_of
from cuvee.report.view import MixtureRow, mixture_rows
from cuvee.report.wording import Words


@dataclass(frozen=True)
class SourceLine:
    """A source under one method: where its value lies between the ends of all sources."""

    row: ValuedSource
    low: float
    """In [0, 1], as the others."""
    mean: float
    high: float

    @property
    def sure(self) -> bool:
        """There is an interval: not where all its documents share one value."""
        return self.row.value.high > self.row.value.low


@dataclass(frozen=True)
class ValueView:
    """A valuation ordered for reading. Made by ``of``."""

    decision: Valuation
    badge: Badge
    rows: tuple[MixtureRow, ...]
    """Of the prior mixture, largest share first."""
    sources: tuple[str, ...]
    """Largest share first."""
    ran: tuple[Valued, ...]
    not_run: tuple[Valued, ...]
    title: str
    """What the page is called."""

    @classmethod
    def of(cls, decision: Valuation, folder: str = "") -> Self:
        """Order a valuation."""
        rows = mixture_rows(decision.mixture, 0)
        return cls(
            decision,
            badge_of(decision.verdict),
            rows,
            tuple(row.source for row in rows),
            tuple(one for one in decision.methods if not one.not_run),
            tuple(one for one in decision.methods if one.not_run),
            title_of(decision.study, folder),
        )

    def lines(self, method: Valued) -> tuple[SourceLine, ...]:
        """Sources of one method, the highest value first; those without a value last."""
        known = [one for one in method.sources if math.isfinite(one.value.mean)]
        ends = [
            v for one in known for v in (one.value.low, one.value.mean, one.value.high) if math.isfinite(v)
        ]
        low, span = (min(ends), max(ends) - min(ends)) if ends else (0.0, 0.0)

        def place(value: float) -> float:
            return min(1.0, max(0.0, (value - low) / span)) if span and math.isfinite(value) else math.nan

        ordered = sorted(known, key=lambda one: -one.value.mean)
        rest = [one for one in method.sources if not math.isfinite(one.value.mean)]
        return tuple(
            SourceLine(one, place(one.value.low), place(one.value.mean), place(one.value.high))
            for one in (*ordered, *rest)
        )

    def precision(self, method: Valued) -> Precision:
        """The digits that count among the values of one method."""
        values = [one.value for one in method.sources]
        return Precision.of((one.mean for one in values), (one.high - one.low for one in values))

    def words(self, method: Valued) -> Words:
        """The same for a page."""
        return Words(self.precision(method))

    def rank(self, one: str, other: str) -> float:
        """How two methods agree; one with itself is 1."""
        if one == other:
            return 1.0
        pairs = {frozenset((row.one, row.other)): row.rank for row in self.decision.agreement}
        return pairs[frozenset((one, other))]

    def mean(self, losses: tuple[float, ...]) -> float:
        """Of trainings; NaN where there are none."""
        return sum(losses) / len(losses) if losses else math.nan

    def arms(self) -> tuple[SelectionArm, ...]:
        """Of the trainings, lowest loss first."""
        return self.decision.retraining.arms if self.decision.retraining else ()
