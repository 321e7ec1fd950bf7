"""The table of reports: which files show a decision, what a terminal shows of it, and how they are made."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cuvee.decisions.ablation.decision import Decision
from cuvee.decisions.answers.answers import Answers
from cuvee.decisions.document import JsonDocument
from cuvee.decisions.fit.decision import LawDecision
from cuvee.decisions.read_shares import ReadShares
from cuvee.decisions.scale.decision import ScaleDecision
from cuvee.decisions.search.decision import SearchDecision
from cuvee.decisions.simulate.decision import Simulation
from cuvee.decisions.value.decision import Valuation
from cuvee.execution.tariff import CORES, Tariff
from cuvee.files import write_text
from cuvee.invisible import spelt_out
from cuvee.report.fit_printout import fit_printout
from cuvee.report.fit_view import FitView
from cuvee.report.html import (
    render_fit_html,
    render_html,
    render_scale_html,
    render_search_html,
    render_simulation_html,
    render_value_html,
)
from cuvee.report.markdown import render_markdown
from cuvee.report.printout import Printout
from cuvee.report.scale_printout import scale_printout
from cuvee.report.scale_view import ScaleView
from cuvee.report.search_printout import search_printout
from cuvee.report.search_view import SearchView
from cuvee.report.simulate_printout import simulate_printout
from cuvee.report.simulate_view import SimulateView
from cuvee.report.study_printout import study_printout
from cuvee.report.value_printout import value_printout
from cuvee.report.value_view import ValueView
from cuvee.report.view import Observed, StudyView
from cuvee.seal import sealed
from cuvee.types import Json


@dataclass(frozen=True)
class Beside:
    """What a report may show besides its decision."""

    answers: Answers | None = None
    """All that the study has."""
    observations: Callable[[], Observed | None] = lambda: None
    """Reads the runs behind it, which only one kind of decision counts."""
    seconds: Mapping[str, float] = field(default_factory=dict)
    """Method -> seconds for each experiment, which a simulation took and does not hold."""
    tariff: Tariff = CORES
    """What computed it, and the price of an hour."""
    read: ReadShares | None = None
    """What trainings of the study read of each source."""
    folder: str = ""
    """Name of the folder of the study, by which one without a name is called."""


NOTHING = Beside()
"""Of a decision that is shown alone."""


@dataclass(frozen=True)
class Reports:
    """What shows one kind of decision."""

    view: Callable[[Any, Beside], Any]
    """Orders a decision for display."""
    page: str
    """Name of the file to look at, one of ``files``."""
    files: Mapping[str, Callable[[Any], str]]
    """File name -> what renders the view."""
    printout: Callable[[Any], Printout]
    """Renders the view for a terminal."""

    def write(self, decision: JsonDocument, folder: Path, beside: Beside = NOTHING) -> tuple[Path, ...]:
        """Write every file into a folder, each atomically; the paths, that of the page first."""
        view = self.view(decision, beside)
        for name, render in self.files.items():
            write_text(folder / name, render(view))
        others = (name for name in self.files if name != self.page)
        return tuple(folder / name for name in (self.page, *others))


def render_json(view: Any) -> str:
    """The JSON of the decision in a view with its digest, indented, keys in the order of the fields."""
    return _indented(view.decision.as_json())


REPORTS: Mapping[type[JsonDocument], Reports] = {
    Decision: Reports(
        lambda decision, beside: StudyView.of(
            decision,
            beside.observations(),
            beside.answers,
            beside.tariff,
            beside.read,
            beside.folder,
        ),
        "report.html",
        {"report.html": render_html, "report.md": render_markdown, "decision.json": render_json},
        study_printout,
    ),
    LawDecision: Reports(
        lambda decision, beside: FitView.of(decision),
        "report.html",
        {"report.html": render_fit_html},
        fit_printout,
    ),
    ScaleDecision: Reports(
        lambda decision, beside: ScaleView.of(decision, beside.answers, beside.folder),
        "scale.html",
        {"scale.json": render_json, "scale.html": render_scale_html},
        scale_printout,
    ),
    SearchDecision: Reports(
        lambda decision, beside: SearchView.of(decision, beside.answers, beside.folder),
        "search.html",
        {"search.json": render_json, "search.html": render_search_html},
        search_printout,
    ),
    Valuation: Reports(
        lambda decision, beside: ValueView.of(decision, beside.folder),
        "value.html",
        {"value.json": render_json, "value.html": render_value_html},
        value_printout,
    ),
    Simulation: Reports(
        lambda decision, beside: SimulateView.of(decision, beside.seconds),
        "simulation.html",
        {"simulation.json": render_json, "simulation.html": render_simulation_html},
        simulate_printout,
    ),
}
"""A row for every kind of decision. ``fit.json`` is written with the runs that it can be asked of again."""


def write_reports(decision: JsonDocument, folder: Path, beside: Beside = NOTHING) -> tuple[Path, ...]:
    """Write every report of a decision into a folder, each atomically.

    Args:
        decision: of a kind in ``REPORTS``.
        folder: that is there.
        beside: what is shown with it.

    Returns:
        The paths written, that of the page first.
    """
    return REPORTS[type(decision)].write(decision, folder, beside)


def printout_of(decision: JsonDocument, beside: Beside = NOTHING) -> Printout:
    """What a terminal shows of a decision.

    Args:
        decision: of a kind in ``REPORTS``.
        beside: what is shown with it.
    """
    reports = REPORTS[type(decision)]
    return reports.printout(reports.view(decision, beside))


def _indented(document: Json) -> str:
    return spelt_out(json.dumps(sealed(document), indent=2, ensure_ascii=False, allow_nan=False) + "\n")
