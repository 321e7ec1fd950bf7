"""The page of a decision by laws: whole, escaped, without requests, and saying how far to trust it."""

from dataclasses import replace
from pathlib import Path

import pytest

from cuvee.cli.fit import print_fit
from cuvee.report.fit_view import FitView
from cuvee.report.html import render_fit_html
from cuvee.report.reports import write_fit_report
from cuvee.study.fit import decide
from cuvee.study.law_decision import LawDecision
from cuvee.study.question import Question
from tests.report.test_reports import outline
from tests.study.test_fit import observations


@pytest.fixture(scope="module")
def decision(tmp_path_factory: pytest.TempPathFactory) -> LawDecision:
    runs = observations(tmp_path_factory.mktemp("runs"), 40)
    question = Question(
        tokens={"books": 10, "code": 200, "law": 300, "web": 400}, target_tokens=100.0, max_epochs=4.0
    )
    return decide(runs, question, table="<runs> & co", compared=("linear", "effective_data")).decision


def test_the_page_is_whole_and_asks_nothing_of_anybody(decision: LawDecision, tmp_path: Path) -> None:
    page = write_fit_report(decision, tmp_path).read_text(encoding="utf-8")
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


@pytest.mark.parametrize("unit", [1e-12, 1e-5, 1e12])
def test_tables_show_a_metric_in_whatever_unit(
    unit: float, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Four digits after the point would make one zero of the pick, of equal shares and of all that is run."""
    runs = observations(tmp_path, 30)
    scaled = replace(runs, values=runs.values * unit)
    asked = Question(law="effective_data")
    found = decide(scaled, asked, table="t", compared=("effective_data",)).decision
    target, even = found.pick.target.mean, found.candidate("uniform").target.mean
    print_fit(found, tmp_path, tmp_path / "report.html")
    page = render_fit_html(FitView.of(found))
    for text, zero in ((capsys.readouterr().out, " 0.0000 "), (page, ">0.0000<")):
        assert f"{target:.5g}" in text and f"{even:.5g}" in text
        assert zero not in text
