"""Differences have one direction in all answers, and say it in words."""

from dataclasses import replace

import pytest

from cuvee.decisions.ablation.result import Gain, TiedMixture
from cuvee.decisions.check import EQUAL
from cuvee.decisions.difference import DIRECTION, HEAD, ends, than
from cuvee.decisions.fit.headline import headline as of_fit
from cuvee.decisions.interval import Interval
from cuvee.report.html import render_html
from cuvee.report.markdown import render_markdown
from cuvee.report.printout import Grid
from cuvee.report.reports import printout_of
from cuvee.report.view import StudyView
from tests.flows.fit.fit_cases import law_decision
from tests.flows.search.search_cases import searched
from tests.report.cases import checked

LOWER = "lower than equal shares by 0.0600 nats per token"


def test_a_difference_is_lower_or_higher_or_none() -> None:
    assert than("equal shares", -0.06) == LOWER
    assert than("uniform", 0.25, "{:.2f}".format, unit="") == "higher than uniform by 0.25"
    assert than("uniform", -0.00001) == "as low as uniform"


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (-0.03, -0.01, "0.0100 to 0.0300 lower"),
        (0.01, 0.03, "0.0100 to 0.0300 higher"),
        (-0.05, 0.01, "0.0500 lower to 0.0100 higher"),
        (-0.04, 0.0, "0.0000 to 0.0400 lower"),
    ],
)
def test_ends_of_an_interval_say_their_sides(low: float, high: float, said: str) -> None:
    assert ends(low, high) == said


def test_terminal_page_and_sentences_have_one_direction() -> None:
    """A pick that training found lower: below zero in every table, `lower` in every sentence."""
    decision = replace(
        checked(), tied=(TiedMixture("b", (0.5, 0.5), 0.02, -0.01, 0.05),), gains=(Gain(EQUAL, -0.04),)
    ).judged()
    grid = next(one for one in printout_of(decision) if isinstance(one, Grid) and HEAD in one.columns)
    assert DIRECTION in grid.title
    assert [row[grid.columns.index(HEAD)] for row in grid.rows[1:]] == ["-0.0600", "-0.0700"]
    assert any(line.startswith(f"Measured: {LOWER}") for line in decision.headline)
    assert any(line.startswith("Predicted: lower than equal shares by 0.0400") for line in decision.headline)
    assert LOWER in decision.verdict.why
    for page in (render_html(StudyView.of(decision)), render_markdown(StudyView.of(decision))):
        assert page.count(DIRECTION.capitalize()) == 2  # of the check and of the tied mixtures
        assert "−0.0600" in page and "−0.0200" in page and "[−0.0500, +0.0100]" in page


def test_a_fit_and_a_search_have_the_same_direction() -> None:
    sentence = next(line for line in of_fit(law_decision()) if line.startswith("Its target"))
    assert "that is lower than uniform by 0." in sentence
    found = replace(searched(), against_uniform=Interval(0.02, -0.01, 0.05)).judged().headline
    assert any("higher than equal shares by 0.0200" in line for line in found)
