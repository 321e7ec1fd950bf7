"""The answers of one study on its pages: whole, escaped, and as they are now."""

import json
from dataclasses import replace
from pathlib import Path

from cuvee.cli.report import write
from cuvee.decisions.answers.answers import sentences
from cuvee.report.answers_view import AnswersView
from cuvee.report.html import render_scale_html, render_search_html
from cuvee.report.scale_view import ScaleView
from cuvee.report.search_view import SearchView
from cuvee.study.answers import read_answers
from tests.flows.scale.scale_cases import ladder
from tests.flows.search.search_cases import searched
from tests.report.test_reports import outline

HOSTILE = '<b>"&'


def test_pages_show_the_other_answers_of_the_day_on_which_they_are_written(tmp_path: Path) -> None:
    first = write(searched((0.1, 0.4, 0.3, 0.2)), tmp_path)[0].read_text(encoding="utf-8")
    assert "Other answers" not in first
    climbed = ladder().judged()
    page = write(climbed, tmp_path)[0].read_text(encoding="utf-8")
    again = write(searched((0.1, 0.4, 0.3, 0.2)), tmp_path)[0].read_text(encoding="utf-8")
    said = sentences(read_answers(tmp_path))
    assert len(said) == 1 and said[0].startswith(
        "cuvee search and cuvee scale disagree on code, 10% (6% to 14%)"
    )
    for text in (page, again):
        assert 'href="#answers"' in text and 'id="answers"' in text
        words = " ".join(outline(text).texts)
        for part in (*said, "cuvee search", "Confirmed by training", "Not checked", "600k tokens"):
            assert part in words
    assert page == render_scale_html(ScaleView.of(climbed, read_answers(tmp_path)))


def test_names_are_escaped_and_missing_sources_leave_a_dash(tmp_path: Path) -> None:
    search = searched()
    renamed = tuple(
        replace(entry, source=f"{entry.source} {HOSTILE}" if place else entry.source)
        for place, entry in enumerate(search.mixture)
    )
    (tmp_path / "search.json").write_text(json.dumps(replace(search, mixture=renamed).as_json()))
    answers = read_answers(tmp_path, ladder().judged())
    view = AnswersView.of(answers)
    assert view is not None and len(view.rows) == 7
    page = render_search_html(SearchView.of(search, answers))
    assert HOSTILE not in page and "&lt;b&gt;" in page
    assert not outline(page).open
    section = page[page.index('<section id="answers">') :]
    assert section[: section.index("</section>")].count("–") == 6


def test_a_page_alone_has_no_such_section() -> None:
    scale = render_scale_html(ScaleView.of(ladder().judged()))
    for page in (scale, render_search_html(SearchView.of(searched()))):
        assert "#answers" not in page and "Other answers" not in page
