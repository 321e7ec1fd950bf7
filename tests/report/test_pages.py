"""What all pages have in common: folds, names, legends, and columns that narrow screens leave out."""

import base64
import hashlib
import re
from dataclasses import replace
from pathlib import Path

import pytest

from cuvee.decisions.fit.decision import LawDecision
from cuvee.flows.fit.flow import decide
from cuvee.question.question import Question
from cuvee.report import charts, html
from cuvee.report.fit_view import FitView
from cuvee.report.html import FOLDED_FROM, render_fit_html, render_simulation_html
from cuvee.report.simulate_view import SimulateView
from tests.flows.fit.test_flow import observations
from tests.report.test_reports import outline
from tests.report.test_simulation_page import simulation

FOLDER = Path(html.__file__).parent


@pytest.fixture(scope="module")
def decision(tmp_path_factory: pytest.TempPathFactory) -> LawDecision:
    runs = observations(tmp_path_factory.mktemp("runs"), 30)
    question = Question(front=("books_loss", "code_loss"))
    return decide(runs, question, table="runs", compared=("effective_data",)).decision


def with_tied(decision: LawDecision, count: int) -> str:
    """The page with so many tied mixtures."""
    one = replace(decision.tied[0], name="the_pile_stackexchange-v2")
    return render_fit_html(FitView.of(replace(decision, tied=(one,) * count)))


def section(page: str, name: str) -> str:
    return page.split(f'<section id="{name}">')[1].split("</section>")[0]


def test_a_table_of_more_than_a_dozen_rows_is_folded(decision: LawDecision) -> None:
    assert "unfold" not in section(with_tied(decision, FOLDED_FROM), "tied")
    page = with_tied(decision, FOLDED_FROM + 1)
    assert not outline(page).open
    long = section(page, "tied")
    assert '<div class="fold">' in long and "all 13 rows" in long
    assert long.count("<tr>") == 1 + 13  # nothing is lost: a rule of the style sheet hides what is folded
    assert f"tr:nth-child(n+{FOLDED_FROM + 1})" in page


def test_only_the_script_of_the_page_may_run(decision: LawDecision) -> None:
    page = render_fit_html(FitView.of(decision))
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    scripts = re.findall(r"<script[^>]*>(.*?)</script>", page, re.DOTALL)
    digests = [base64.b64encode(hashlib.sha256(one.encode()).digest()).decode() for one in scripts]
    assert f"script-src 'sha256-{digests[0]}';" in policy and len(scripts) == 1
    assert not re.search(r"script-src[^;]*unsafe", policy)
    assert not re.search(r"<[^>]+\son\w+=", page), "a handler in an attribute would not run"


def test_what_turns_text_is_spelt_out_on_a_page(decision: LawDecision) -> None:
    page = render_fit_html(
        FitView.of(
            replace(
                decision,
                headline=(
                    "b",
                    "a\u202eb\u2066c\x9bd",
                ),
            )
        )
    )
    assert "a\\u202eb\\u2066c\\u009bd" in page
    assert not set("\u202e\u2066\x9b") & set(page)


def test_names_are_broken_behind_what_divides_their_words(decision: LawDecision) -> None:
    assert "the_<wbr>pile_<wbr>stackexchange-<wbr>v2" in with_tied(decision, 1)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("stackexchange", "stackexchange"),
        ("a/b.c", "a/<wbr>b.<wbr>c"),
        ("x" * 40, "x" * 18 + "<wbr>" + "x" * 18 + "<wbr>" + "x" * 4),
        ("<b>_c", "&lt;b&gt;_<wbr>c"),
        ("_" * 30, None),
        ("a\nb\n", None),
        ("", ""),
    ],
)
def test_a_broken_name_is_whole(name: str, told: str | None) -> None:
    found = str(html._environment().from_string("{{ name | breakable }}").render(name=name))
    parsed = outline(found)
    assert "".join(parsed.texts) == name
    assert told is None or found == told


def test_legends_list_what_is_drawn_and_nothing_else(decision: LawDecision) -> None:
    known = section(render_fit_html(FitView.of(decision)), "mixture")
    assert "uniform</li>" in known
    assert "proportional" not in known and "epoch cap" not in known and "Epochs" not in known
    entry = replace(decision.mixture[0], unique_tokens=10, epochs=1.0, epoch_cap=2.0)
    capped = replace(decision, mixture=(entry, *decision.mixture[1:]), target_tokens=100.0)
    drawn = section(render_fit_html(FitView.of(capped)), "mixture")
    assert "epoch cap</li>" in drawn and "Epochs" in drawn
    far = replace(capped, target_tokens=21.0)  # the cap lies at 95 %, beyond the axis
    assert charts.axis_top([row.mixture for row in FitView.of(far).rows]) < 0.9
    assert "epoch cap" not in section(render_fit_html(FitView.of(far)), "mixture")


def test_every_entry_of_a_legend_has_a_mark(decision: LawDecision) -> None:
    for page in (
        render_fit_html(FitView.of(decision)),
        render_simulation_html(SimulateView.of(simulation())),
    ):
        for legend in re.findall(r'<ul class="legend">.*?</ul>', page, re.DOTALL):
            for entry in re.findall("<li>(.*?)</li>", legend, re.DOTALL):
                assert re.match(r"<svg class=\"key|<i class=\"swatch", entry), entry


def test_every_other_label_of_the_share_axis_gives_way_on_narrow_screens() -> None:
    labels = re.findall(r"<text( class=\"odd\")? x=[^>]*>([^<]*)<", str(charts.share_axis(0.8)))
    assert [text for odd, text in labels if not odd] == ["0%", "40%", "80%"]
    assert [text for odd, text in labels if odd] == ["20%", "60%"]


@pytest.mark.parametrize("page", sorted(FOLDER.glob("*_page.html.j2")), ids=lambda path: path.name)
def test_a_column_is_left_out_with_its_heading(page: Path) -> None:
    tables = page.read_text(encoding="utf-8").split('<table class="sortable"')[1:]
    assert tables
    for table in tables:
        head, _, body = table.split("</table>")[0].partition("</thead>")
        assert head.count("narrow-hide") == body.count("narrow-hide"), head


def test_a_front_stands_on_the_page(decision: LawDecision) -> None:
    page = section(render_fit_html(FitView.of(decision)), "front")
    assert page.count("<tr>") == 1 + len(decision.front)
    assert "from the best for books_loss to the best for code_loss" in page
