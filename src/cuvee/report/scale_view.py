"""``ScaleView``: what the page of a decision across scales shows, before any rendering."""

import math
from dataclasses import dataclass
from typing import Self

from cuvee.decisions.answers.answers import Answers
from cuvee.decisions.interval import Interval
from cuvee.decisions.scale.decision import ScaleDecision
from cuvee.decisions.scale.result import Checked
from cuvee.decisions.shares import largest_first
from cuvee.report.answers_view import AnswersView
from cuvee.report.badge import Badge, badge_of
from cuvee.report.title import title_of
from cuvee.report.view import MixtureRow, mixture_rows

_SHARES_OF_ROOM = 1.08


@dataclass(frozen=True)
class Line:
    """The share of one source along one method's way."""

    method: str
    points: tuple[tuple[int, Interval], ...]
    """Tokens and share."""
    chosen: bool


@dataclass(frozen=True)
class SharePanel:
    """How the best share of one source moves with scale."""

    source: str
    lines: tuple[Line, ...]
    rungs: tuple[tuple[int, Interval], ...]
    """Optima of direct data optimisation: tokens and share."""
    check_tokens: int
    """Zero where nothing was trained above the rungs."""
    target_tokens: int
    pick: float
    top: float
    """Of the share axis, the same for all sources."""


@dataclass(frozen=True)
class ScaleView:
    """A decision across scales, ordered for reading. Made by ``of``."""

    decision: ScaleDecision
    badge: Badge
    sources: tuple[str, ...]
    """Largest share first."""
    rows: tuple[MixtureRow, ...]
    panels: tuple[SharePanel, ...]
    answers: AnswersView | None
    """None where the study has no other."""
    title: str
    """What the page is called."""

    @classmethod
    def of(cls, decision: ScaleDecision, answers: Answers | None = None, folder: str = "") -> Self:
        """Order a decision, beside the other answers of its study where they are given."""
        rows = mixture_rows(decision.mixture, decision.target_tokens, decision.compared)
        sources = tuple(row.source for row in rows)
        panels, beside = _panels(decision), AnswersView.of(answers)
        title = title_of(decision.study, folder)
        return cls(decision, badge_of(decision.verdict), sources, rows, panels, beside, title)

    def ordered(self, shares: tuple[float, ...]) -> tuple[float, ...]:
        """Shares in the order of the mixture table."""
        by_source = dict(zip(self.decision.sources, shares, strict=True))
        return tuple(by_source[name] for name in self.sources)

    def against_uniform(self, row: Checked) -> Interval:
        """How many times fewer tokens a mixture needed; unknown for equal shares themselves."""
        return row.speedup.get("uniform", Interval())


def _panels(decision: ScaleDecision) -> tuple[SharePanel, ...]:
    methods = list(dict.fromkeys(point.method for point in decision.path))
    known = [share for point in decision.path for share in point.shares]
    known += [share for row in decision.rungs for share in row.optimum]
    highest = max(
        [entry.share for entry in decision.mixture]
        + [v for share in known for v in (share.mean, share.high) if math.isfinite(v)]
    )
    return tuple(
        SharePanel(
            decision.sources[i],
            tuple(
                Line(
                    method,
                    tuple((p.tokens, p.shares[i]) for p in decision.path if p.method == method),
                    method == decision.method,
                )
                for method in methods
            ),
            tuple((row.tokens, row.optimum[i]) for row in decision.rungs),
            decision.check_tokens,
            decision.target_tokens,
            decision.mixture[i].share,
            min(1.0, _SHARES_OF_ROOM * highest),
        )
        for i in largest_first(decision.mixture)
    )
