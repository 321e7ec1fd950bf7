"""The verdict on a decision across scales: every rule with its numbers, and documents of the older schema."""

import json
import math
from dataclasses import replace
from typing import Any

import pytest

from cuvee.decisions.interval import Interval
from cuvee.decisions.scale.decision import ScaleDecision
from cuvee.decisions.scale.verdict import law_missed
from cuvee.decisions.verdict import Verdict
from cuvee.errors import ConfigError, SchemaError
from cuvee.report.html import render_scale_html
from cuvee.report.scale_view import ScaleView
from tests.flows.scale.scale_cases import EVEN, FOUND, PROPORTIONAL, ladder

FAR_AWAY = (0.96, 0.02, 0.01, 0.01)
NEARBY = (0.66, 0.16, 0.09, 0.09)

# Trained twice each, three mixtures, noise 0.1 % of 4 nats: with 3 degrees of freedom Student's t is 3.18 at
# 2.5 %, and the difference of two means has to be larger than 3.18 x 0.004 = 0.0127 or so.
RULES: dict[str, tuple[dict[str, Any], str, str]] = {
    "trained, better than both": (
        {},
        "confirmed",
        "lower than equal shares by 0.1000 nats per token and lower than proportional shares by 0.1000",
    ),
    "trained, a point away": ({"mixture": (0.61, 0.19, 0.1, 0.1)}, "confirmed", "noise reaches 0.0124"),
    "better by chance": ({"losses": (3.99, 4.0, 4.0)}, "not confirmed", "by 0.0100 nats per token"),
    "better than equal shares only": ({"losses": (3.9, 4.0, 3.905)}, "not confirmed", "shares by 0.0050"),
    "worse than proportional": (
        {"losses": (3.9, 4.0, 3.8)},
        "refuted",
        "lower than equal shares by 0.1000 nats per token and higher than proportional shares by 0.1000",
    ),
    "more noise": ({"noise": 0.02}, "not confirmed", "noise reaches 0.2482"),
    "each trained once, replicates below": ({"trainings": 1}, "confirmed", "with 1 training each"),
    "documents are not sure": (
        {"documents": 14, "document_error": 0.05},
        "not confirmed",
        "noise and the choice of documents reach 0.1",
    ),
    "documents are sure": ({"documents": 14, "document_error": 0.001}, "confirmed", "documents reach 0.01"),
    "worse, on documents that are not sure": (
        {"losses": (4.05, 4.0, 4.0), "documents": 14, "document_error": 0.05},
        "not confirmed",
        "documents reach",
    ),
    "few documents": ({"documents": 4, "document_error": 0.0}, "not confirmed", "has too few documents"),
    "a single document": ({"documents": 1, "document_error": math.nan}, "not confirmed", "too few documents"),
    "few documents speak no better against it": (
        {"losses": (4.1, 4.0, 4.0), "documents": 4},
        "not confirmed",
        "has too few documents",
    ),
    "noise was never seen": ({"trainings": 1, "replicates": 0}, "not confirmed", "noise is not known"),
    "carried on": (
        {"mixture": FAR_AWAY},
        "not checked",
        "It was carried on to 9,000,000 tokens and never trained; the mixture of 'AutoScale' at 900,000 "
        "tokens, which has 36% of the tokens elsewhere, ended lower than equal shares by 0.1000",
    ),
    "a neighbour did well": ({"mixture": NEARBY}, "not checked", "6% of the tokens elsewhere"),
    "a neighbour did badly": (
        {"mixture": NEARBY, "losses": (4.1, 4.0, 4.0)},
        "refuted",
        "It was never trained; the mixture of 'AutoScale' at 900,000 tokens",
    ),
    "nothing trained": ({"trainings": 0}, "not checked", "the only evidence is runs around 300,000 tokens"),
    "equal shares did best": (
        {"mixture": EVEN, "losses": (4.1, 4.0, 4.05), "method": "uniform"},
        "not confirmed",
        "No mixture found did better than it on 900,000 tokens: it ended lower than",
    ),
    "equal shares, worse than proportional": (
        {"mixture": EVEN, "losses": (4.1, 4.0, 3.9), "method": "uniform"},
        "refuted",
        "higher than proportional shares by 0.1000 nats per token",
    ),
    "methods disagree": (
        {"law": (0.2, 0.6, 0.1, 0.1)},
        "not confirmed",
        "disagree by more than their intervals on code, 60% (55% to 65%) against 20% (15% to 25%), and on 1",
    ),
    "methods disagree within intervals": (
        {"law": (0.4, 0.4, 0.1, 0.1), "width": 0.11},
        "confirmed",
        "Trained on 900,000 tokens",
    ),
    "the law missed by more than its intervals": (
        {"missed": 0.15},
        "not confirmed",
        "missed the losses of these trainings by 0.15 nats per token, 4% of them (its intervals reach 0.10)",
    ),
    "the law missed by far": (
        {"missed": -0.6, "sure": 0.7},
        "not confirmed",
        "by 0.60 nats per token, 15% of them (its intervals reach 0.70)",
    ),
    "the law missed, without intervals": (
        {"missed": 0.6, "sure": math.nan},
        "not confirmed",
        "by 0.60 nats per token, 15% of them (it has no intervals)",
    ),
    "another did better": (
        {"mixture": PROPORTIONAL, "method": "proportional", "losses": (3.89, 4.0, 3.9)},
        "not confirmed",
        "'AutoScale' did best of the mixtures trained (3.8900), not 'proportional' (3.9000)",
    ),
    "the method was not trained": ({"method": "optimum of the top rung"}, "not confirmed", "not among the"),
}


