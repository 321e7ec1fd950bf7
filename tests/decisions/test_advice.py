"""First lines leave nothing out of a mixture, and name what the evidence prefers to the pick."""

from dataclasses import replace

import pytest

from cuvee.decisions.ablation.headline import headline
from cuvee.decisions.ablation.result import TiedMixture
from cuvee.decisions.shares import SourceShare, in_words
from cuvee.report.html import render_html
from cuvee.report.markdown import render_markdown
from cuvee.report.view import StudyView
from cuvee.report.wording import UNBELIEVED
from tests.report.cases import large, small


def shares(*values: float) -> list[SourceShare]:
    return [SourceShare(f"s{place}", share, share, share, 10, 1.0) for place, share in enumerate(values)]


def test_small_shares_are_added_up_in_words() -> None:
    assert in_words(shares(0.7, 0.3, 0.0)) == "70% s0, 30% s1"
    assert in_words(shares(0.76, *[0.004] * 60)) == "76% s0, 24% in 60 sources of less than 0.5% each"
    assert in_words(shares(*[1 / 300] * 300)) == "100% in 300 sources of less than 0.5% each"
    assert in_words(shares(0.998, 0.002)) == "100% s0"


@pytest.mark.parametrize(("high", "said"), [(-0.02, True), (-0.001, False), (0.01, False)])
def test_a_candidate_that_all_evidence_prefers_beyond_its_interval_is_named(high: float, said: bool) -> None:
    """After what having been chosen flatters it; a list of ties alone would hide it."""
    tied = (TiedMixture("b", (0.0, 1.0), -0.04, -0.06, high),)
    lines = headline(replace(small(), tied=tied, optimism=0.002))
    named = "Predicted to be better than the pick, beyond the interval: 'b' (lower than the pick by 0.0400"
    assert any(named in line for line in lines) is said


@pytest.mark.parametrize("believed", [True, False])
def test_effects_that_rest_on_a_proxy_without_belief_are_called_guesses(believed: bool) -> None:
    view = StudyView.of(replace(large(), believed=believed))
    assert view.ablation
    for page in (render_html(view), render_markdown(view)):
        assert (UNBELIEVED in page) is not believed
