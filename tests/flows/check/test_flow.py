"""What fresh trainings let a decision say: a table of all that can happen."""

import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cuvee.decisions.ablation.headline import headline
from cuvee.decisions.ablation.result import Gain, Loss, RunScale
from cuvee.decisions.check import (
    EQUAL,
    FEWEST_DOCUMENTS,
    PICK,
    PROPORTIONAL,
    Arm,
    BaselineComparison,
    TrainingCheck,
)
from cuvee.decisions.document import decode, encode
from cuvee.decisions.evaluations import EvaluationRow, few_documents, that_count
from cuvee.decisions.interval import Interval as MeanInterval
from cuvee.decisions.scale.decision import ScaleDecision
from cuvee.decisions.search.decision import SearchDecision
from cuvee.decisions.verdict import Standing
from cuvee.errors import ConfigError
from cuvee.evaluation.scores import Documents
from cuvee.flows.check.flow import check_answer
from cuvee.mixture.mixture import Mixture
from cuvee.mixture.region import Region
from cuvee.quantities import MISSING
from cuvee.report.html import render_html
from cuvee.report.reports import printout_of
from cuvee.report.view import StudyView
from cuvee.report.wording import worth
from cuvee.study.evaluation_rows import of_known_error
from cuvee.study.file.config import StudyConfig
from cuvee.study.file.folder import StudyFolder
from cuvee.study.plan.mixtures import baselines, compared_with
from tests.flows.scale.scale_cases import SOURCES, ladder
from tests.flows.search.search_cases import searched
from tests.report.cases import small

BETTER = (-0.02, -0.03, -0.01)
WORSE = (0.02, 0.01, 0.03)
OPEN = (-0.02, -0.05, 0.01)
UNKNOWN = (-0.02, math.nan, math.nan)
TOUCHES = (-0.02, -0.04, 0.0)
EVEN = (0.0, 0.0, 0.0)

Interval = tuple[float, float, float]


def check(
    equal: Interval | None, proportional: Interval | None, seeds: int = 3, documents: int = 20
) -> TrainingCheck:
    """Differences to the baselines with their bounds; None where the pick is that baseline."""
    found = {EQUAL: equal, PROPORTIONAL: proportional}
    return TrainingCheck(
        parameters=1000,
        tokens=5000,
        arms=tuple(Arm(name, (0.5, 0.5), (3.0,) * seeds) for name in (PICK, EQUAL, PROPORTIONAL)),
        comparisons=tuple(BaselineComparison(name, *one) for name, one in found.items() if one is not None),
        noise=0.01,
        documents=documents,
        confidence=0.95,
    )


