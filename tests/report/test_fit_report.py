"""The page of a decision by laws: whole, escaped, without requests, and saying how far to trust it."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from cuvee.cli.output import show
from cuvee.decisions.fit.decision import LawDecision
from cuvee.flows.fit.flow import decide
from cuvee.question.question import Question
from cuvee.report.fit_view import FitView
from cuvee.report.html import render_fit_html
from cuvee.report.reports import printout_of, write_reports
from cuvee.runs.formats.direction import Direction
from tests.flows.fit.test_flow import observations
from tests.report.test_reports import outline


@pytest.fixture(scope="module")
def decision(tmp_path_factory: pytest.TempPathFactory) -> LawDecision:
    runs = observations(tmp_path_factory.mktemp("runs"), 40)
    question = Question(
        tokens={"books": 10, "code": 200, "law": 300, "web": 400}, target_tokens=100.0, max_epochs=4.0
    )
    return decide(runs, question, table="<runs> & co", compared=("linear", "effective_data")).decision


def test_the_page_is_whole_and_asks_nothing_of_anybody(decision: LawDecision, tmp_path: Path) -> None:
    page = write_reports(decision, tmp_path)[0].read_text(encoding="utf-8")
    assert page == render_fit_html(FitView.of(decision))
    found = outline(page)
    assert not found.open
    assert not [t for t, a in found.tags if t in ("img", "iframe", "object") or (t == "script" and a)]
    assert not [a for _, a in found.tags if str(a.get("src", "")) or str(a.get("href", "#"))[0] not in "#d"]
    assert "<runs>" not in page
    assert "&lt;runs&gt; &amp; co" in page
    text = " ".join(found.texts)
    for entry in decision.mixture:
        assert entry.source in text
    for one in decision.candidates:
        assert one.name in text
    for sentence in (*decision.headline, decision.verdict.why):
        assert sentence in text
    assert "In 80%" in text
    assert text.count("chosen") >= 1


def test_sources_stand_by_size_and_the_caps_are_drawn(decision: LawDecision) -> None:
    view = FitView.of(decision)
    shares = [row.mixture.share for row in view.rows]
    assert shares == sorted(shares, reverse=True)
    books = next(row for row in view.rows if row.mixture.source == "books")
    assert books.mixture.share_cap == pytest.approx(0.4)
    assert view.ordered([entry.share for entry in decision.mixture]) == tuple(shares)
    assert view.panel is not None
    assert len(view.panel.points) == decision.runs


def test_the_badge_follows_the_evidence(decision: LawDecision) -> None:
    poor = tuple(replace(row, r_squared=0.1) for row in decision.laws)
    far = replace(decision.distance, outside=0.5, typical=0.1)
    for changed in (decision, replace(decision, laws=poor), replace(decision, distance=far)):
        judged = changed.judged()
        badge = FitView.of(judged).badge
        # Whatever the law explains: nothing was trained on the mixture.
        assert (badge.level, badge.words) == ("untested", "Not checked")
        assert badge.why == judged.verdict.why


@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e7])
def test_numbers_have_the_digits_that_count_in_every_unit(
    unit: float, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What differs is told apart on the page, on the terminal and in the first lines."""
    runs = observations(tmp_path, 30)
    runs = replace(runs, values=runs.values * unit)
    name = runs.metrics[0]
    directions: dict[str, Direction] = dict.fromkeys(runs.metrics, "lower")
    question = Question(directions=directions, front=runs.metrics[:2])
    found = decide(runs, question, table="runs", compared=()).decision
    page = render_fit_html(FitView.of(found))
    show(printout_of(found))
    told = {one.name: one.target.mean for one in found.candidates}
    for text in (_text(page).replace("−", "-"), capsys.readouterr().out, "\n".join(found.headline)):
        numbers = [float(word) for word in re.findall(r"[+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?", text)]
        close = [abs(number - told["pick"]) for number in numbers]
        assert min(close) <= 1e-3 * found.spread, text
        gains = [abs(number - (told["uniform"] - told["pick"])) for number in numbers]
        values = [abs(number - told["uniform"]) for number in numbers]
        assert min(*gains, *values) <= 1e-3 * found.spread
    mean = next(metric for metric in found.metrics if metric.name == name).predicted["pick"].mean
    shown = [float(one) for one in re.findall(r'data-v="([^"]+)"', page)]
    assert min(abs(number - mean) for number in shown) <= 1e-12 * unit


def _text(page: str) -> str:
    return " ".join(outline(page).texts)
