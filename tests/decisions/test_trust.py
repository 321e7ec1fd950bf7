"""No mark of trust stands beside what takes it away: on the page, on the terminal, in the JSON."""

from dataclasses import replace
from typing import Any

import pytest

from cuvee.decisions.ablation.decision import Decision
from cuvee.decisions.ablation.result import CalibratorRow, Gain, ProxyTrust
from cuvee.decisions.check import EQUAL, BaselineComparison
from cuvee.decisions.evaluations import EvaluationRow
from cuvee.report.html import render_html
from cuvee.report.markdown import render_markdown
from cuvee.report.reports import printout_of
from cuvee.report.view import StudyView
from tests.report.cases import checked

AGREES = "Left-out references are predicted with smaller errors than by what needs no proxy."
NOTHING = "The trained mixtures know nothing."


def decision(**changes: Any) -> Decision:
    """Believed by its references, confirmed by training, and changed."""
    chosen = (CalibratorRow("merge", 0.01, 0.9, chosen=True),)
    made = replace(checked(), believed=True, why=AGREES, calibrators=chosen)
    if (difference := changes.pop("measured", None)) is not None:
        assert made.check is not None
        one = BaselineComparison(EQUAL, *difference)
        changes["check"] = replace(made.check, comparisons=(one,))
    return replace(made, **changes)


AGAINST: dict[str, tuple[dict[str, Any], str]] = {
    "nothing was learnt": ({"doubts": (NOTHING,)}, "the first lines doubt the trainings"),
    "few documents": (
        {"evaluations": (EvaluationRow("prose", 3, 90, 20, 90, 1.0),)},
        "fewer than 5 documents",
    ),
    "the pick was refuted": ({"measured": (0.02, 0.01, 0.03), "gains": ()}, "refuted the pick"),
    "not borne out": (
        {"measured": (-0.06, -0.09, -0.03), "gains": (Gain(EQUAL, -0.2, -0.3, -0.1),)},
        "did not bear out",
    ),
}


def test_a_proxy_that_nothing_speaks_against_is_believed() -> None:
    judged = decision().judged()
    assert judged.verdict.standing == "confirmed"
    assert judged.believed and judged.why == AGREES
    assert "<b>Believed.</b>" in render_html(StudyView.of(judged))


@pytest.mark.parametrize("case", AGAINST)
@pytest.mark.parametrize("judged", [True, False], ids=["now", "as an older cuvee kept it"])
def test_what_is_said_first_takes_belief_away(case: str, judged: bool) -> None:
    changes, reason = AGAINST[case]
    found = decision(**changes)
    found = found.judged() if judged else found
    page, text = render_html(StudyView.of(found)), render_markdown(StudyView.of(found))
    assert "<b>Not believed.</b>" in page and "\nNot believed. " in text
    assert ">believed</span>" not in page
    assert reason in page and reason in text and AGREES in page
    if judged:
        assert not found.believed and reason in found.why
        assert any(line.startswith("The proxy is not believed.") for line in map(str, printout_of(found)))
        assert found.judged() == found == Decision.from_json(found.as_json())


def test_models_that_know_nothing_confirm_nothing() -> None:
    judged = decision(doubts=(NOTHING,)).judged()
    assert judged.verdict.standing == "not confirmed"
    assert "their differences show nothing" in judged.verdict.why
    assert judged.headline[:2] == ("Not confirmed: 75% prose, 25% code.", NOTHING)


def test_further_trainings_may_give_belief_back() -> None:
    """What the references say is kept, whatever a check took away."""
    refuted = decision(measured=(0.02, 0.01, 0.03), gains=()).judged()
    assert not refuted.believed and refuted.by_references == ProxyTrust(True, AGREES)
    better = decision().check
    assert better is not None and refuted.with_check(better).believed
