"""The page of a simulation: whole, escaped, without requests, and saying what a reader needs."""

import math
import re
from dataclasses import replace
from pathlib import Path

import pytest

from cuvee.decisions.provenance import Origin
from cuvee.decisions.simulate.decision import (
    CostToReach,
    CurvePoint,
    MethodComparison,
    MethodRow,
    RegretAt,
    SimulatedFidelity,
    Simulation,
)
from cuvee.decisions.simulate.headline import headline
from cuvee.report.html import render_simulation_html
from cuvee.report.reports import REPORTS, write_reports
from cuvee.report.simulate_view import SimulateView
from tests.report.test_reports import outline

NEVER = math.inf


def method(name: str, costs: tuple[float, ...], gaps: tuple[float, ...]) -> MethodRow:
    """Costs: median and ninetieth per cent to 10 % and to 1 %. Gaps: medians after 1, 2 and 10 runs."""
    return MethodRow(
        name=name,
        needs=f"what {name} needs",
        experiments=12.0,
        reach=(
            CostToReach(0.1, costs[0], costs[1], 0.25 * math.isinf(costs[1])),
            CostToReach(0.01, costs[2], costs[3], 0.75 * math.isinf(costs[3])),
        ),
        regret=(RegretAt(1.25, gaps[0]), RegretAt(10.0, gaps[-1])),
        curve=tuple(
            CurvePoint(spent, gap, gap / 2, 2 * gap)
            for spent, gap in zip((1.0, 2.0, 10.0), gaps, strict=True)
        ),
    )


def simulation() -> Simulation:
    made = Simulation(
        table="<runs> & co.csv",
        created_from=Origin(
            "c2501fbafe6597a5", "312f44972af3d112", {"cuvee": "1"}, "cuvee simulate '<runs>'"
        ),
        headline=(),
        runs=60,
        target={"loss": 0.75, "<b>score</b>": 0.25},
        law="",
        noise={},
        fidelities=(
            SimulatedFidelity("1M/100M", "imported", 1e6, 1e8, 6e14, 0.01, 40, 18, 0.87),
            SimulatedFidelity("10M/1B", "imported", 1e7, 1e9, 6e16, 1.0, 20, 20, 1.0, True),
        ),
        seeds=4,
        budget=10.0,
        batch=1,
        optimum=2.5,
        median=3.0,
        methods=(
            method("transfer", (1.2, NEVER, NEVER, NEVER), (NEVER, 0.05, 0.02)),
            method("cost_aware", (1.5, 2.5, 3.5, 4.5), (0.4, 0.06, 0.0)),
            method("random", (9.5, NEVER, NEVER, NEVER), (1.5, 0.8, 0.1)),
        ),
        verdict="pays",
        comparisons=(
            MethodComparison(0.1, 1.5, 1.2, 0.5, 1.0),
            MethodComparison(0.01, 3.5, NEVER, 0.9, 0.004),
        ),
        notes=("Only mixtures that were run can be asked for.", "A note of the <table>."),
    )
    return made.with_headline(headline(made))


def test_the_page_is_whole_and_asks_nothing_of_anybody(tmp_path: Path) -> None:
    page = write_reports(simulation(), tmp_path)[0].read_text(encoding="utf-8")
    assert {path.name for path in tmp_path.iterdir()} == set(REPORTS[Simulation].files)
    assert page == render_simulation_html(SimulateView.of(simulation()))
    found = outline(page)
    assert not found.open
    assert not [t for t, a in found.tags if t in ("img", "iframe", "object") or (t == "script" and a)]
    assert not [a for _, a in found.tags if str(a.get("src", "")) or str(a.get("href", "#"))[0] not in "#d"]
    assert "://" not in page
    assert "<runs>" not in page
    assert "<b>score</b>" not in page
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(ids)
    text = " ".join(found.texts)
    assert not re.search(r"\bnan\b|\binf\b|\bNone\b|Undefined", text)
    for drawing in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        assert not re.search(r"nan|inf\b", drawing)


def test_the_page_says_what_a_reader_needs() -> None:
    made = simulation()
    page = render_simulation_html(SimulateView.of(made))
    text = " ".join(" ".join(outline(page).texts).split())
    for sentence in (*made.headline, *made.notes):
        assert sentence in text
    assert "methods of search compared" in text
    assert "data mixture decision" not in text
    for row in made.methods:
        assert row.name in text
        assert row.needs in text
    for words in (
        "1M/100M",
        "10M/1B",
        "0.87",
        "1 of 4",
        "3 of 4",
        "10 runs at the target",
        "2.500 and 3.000",
    ):
        assert words in text
    assert "what was run" in text
    assert "the law linear" in render_simulation_html(SimulateView.of(replace(made, law="linear")))


def test_the_best_method_stands_first_and_every_method_has_its_line() -> None:
    view = SimulateView.of(simulation())
    assert [row.name for row in view.rows] == ["cost_aware", "transfer", "random"]
    assert len({course.style for course in view.chart.courses}) == 3
    page = render_simulation_html(view)
    chart = re.search(r'<svg class="path large".*?</svg>', page, re.DOTALL)
    assert chart is not None
    assert len(re.findall('class="way"', chart[0])) == 3
    assert len(re.findall('class="band"', chart[0])) == 3
    assert "6.0e16 FLOPs" in chart[0]
    assert "cost_aware ends at 0.0%" in chart[0]
    silent = replace(
        view.rows[0], curve=tuple(replace(p, median=NEVER, low=NEVER) for p in view.rows[0].curve)
    )
    alone = render_simulation_html(SimulateView.of(replace(simulation(), methods=(silent,))))
    assert 'class="way"' not in alone
    assert "no run at the target" in alone


def test_many_methods_have_lines_of_their_own() -> None:
    made = simulation()
    many = tuple(replace(made.methods[1], name=f"method {i}") for i in range(17))
    view = SimulateView.of(replace(made, methods=many))
    assert len({course.style for course in view.chart.courses}) == 17


@pytest.mark.parametrize(
    ("verdict", "level", "words"),
    [
        ("pays", "believed", "Adaptivity pays here"),
        ("costs", "not-believed", "The simple strategy does better here"),
        ("not clear", "untested", "no clear difference"),
        ("not compared", "untested", "was not judged"),
    ],
)
def test_the_badge_says_whether_adaptivity_pays(verdict: str, level: str, words: str) -> None:
    made = replace(simulation(), verdict=verdict)  # type: ignore[arg-type]
    if verdict == "not compared":
        made = replace(made, comparisons=())
    badge = SimulateView.of(made).badge
    assert badge.level == level
    assert words in badge.words
    assert badge.why is not None
    assert ("90% of all pairs" in badge.why) == (verdict != "not compared")


def test_first_lines_say_by_how_much() -> None:
    first, second, third = simulation().headline
    assert first == (
        "Best here is cost_aware: within 1% of the best mixture after 3.5 runs (median of 4 searches); "
        "random not within 10 runs."
    )
    assert second == (
        "Adaptivity pays here: cost_aware needs less than transfer. In the median cost_aware takes 1.5 runs "
        "against 1.2 runs to come within 10% (1.2 times more), 3.5 runs against more than 10 runs to come "
        "within 1%."
    )
    assert third.endswith("agrees with the target in part: it ranks mixtures at 0.87.")
    nobody = replace(simulation(), methods=(method("random", (NEVER,) * 4, (0.9, 0.8, 0.7)),), comparisons=())
    assert headline(nobody)[0].startswith("No method comes within 10%")
