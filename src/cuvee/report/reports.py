"""The table of reports and their writing to a study's folder (floor 8)."""

import json
from collections.abc import Callable
from pathlib import Path

from cuvee.files import write_text
from cuvee.report.fit_view import FitView
from cuvee.report.html import render_fit_html, render_html, render_scale_html
from cuvee.report.markdown import render_markdown
from cuvee.report.scale_view import ScaleView
from cuvee.report.view import StudyView
from cuvee.study.law_decision import LawDecision
from cuvee.study.scale.decision import ScaleDecision
from cuvee.types import Json


def render_json(view: StudyView) -> str:
    """``Decision.as_json`` as indented text; the order of keys is that of the fields."""
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
    view = ScaleView.of(decision)
    for name, render in SCALE_REPORTS.items():
        write_text(folder / name, render(view))
    return folder / name


def write_reports(view: StudyView, folder: Path) -> tuple[Path, ...]:
    """Write every report into ``folder``, each atomically; the paths written."""
    paths = []
    for name, render in REPORTS.items():
        write_text(folder / name, render(view))
        paths.append(folder / name)
    return tuple(paths)


def _indented(document: Json) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
