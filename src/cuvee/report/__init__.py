"""A decision shown: ``StudyView`` and its renderings as one HTML page, Markdown, JSON and a printout."""

from cuvee.report.html import render_html
from cuvee.report.markdown import render_markdown
from cuvee.report.reports import REPORTS, printout_of, write_reports
from cuvee.report.view import StudyView

__all__ = ["REPORTS", "StudyView", "printout_of", "render_html", "render_markdown", "write_reports"]
