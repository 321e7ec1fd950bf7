"""``StudyView``: order, grouping, and what it leaves to the study."""

import dataclasses
import math
from dataclasses import dataclass

import pytest

from cuvee.decisions.ablation.result import ALL_REFERENCES, TARGET
from cuvee.decisions.verdict import TITLES, Standing, Verdict
from cuvee.report import charts
from cuvee.report.view import Cell, HeatMap, Panel, Point, RunCount, StudyView
from tests.report.cases import hostile, large, small


@dataclass(frozen=True)
class Runs:
    """The two columns of ``Observations`` that a report counts."""

    kind: tuple[str, ...]
    role: tuple[str, ...]


def test_sources_stand_by_share_everywhere() -> None:
    view = StudyView.of(large())
    shares = [row.share for row in view.mixture]
    assert shares == sorted(shares, reverse=True)
    assert view.ordered([entry.share for entry in view.decision.mixture]) == tuple(shares)
    assert all(heat.rows == view.sources for heat in view.ablation)


def test_the_mixture_stands_beside_uniform_proportional_and_cap() -> None:
    prose, code = StudyView.of(small()).mixture
    assert (prose.uniform, code.uniform) == (0.5, 0.5)
    assert prose.proportional == pytest.approx(4 / 5.25)
    assert code.share_cap == pytest.approx(4.0 * 1.25e6 / 2e7)
    assert code.cap_hit


def test_the_target_comes_first_and_in_pool_evaluations_last() -> None:
    groups = [row.group for row in StudyView.of(small()).losses]
    assert groups == ["target", "out of pool", "in pool"]


def test_panels_put_the_believed_proxy_first_and_baselines_last() -> None:
    panels = StudyView.of(large()).panels
    assert [panel.role for panel in panels] == ["believed", "proxy", "proxy", *["baseline"] * 4]
    assert panels[0].row is not None
    assert (panels[0].row.scope, panels[0].row.subset) == (TARGET, ALL_REFERENCES)
    assert [panel.same_axis for panel in panels] == [True] * 6 + [False]


def test_references_without_a_finite_score_are_left_out() -> None:
    assert [panel.proxy for panel in StudyView.of(hostile()).panels] == [hostile().believed_proxy]


@pytest.mark.parametrize(
    ("standing", "level"),
    [
        ("confirmed", "believed"),
        ("not confirmed", "untested"),
        ("refuted", "not-believed"),
        ("not checked", "untested"),
    ],
)
@pytest.mark.parametrize("believed", [True, False])
def test_the_badge_is_the_verdict_whatever_the_proxies_said(
    standing: Standing, level: str, believed: bool
) -> None:
    decision = dataclasses.replace(small(), believed=believed, verdict=Verdict(standing, "as it is"))
    badge = StudyView.of(decision).badge
    assert (badge.level, badge.words, badge.why) == (level, TITLES[standing], "as it is")


def test_rows_on_single_evaluations_are_pivoted() -> None:
    view = StudyView.of(large())
    assert {row.scope for row in view.honesty} == {TARGET, "macro out-of-pool"}
    assert view.agreement is not None
    assert len(view.agreement.evaluations) == 30
    assert len(view.agreement.proxies) == 7


def test_observations_are_counted() -> None:
    runs = Runs(("trained", "merged", "trained"), ("reference", "candidate", "reference"))
    view = StudyView.of(small(), runs)
    assert view.runs == (RunCount("merged", "candidate", 1), RunCount("trained", "reference", 2))


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        (None, "x"),
        (Cell(math.nan), "x"),
        (Cell(-1.0, -2.0, 0.5), "u"),
        (Cell(-1.0, -2.0, -0.5), "n4"),
        (Cell(0.3), "p2"),
        (Cell(0.01, 0.005, 0.02), "z"),
    ],
)
def test_heat_classes(cell: Cell | None, expected: str) -> None:
    assert charts.heat_class(cell, 1.0) == expected


def test_one_outlier_does_not_pale_the_rest() -> None:
    cells = [[Cell(0.01)] * 99 + [Cell(100.0)]]
    assert HeatMap.of("effects", ["row"], [str(i) for i in range(100)], cells).scale == 0.01


@pytest.mark.parametrize("points", [1, 2], ids=["one point", "equal points"])
def test_a_scatter_without_spread_is_drawn(points: int) -> None:
    panel = Panel("flat", "proxy", (Point("one", 3.0, 3.0),) * points, None, True)
    drawing = charts.scatter(panel)
    assert "nan" not in drawing
    assert drawing.count("<title>") == points