CASES: dict[str, tuple[TrainingCheck, Standing, str]] = {
    "better than both": (check(BETTER, BETTER), "confirmed", "it beats equal shares and proportional shares"),
    "better than one": (
        check(BETTER, OPEN),
        "not confirmed",
        "it does not beat proportional shares beyond noise",
    ),
    "better than neither": (
        check(OPEN, OPEN),
        "not confirmed",
        "it does not beat equal shares and proportional shares beyond noise",
    ),
    "a bound at zero": (check(TOUCHES, BETTER), "not confirmed", "it does not beat equal shares beyond"),
    "no difference at all": (check(EVEN, EVEN), "not confirmed", "it does not beat equal shares and"),
    "worse than one": (check(BETTER, WORSE), "refuted", "it is worse than proportional shares ("),
    "worse than both": (
        check(WORSE, WORSE),
        "refuted",
        "it is worse than equal shares and proportional shares (",
    ),
    "worse than one, the other open": (check(WORSE, OPEN), "refuted", "it is worse than equal shares ("),
    "one training each": (check(UNKNOWN, UNKNOWN, seeds=1), "not confirmed", "its error unknown"),
    "better than one, the other unknown": (
        check(BETTER, UNKNOWN),
        "not confirmed",
        "it does not beat proportional shares",
    ),
    "worse than one, the other unknown": (check(UNKNOWN, WORSE), "refuted", "worse than proportional shares"),
    "the pick is equal shares, and better": (
        check(None, BETTER),
        "not confirmed",
        "The pick is equal shares; in 3 fresh trainings each at 1k parameters and 5k tokens: lower than",
    ),
    "the pick is proportional shares, and open": (
        check(OPEN, None),
        "not confirmed",
        "The pick is proportional shares",
    ),
    "the pick is equal shares, and worse": (check(None, WORSE), "refuted", "worse than proportional shares"),
    "the pick is both": (check(None, None), "not confirmed", "nothing to gain"),
    "too few documents": (
        check(BETTER, BETTER, documents=FEWEST_DOCUMENTS - 1),
        "not confirmed",
        f"An evaluation has {FEWEST_DOCUMENTS - 1} documents to check with, too few",
    ),
    "just enough documents": (check(BETTER, BETTER, documents=FEWEST_DOCUMENTS), "confirmed", "it beats"),
    "too few documents, and worse": (
        check(WORSE, BETTER, documents=1),
        "not confirmed",
        "An evaluation has 1 document to check with, too few",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_may_be_said(case: str) -> None:
    checked, standing, why = CASES[case]
    verdict = checked.verdict
    assert verdict.standing == standing
    assert why in verdict.why
    assert "nan" not in verdict.why
    if standing == "refuted":
        assert re.search(r"Do not use it: (equal|proportional) shares ended lowest\.$", verdict.why)


def test_how_often_each_was_trained_is_said() -> None:
    assert "In 1 fresh training each" in check(WORSE, WORSE, seeds=1).verdict.why
    assert "In 3 fresh trainings each" in check(BETTER, BETTER).verdict.why
    assert (
        "lower than equal shares by 0.0200 nats per token, 0.0100 to 0.0300 lower"
        in check(BETTER, BETTER).verdict.why
    )


def test_a_check_survives_json() -> None:
    one = replace(check(BETTER, UNKNOWN), noise=math.nan)
    again = decode(TrainingCheck, encode(one), "check")
    assert encode(again) == encode(one)
    assert again.verdict == one.verdict


def test_baselines_keep_the_limits() -> None:
    """To beat a mixture that nobody may train on is no gain: the nearest that is allowed stands for it."""
    names = ("a", "b", "c")
    free = baselines(Region.simplex(names), {"a": 1, "b": 1, "c": 2})
    np.testing.assert_allclose([one.shares for one in free], [[1 / 3] * 3, [0.25, 0.25, 0.5]])
    region = Region.bounded(names, minimum={}, maximum={"a": 0.1})
    even, proportional = baselines(region, {"a": 1, "b": 1, "c": 2})
    np.testing.assert_allclose(even.shares, [0.1, 0.45, 0.45])
    assert region.contains(proportional) and proportional.share("a") == pytest.approx(0.1)


def test_a_baseline_that_only_rounding_tells_from_the_pick_is_the_pick() -> None:
    """Else one mixture would be trained twice at the same seeds, and compared with itself."""
    names = ("a", "b", "c")
    region = Region.bounded(names, minimum={"a": 0.2, "b": 0.3, "c": 0.5}, maximum={})
    pick = Mixture.normalised({"a": 0.2 + 1e-10, "b": 0.3, "c": 0.5})
    found = compared_with(pick, region, {"a": 1, "b": 1, "c": 2})
    assert [one.key for one in found.values()] == [pick.key] * 2
    free = compared_with(pick, Region.simplex(names), {"a": 1, "b": 1, "c": 2})
    assert pick.key not in {one.key for one in free.values()}


def test_proportional_shares_that_hardly_differ_from_equal_ones_are_equal_shares() -> None:
    """Trained at the same seeds both end alike: noise of zero that counts as much as what is real."""
    names, pick = ("a", "b"), Mixture.of({"a": 0.7, "b": 0.3})
    found = compared_with(pick, Region.simplex(names), {"a": 1_000_100, "b": 1_000_000})
    assert len({one.key for one in found.values()}) == 1
    apart = compared_with(pick, Region.simplex(names), {"a": 1_010_000, "b": 1_000_000})
    assert len({one.key for one in apart.values()}) == 2


def test_equal_shares_that_the_limits_do_not_allow_are_not_said_to_be_the_pick() -> None:
    shares = (0.75, 0.25)
    plain = check(None, None)
    limited = replace(plain, arms=tuple(replace(arm, shares=shares) for arm in plain.arms))
    assert "as near as the limits allow: nothing to gain" in limited.verdict.why
    assert "limits" not in plain.verdict.why


@pytest.mark.parametrize(
    ("predicted", "said"), [((-0.05, -0.08, -0.02), False), ((-0.05, -0.06, -0.04), True)]
)
def test_a_prediction_that_training_did_not_bear_out_is_named(predicted: Interval, said: bool) -> None:
    checked = check(BETTER, BETTER)
    decision = replace(small(), check=checked, verdict=checked.verdict, gains=(Gain(EQUAL, *predicted),))
    assert ("did not bear this out" in " ".join(headline(decision))) is said


@pytest.mark.parametrize(("optimism", "said"), [(0.0042, True), (0.0, False), (math.nan, False)])
def test_what_is_taken_off_a_predicted_gain_is_said(optimism: float, said: bool) -> None:
    """Else the gain contradicts the losses that stand below it."""
    decision = replace(small(), gains=(Gain(EQUAL, -0.01, -0.02, 0.0),), optimism=optimism)
    lines = " ".join(headline(decision))
    assert ("0.0042 taken off for having been chosen" in lines) is said


def test_what_a_gain_is_worth_in_tokens_is_said_only_where_there_is_one() -> None:
    for interval, said in ((BETTER, True), (OPEN, False), (WORSE, False)):
        plain = check(interval, interval)
        needed = tuple(replace(one, tokens_needed=0.8) for one in plain.comparisons)
        decision = replace(small(), check=replace(plain, comparisons=needed))
        lines = " ".join(headline(decision))
        assert ("reaches the final loss of equal shares after 80% of the tokens" in lines) is said


def test_a_saving_that_is_no_more_than_a_bound_is_said_to_be_one() -> None:
    plain = check(BETTER, BETTER)
    bounds = tuple(replace(one, tokens_needed=0.2, bound=True) for one in plain.comparisons)
    decision = replace(small(), check=replace(plain, comparisons=bounds))
    assert "after at most 20% of the tokens" in " ".join(headline(decision))
    assert worth(bounds[0]) == "at most 20.0%"
    assert worth(replace(bounds[0], tokens_needed=5.0)) == "at least 500.0%"
    assert worth(replace(bounds[0], tokens_needed=math.nan)) == MISSING


def test_documents_that_a_choice_may_have_seen_are_not_said_to_be_unseen() -> None:
    plain, seen = check(BETTER, BETTER), replace(check(BETTER, BETTER), unseen=False)
    assert plain.measured_on == "on documents that no choice has seen"
    assert "seen" not in plain.verdict.why
    assert "5k tokens (on documents of which the choice may have seen some) it beats" in seen.verdict.why


def test_the_lengths_of_trainings_are_those_of_all_mixtures() -> None:
    plain = check(BETTER, BETTER)
    assert plain.lengths == (5000,), "a document that does not say them means those of the check"
    pick, *others = plain.arms
    assert replace(
        plain, arms=(replace(pick, tokens=5000), *(replace(one, tokens=9000) for one in others))
    ).lengths == (5000, 9000)


SLIGHTLY_WORSE = (0.002, -0.01, 0.02)


@pytest.mark.parametrize(
    ("gain", "found", "said"),
    [
        ((0.003, 0.001, 0.005), None, "predicted to end higher than proportional shares by 0.0030"),
        ((0.003, -0.001, 0.005), None, "take proportional shares, or train more references"),
        ((0.003, 0.001, 0.005), SLIGHTLY_WORSE, "nothing speaks for the pick: take equal shares"),
        ((-0.003, -0.005, 0.001), SLIGHTLY_WORSE, "ended higher than equal shares by 0.0020 nats per token"),
        ((0.003, 0.001, 0.005), WORSE, ""),  # the verdict has it
        ((0.003, 0.001, 0.005), BETTER, ""),
        ((-0.003, -0.005, 0.001), None, ""),
    ],
)
def test_a_pick_that_something_simpler_beats_is_not_given_in_silence(
    gain: Interval, found: Interval | None, said: str
) -> None:
    """In the second line, on the terminal and on the page, with what to take."""
    checked = check(found, found) if found else None
    decision = replace(small(), check=checked, gains=(Gain(PROPORTIONAL, *gain),)).judged()
    worse = [
        line for line in decision.headline if "the pick ended" in line or "The pick is predicted" in line
    ]
    assert bool(worse) is bool(said)
    if said:
        assert said in worse[0] and decision.headline.index(worse[0]) == 1
        assert worse[0] in map(str, printout_of(decision))
        assert worse[0] in render_html(StudyView.of(decision))
        assert worse[0] in decision.objections()
    elif found is WORSE:
        assert "Do not use it: equal shares ended lowest." in decision.verdict.why


@pytest.mark.parametrize(
    ("noise", "why"),
    [
        (
            math.nan,
            "The error is unknown since no mixture was trained twice: raise `check.seeds` to 2 or more.",
        ),
        (
            0.0012,
            "one mixture alone was trained twice, and its trainings differ (by 0.0012) by what a seed does",
        ),
    ],
)
def test_an_unknown_error_has_its_reason(noise: float, why: str) -> None:
    found = replace(check(UNKNOWN, UNKNOWN, seeds=1), noise=noise)
    assert why in found.verdict.why
    assert "unknown since" not in check(OPEN, OPEN).verdict.why


def test_a_trained_reference_below_the_prediction_of_the_pick_is_named() -> None:
    prediction = replace(small().predictions[0], best_reference=Loss(4.05), reference_predicted=4.06)
    decision = replace(small(), predictions=(prediction,))
    line = decision.judged().headline[1]
    assert line.startswith(
        "The trained reference '3:1' is predicted at 4.0600 nats per token, the pick at 4.1000, and it ended "
        "at 4.0500."
    )
    assert line.endswith("take that reference, or train both again.")
    # What one ended at is not compared with what the other is predicted at.
    other = replace(decision, predictions=(replace(prediction, reference_predicted=4.11),))
    assert not any("trained reference" in one for one in other.judged().headline)
    # Equal shares are compared already, under their name.
    equal = replace(decision, best_reference="1:1", gains=(Gain(EQUAL, -0.01),))
    assert not any("trained reference" in one for one in equal.judged().headline)
    assert not any("trained reference" in one for one in small().judged().headline)


def test_a_search_that_expects_equal_shares_to_be_better_says_so() -> None:
    lines = replace(searched(), against_uniform=MeanInterval(0.02, -0.01, 0.05)).judged().headline
    assert lines[1].startswith("The pick is predicted to end higher than equal shares by 0.0200")
    assert "take equal shares, or search on." in lines[1]


def rows(**weights: tuple[float, int]) -> list[EvaluationRow]:
    return [EvaluationRow(name, n, 10 * n, n, 10 * n, weight) for name, (weight, n) in weights.items()]


def test_a_single_document_of_what_hardly_counts_hides_no_error() -> None:
    """Of one document no error is known; of what weighs 1e-9 none is needed."""
    counts = [1, 2, 1]
    documents = Documents(
        ("a", "b", "c"), ("a", "b", "c"), np.repeat(np.arange(3), counts), np.full(4, 10), np.full(4, 40.0)
    )
    for weights, known in (((1e-9, 1.0, 0.0), (0.0, 1.0, 0.0)), ((0.5, 1.0, 0.0), (0.5, 1.0, 0.0))):
        assert of_known_error(documents, np.array(weights)).tolist() == list(known)


def test_the_first_lines_of_a_search_and_a_ladder_name_few_documents_and_what_training_did_not_bear_out() -> (
    None
):
    few = few_documents(rows(a=(1.0, 9)))[0]
    refuted = replace(check(WORSE, WORSE), confidence=0.95)
    for answer in (searched(), ladder()):
        lines = replace(answer, warnings=(few,)).with_check(refuted).headline
        assert lines[0].startswith("Do not train on") and lines[1] == few
        assert not any("took" in line for line in lines)
    search = " ".join(searched().with_check(refuted).headline)
    assert "Training did not bear this out" in search
    assert "bear this out" not in " ".join(searched().headline)


@pytest.mark.parametrize("answer", [searched(), ladder()])
def test_an_answer_is_not_checked_by_another_target(
    answer: SearchDecision | ScaleDecision, tmp_path: Path
) -> None:
    """A gain that was predicted in one target would stand beside one that was measured in another."""
    sources = {name: f"{name}.jsonl" for name in SOURCES}
    asked = {"schema": 1, "sources": sources, "target": {"weights": {"code": 3, "web": 1}}}
    with pytest.raises(ConfigError, match="the answer was chosen for other weights"):
        check_answer(StudyConfig.parse(asked, tmp_path), StudyFolder(tmp_path), answer)


def test_few_documents_of_what_hardly_counts_decide_nothing() -> None:
    assert few_documents(rows(a=(1.0, 100), b=(1e-9, 2))) == []
    assert "to check: b 2 and 2" in few_documents(rows(a=(0.98, 100), b=(0.02, 2)))[0]
    # A hundred evaluations that count the same all count.
    assert that_count(np.full(200, 0.005)).all()


def test_of_one_document_no_interval_knows_the_error() -> None:
    assert "Of b, c no interval knows" in few_documents(rows(a=(1.0, 9), b=(1.0, 1), c=(1.0, 1)))[0]
    assert "no interval" not in few_documents(rows(a=(1.0, 9), b=(1.0, 2)))[0]


@pytest.mark.parametrize(
    ("parameters", "tokens", "said"),
    [(1_000, 50_000, False), (1_000, 50_001, True), (10_000_000, 5_000, True)],
)
def test_a_verdict_says_how_far_it_reaches(parameters: int, tokens: int, said: bool) -> None:
    """It is one on runs of the size that was trained, and the target run may be another world."""
    found = check(BETTER, BETTER)
    decision = replace(small(), check=found, target_scale=RunScale(parameters, tokens)).judged()
    assert decision.headline[0].startswith("Train on ")
    known = "That is known of runs of 1k parameters and 5k tokens, not of the target run with "
    assert decision.headline[1].startswith(known) is said
    assert "at 1k parameters and 5k tokens it beats" in decision.verdict.why


def test_trainings_of_unequal_length_are_not_said_to_be_of_one() -> None:
    """Under the estimand ``union`` a mixture of fewer units reads less."""
    found = check(BETTER, BETTER)
    pick, *baselines = found.arms
    unequal = replace(found, arms=(replace(pick, tokens=3_000), *baselines))
    assert unequal.extent == "1k parameters and 3k to 5k tokens"
