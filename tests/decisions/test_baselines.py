"""Baselines that limits move: every surface shows what was compared, and says so once."""

from dataclasses import replace

import pytest

from cuvee.decisions.ablation.decision import Decision
from cuvee.decisions.baselines import BaselineMixture
from cuvee.decisions.check import EQUAL, PICK, PROPORTIONAL, Arm
from cuvee.report.html import render_html
from cuvee.report.markdown import render_markdown
from cuvee.report.printout import Grid
from cuvee.report.reports import printout_of
from cuvee.report.view import StudyView
from tests.report.cases import checked

SENTENCE = (
    "The limits do not allow equal shares: what is called so here is the nearest mixture that they allow, "
    "70% prose, 30% code."
)
LABEL = "equal shares, within the limits"


def _trained() -> Decision:
    """Its check trained the nearest mixture to equal shares that the limits allow."""
    found = checked()
    assert found.check is not None
    arms = (
        Arm(PICK, (0.75, 0.25), (4.05, 4.03)),
        Arm(EQUAL, (0.7, 0.3), (4.1, 4.1)),
        Arm(PROPORTIONAL, (0.76, 0.24), (4.12, 4.1)),
    )
    return replace(found, check=replace(found.check, arms=arms)).judged()


def _predicted() -> Decision:
    """Nothing was trained afresh."""
    compared = BaselineMixture(EQUAL, (0.7, 0.3)), BaselineMixture(PROPORTIONAL, (0.76, 0.24))
    return replace(checked(), check=None, baselines=compared).judged()


@pytest.mark.parametrize("decision", [_trained(), _predicted()])
def test_what_was_compared_is_what_is_shown(decision: Decision) -> None:
    view = StudyView.of(decision)
    assert [row.uniform for row in view.mixture] == [0.7, 0.3]
    assert decision.headline.count(SENTENCE) == 1
    grids = [one for one in printout_of(decision) if isinstance(one, Grid)]
    assert any(LABEL in grid.columns and PROPORTIONAL in grid.columns for grid in grids)
    text, page = render_markdown(view), render_html(view)
    assert text.count(f"| {LABEL} |") == 2 and "70.0%" in text
    assert LABEL in page and LABEL.capitalize() in page and "uniform" not in text


def test_a_baseline_that_the_limits_allow_needs_no_word() -> None:
    decision = checked().judged()
    assert decision.compared.labels == (EQUAL, PROPORTIONAL)
    assert not any("limits" in line for line in decision.headline)
    assert [row.uniform for row in StudyView.of(decision).mixture] == [0.5, 0.5]


def test_baselines_survive_the_file() -> None:
    decision = _predicted()
    assert Decision.from_json(decision.as_json()).baselines == decision.baselines
