"""``TrialView``: what the page of the smallest flow shows, and its files."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self

from cuvee.report.badge import Badge, badge_of
from cuvee.report.html import render_page
from cuvee.report.mixture_printout import mixture_grid
from cuvee.report.printout import Printout, first_lines
from cuvee.report.reports import Beside, Reports, render_json
from cuvee.report.view import MixtureRow, mixture_rows
from tests.house.smallest_flow.decision import TrialDecision

PAGE = Path(__file__).with_name("page.html.j2").read_text(encoding="utf-8")


@dataclass(frozen=True)
class TrialView:
    """A decision ordered for reading. Made by ``of``."""

    decision: TrialDecision
    badge: Badge
    rows: tuple[MixtureRow, ...]

    @classmethod
    def of(cls, decision: TrialDecision, beside: Beside) -> Self:
        """The mixture, largest share first."""
        return cls(decision, badge_of(decision.verdict), mixture_rows(decision.mixture, decision.tokens))


def printout(view: TrialView) -> Printout:
    """What a terminal shows."""
    decision = view.decision
    return (*first_lines(decision.headline, decision.verdict), mixture_grid("Mixture", view.rows, 0.95))


REPORTS = Reports(
    TrialView.of,
    "trial.html",
    {"trial.json": render_json, "trial.html": partial(render_page, PAGE)},
    printout,
)
