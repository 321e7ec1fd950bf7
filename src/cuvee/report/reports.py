"""The table of reports and their writing to a study's folder (floor 8)."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from cuvee.decisions.fit.decision import LawDecision
from cuvee.decisions.scale.decision import ScaleDecision
from cuvee.decisions.search.decision import SearchDecision
from cuvee.decisions.simulate.decision import Simulation
from cuvee.files import write_text
from cuvee.invisible import spelt_out
from cuvee.report.fit_view import FitView
from cuvee.report.html import (
    render_fit_html,
    render_html,
    render_scale_html,
    render_search_html,
    render_simulation_html,
)
from cuvee.report.markdown import render_markdown
from cuvee.report.scale_view import ScaleView
from cuvee.report.search_view import SearchView
from cuvee.report.simulate_view import SimulateView
from cuvee.report.view import StudyView
from cuvee.seal import sealed
from cuvee.study.answers import read_answers
from cuvee.types import Json

View = TypeVar("View")


def render_json(view: StudyView) -> str:
    """``Decision.as_json`` with its digest as indented text; the order of keys is that of the fields."""
    return _indented(view.decision.as_json())


REPORTS: dict[str, Callable[[StudyView], str]] = {
    "report.html": render_html,
    "report.md": render_markdown,
    "decision.json": render_json,
}
"""File name in a study's folder -> what renders it."""


FIT_REPORT = "report.html"
"""The page in the folder of a fit."""


def write_fit_report(decision: LawDecision, folder: Path) -> Path:
    """Write the page of a decision by laws into ``folder``, atomically."""
    write_text(folder / FIT_REPORT, render_fit_html(FitView.of(decision)))
    return folder / FIT_REPORT


SCALE_REPORTS: dict[str, Callable[[ScaleView], str]] = {
    "scale.json": lambda view: _indented(view.decision.as_json()),
    "scale.html": render_scale_html,
}
"""The same for a decision across scales; the page last."""


def write_scale_reports(decision: ScaleDecision, folder: Path) -> Path:
    """Write every report of a decision across scales into ``folder``, each atomically; the page's path."""
    view = ScaleView.of(decision, read_answers(folder, decision))
    return _written(SCALE_REPORTS, view, folder)[-1]


SEARCH_REPORTS: dict[str, Callable[[SearchView], str]] = {
    "search.json": lambda view: _indented(view.decision.as_json()),
    "search.html": render_search_html,
}
"""The same for a decision by search."""


def write_search_reports(decision: SearchDecision, folder: Path) -> Path:
    """Write every report of a decision by search into ``folder``, each atomically; the page's path."""
    view = SearchView.of(decision, read_answers(folder, decision))
    return _written(SEARCH_REPORTS, view, folder)[-1]


SIMULATION_REPORTS: dict[str, Callable[[SimulateView], str]] = {
    "simulation.json": lambda view: _indented(view.decision.as_json()),
    "simulation.html": render_simulation_html,
}
"""The same for a simulation; the page last."""


def write_simulation_reports(simulation: Simulation, folder: Path) -> Path:
    """Write every report of a simulation into ``folder``, each atomically; the page's path."""
    return _written(SIMULATION_REPORTS, SimulateView.of(simulation), folder)[-1]


def write_reports(view: StudyView, folder: Path) -> tuple[Path, ...]:
    """Write every report into ``folder``, each atomically; the paths written."""
    return _written(REPORTS, view, folder)


def _written(reports: Mapping[str, Callable[[View], str]], view: View, folder: Path) -> tuple[Path, ...]:
    paths = tuple(folder / name for name in reports)
    for path, render in zip(paths, reports.values(), strict=True):
        write_text(path, render(view))
    return paths


def _indented(document: Json) -> str:
    return spelt_out(json.dumps(sealed(document), indent=2, ensure_ascii=False, allow_nan=False) + "\n")
