"""A decision shown: ``StudyView`` and its renderings as one HTML page, Markdown and JSON."""

from cuvee.report.html import render_html
from cuvee.report.markdown import render_markdown
from cuvee.report.reports import REPORTS, write_reports
from cuvee.report.view import StudyView

__all__ = ["REPORTS", "StudyView", "render_html", "render_markdown", "write_reports"]