@pytest.mark.parametrize("rule", RULES)
def test_every_rule(rule: str) -> None:
    changes, standing, said = RULES[rule]
    decision = ladder(**changes).judged()
    assert decision.verdict.standing == standing, decision.verdict.why
    assert said in decision.verdict.why


@pytest.mark.parametrize("rule", RULES)
def test_page_and_first_line_say_no_more_than_the_verdict(rule: str) -> None:
    changes, standing, _ = RULES[rule]
    decision = ladder(**changes).judged()
    badge = ScaleView.of(decision).badge
    levels = {"confirmed": "believed", "refuted": "not-believed"}
    assert (badge.level, badge.words) == (levels.get(standing, "untested"), decision.verdict.title)
    assert badge.why == decision.verdict.why
    assert decision.headline[0].startswith("Train on ") == (standing == "confirmed")
    page = render_scale_html(ScaleView.of(decision))
    assert decision.verdict.title in page and "Trained and better" not in page


def test_equal_and_proportional_shares_may_be_one_mixture() -> None:
    decision = ladder(EVEN, method="uniform", losses=(4.1, 4.0, 4.0))
    rows = tuple(replace(row, shares=EVEN) if row.name == "proportional" else row for row in decision.checks)
    assert replace(decision, checks=rows).judged().verdict == Verdict(
        "not confirmed",
        "No mixture on 900,000 tokens did better than equal shares, which are the proportional ones.",
    )
    elsewhere = replace(ladder(FAR_AWAY, trained=EVEN), checks=tuple(replace(r, shares=EVEN) for r in rows))
    assert "is that of equal and of proportional shares" in elsewhere.judged().verdict.why


def test_the_law_of_an_older_document_is_taken_without_interval() -> None:
    decision = ladder(law=(0.2, 0.6, 0.1, 0.1))
    bare = tuple(Interval(share.mean) for share in decision.path[-1].shares)
    older = replace(decision, path=(*decision.path[:-1], replace(decision.path[-1], shares=bare)))
    assert "60% (55% to 65%) against 20%, and on 1 more" in older.judged().verdict.why


def test_documents_of_the_first_schema_open_with_the_verdict_they_bear_out() -> None:
    decision = ladder(mixture=FAR_AWAY).judged()
    document = json.loads(json.dumps(decision.as_json()))
    del document["verdict"]
    document |= {
        "schema": 1,
        "checked": True,
        "headline": ["Train on 96% code.", "It ended beyond the noise."],
    }
    assert ScaleDecision.from_json(document) == decision
    untested = ladder(trainings=0).judged()
    document = {**untested.as_json(), "schema": 1, "checked": False}
    del document["verdict"]
    assert ScaleDecision.from_json(document) == untested


def test_what_no_cuvee_wrote_is_refused() -> None:
    document = ladder().judged().as_json()
    for schema in (0, 4, None, "1"):
        with pytest.raises(SchemaError, match=r"must be a positive number|upgrade cuvee"):
            ScaleDecision.from_json({**document, "schema": schema})
    with pytest.raises(ConfigError, match=r"scale\.verdict.standing: 'sure' does not fit"):
        ScaleDecision.from_json({**document, "verdict": {"standing": "sure", "why": ""}})


def test_the_first_lines_are_the_mixture_what_it_took_and_how_it_moves() -> None:
    first, speed, moves = ladder(FOUND).judged().headline
    assert first == "Train on 60% code, 20% law, 10% wiki, 10% web (AutoScale)."
    assert speed.startswith("At 900,000 tokens the mixture of 'AutoScale' took 80% of the tokens of equal")
    assert "best share of code goes from 25% to 60%" in moves


def test_a_law_that_missed_by_far_says_nothing_of_how_sure_its_optimum_is() -> None:
    assert not law_missed(ladder().checks)
    assert law_missed(ladder(missed=-0.6, sure=0.7).checks)
    assert not law_missed(())
