"""Whole reports: gold files, escaping, missing numbers, size, and no request to anywhere."""

import dataclasses
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from cuvee.decisions.ablation.decision import Decision
from cuvee.report import REPORTS, StudyView, render_html, render_markdown, write_reports
from cuvee.report.markdown import escape
from tests.report.cases import checked, hostile, large, once_each, small
from tests.report.gold import assert_gold

CASES = {"two_sources": small(), "every_section": large(3, 2, 3, 5), "hostile": hostile(), "large": large()}
ALL = pytest.mark.parametrize("decision", CASES.values(), ids=CASES.keys())


class Outline(HTMLParser):
    """Start tags, text outside scripts and styles, and tags left open."""

    VOID = frozenset({"meta", "link", "br", "wbr", "input"})
    OPTIONAL = frozenset({"td", "tr"})

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        while self.open[-1] != tag and self.open[-1] in self.OPTIONAL:
            self.open.pop()
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in ("script", "style"):
            self.texts.append(data)


def outline(page: str) -> Outline:
    parser = Outline()
    parser.feed(page)
    parser.close()
    return parser


@pytest.mark.parametrize("name", ["two_sources", "every_section"])
def test_gold(name: str) -> None:
    view = StudyView.of(CASES[name])
    assert_gold(f"{name}.html", render_html(view))
    assert_gold(f"{name}.md", render_markdown(view))


@ALL
def test_the_page_is_well_formed_small_and_repeatable(decision: Decision) -> None:
    page = render_html(StudyView.of(decision))
    assert outline(page).open == []
    assert len(page.encode()) < 303_000
    assert render_html(StudyView.of(decision)) == page
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(ids)


@ALL
def test_the_page_asks_nobody(decision: Decision) -> None:
    page = render_html(StudyView.of(decision))
    parsed = outline(page)
    for tag, attributes in parsed.tags:
        assert tag not in {"img", "iframe", "object", "embed", "base", "form"}
        for name, value in attributes.items():
            assert not name.startswith("on")
            if name in {"src", "href", "action", "xlink:href"}:
                assert value is not None
                assert value.startswith("#") or value == "data:,"
    own = re.sub(r"http://example\.org/x", "", page)  # a source's name, shown as text
    assert "://" not in own
    assert "@import" not in page
    assert not re.search(r"url\((?!#)", page)


@ALL
def test_no_number_is_missing_by_accident(decision: Decision) -> None:
    words = " ".join(outline(render_html(StudyView.of(decision))).texts)
    assert not re.search(r"\bnan\b|\binf\b|\bNone\b|Undefined", words)
    assert not re.search(r"\bnan\b|\bNone\b", render_markdown(StudyView.of(decision)))


@ALL
def test_drawings_have_names_and_finite_coordinates(decision: Decision) -> None:
    page = render_html(StudyView.of(decision))
    for drawing in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        assert (
            'aria-hidden="true"' in drawing
            or "<title>" in drawing
            or "aria-label=" in drawing
            or ('role="presentation"' in drawing)
        )
        assert not re.search(r'="-?(nan|inf)', drawing)


def test_markup_in_names_is_shown_not_run() -> None:
    page = render_html(StudyView.of(hostile()))
    assert [tag for tag, _ in outline(page).tags].count("script") == 1
    assert "<script>alert" not in page
    assert page.count("</style>") == 1
    assert '<script>alert("x")</script>' in " ".join(outline(page).texts)


def test_markdown_shows_names_literally() -> None:
    text = render_markdown(StudyView.of(hostile()))
    body = text.split("## Provenance")[0]
    assert "<script>" not in body
    assert "a\\|b \\`c\\` " in body
    for table in re.findall(r"(?:^\|.*\n?)+", body, re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()}) == 1
    assert "````\ncuvee ablate '```' </style>" in text
    assert escape("a_b\nc<d>") == "a\\_b c&lt;d&gt;"


def test_the_verdict_is_in_words() -> None:
    assert "<b>Not checked</b>" in render_html(StudyView.of(small()))
    assert "**Not checked.**" in render_markdown(StudyView.of(small()))
    assert "<b>Confirmed by training</b>" in render_html(StudyView.of(checked()))
    assert "**Confirmed by training.**" in render_markdown(StudyView.of(checked()))


def test_the_check_is_shown_with_what_was_predicted_before() -> None:
    page = render_html(StudyView.of(checked()))
    (section,) = re.findall(r'<section id="check">.*?</section>', page, re.DOTALL)
    shown = re.sub(r"<[^>]*>", " ", section)
    for text in ("4.0400", "4.1000", "4.1100", "−0.0600", "−0.0700", "−0.0400", "2.00M tokens", "Seed 2"):
        assert text in shown, text
    assert "nan" not in shown
    assert 'id="check"' not in render_html(StudyView.of(small()))


def test_one_training_each_is_said_to_tell_no_noise() -> None:
    once = dataclasses.replace(checked(), check=once_each())
    for text in (render_html(StudyView.of(once)), render_markdown(StudyView.of(once))):
        assert "1 fresh training each" in text
        assert "how much one training varies is not known: none was repeated" in text
        assert "1 times" not in text


def test_a_large_pool_is_drawn_instead_of_tabled() -> None:
    page = render_html(StudyView.of(large(6, 3, 60, 5)))
    assert 'class="mosaic"' in page
    assert len(page.encode()) < 150_000


def test_every_report_is_written(tmp_path: Path) -> None:
    view = StudyView.of(small())
    paths = write_reports(small(), tmp_path)
    assert {path.name for path in paths} == set(REPORTS[Decision].files)
    assert paths[0].name == "report.html"
    document = json.loads((tmp_path / "decision.json").read_text(encoding="utf-8"))
    assert Decision.from_json(document) == small()
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == render_html(view)
