"""The table of reports and their writing to a study's folder (floor 8)."""

import json
from collections.abc import Callable
from pathlib import Path

from cuvee.files import write_text
from cuvee.report.fit_view import FitView
from cuvee.report.html import render_fit_html, render_html
from cuvee.report.markdown import render_markdown
from cuvee.report.view import StudyView
from cuvee.study.law_decision import LawDecision


def render_json(view: StudyView) -> str:
    """``Decision.as_json`` as indented text; the order of keys is that of the fields."""
    return json.dumps(view.decision.as_json(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


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


def write_reports(view: StudyView, folder: Path) -> tuple[Path, ...]:
    """Write every report into ``folder``, each atomically; the paths written."""
    paths = []
    for name, render in REPORTS.items():
        write_text(folder / name, render(view))
        paths.append(folder / name)
    return tuple(paths)
