"""Runs that were measured better than the pick can be expected to be, and mixtures outside of the runs."""

import csv
from pathlib import Path

import numpy as np

from cuvee.decisions.fit.decision import LawDecision
from cuvee.flows.fit.flow import decide
from cuvee.flows.fit.measured_better import measured_better, measured_lower
from cuvee.laws.validation import HeldOut
from cuvee.question.question import Question
from cuvee.report.fit_view import FitView
from cuvee.report.html import render_fit_html
from cuvee.runs.imported import import_runs
from cuvee.types import FloatArray
from tests.flows.fit.fit_cases import law_decision

FAST = ("effective_data",)
ALL = np.ones(30, dtype=np.bool_)


def decided(tmp_path: Path, shares: FloatArray, losses: FloatArray, **asked: object) -> LawDecision:
    names = [f"w:s{place}" for place in range(shares.shape[1])]
    with (tmp_path / "runs.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["run", *names, "m:loss"])
        rows.writerows(
            [f"r{place}", *map(repr, row.tolist()), repr(float(loss))]
            for place, (row, loss) in enumerate(zip(shares, losses, strict=True))
        )
    table = import_runs([tmp_path / "runs.csv"])
    question = Question(law="effective_data", directions={"loss": "lower"}, **asked)  # type: ignore[arg-type]
    return decide(table.observations, question, table="runs.csv", compared=FAST).decision


def measured(shares: FloatArray) -> FloatArray:
    noise = 0.005 * np.random.default_rng(1).normal(size=len(shares))
    return np.asarray(2.0 + 1.0 / (0.5 + shares[:, 0] ** 0.5) + 0.3 * shares[:, 1] + noise)


def spread_out() -> FloatArray:
    return np.random.default_rng(0).dirichlet(np.ones(4), 30)


def test_a_run_measured_far_below_what_is_expected_of_the_pick_is_named_before_the_gain(
    tmp_path: Path,
) -> None:
    shares = spread_out()
    losses = measured(shares)
    losses[7] = losses.min() - 0.5
    decision = decided(tmp_path, shares, losses)
    assert decision.candidate("pick").target.low > losses[7]
    assert decision.measured_better == ("r7",)
    assert decision.headline[1].startswith("Measured better than this mixture can be expected to be: r7.")


def test_one_that_the_limits_exclude_is_no_rival(tmp_path: Path) -> None:
    shares = spread_out()
    losses = measured(shares)
    losses[7] = losses.min() - 0.5
    most = float(shares[7, 1]) / 2.0
    assert decided(tmp_path, shares, losses, maximum={"s1": most}).measured_better == ()


def test_the_luckiest_of_many_runs_is_not_named() -> None:
    """With no effect at all some run is always below the mean: in 5 % of tables one is named."""
    rng = np.random.default_rng(0)
    named = 0
    for _ in range(400):
        costs = rng.normal(size=(30, 1))
        zero = np.zeros((30, 1))
        held_out = HeldOut(zero, zero, costs, np.arange(30))
        named += len(measured_better(held_out, ALL, 0.0)) > 0
    assert named <= 32


def test_outside_of_the_runs_no_interval_and_no_advice_is_given_as_if_inside(tmp_path: Path) -> None:
    """The truth at the pick lies far outside of the interval that left-out runs give."""
    rng = np.random.default_rng(0)
    near = np.full(4, 0.25) + 0.004 * rng.normal(size=(30, 4))
    near /= near.sum(axis=1, keepdims=True)
    decision = decided(tmp_path, near, 2.0 + 1.0 / (0.5 + near[:, 0] ** 0.5) + 0.3 * near[:, 1])
    assert decision.distance.extrapolates
    lines = " ".join(decision.headline)
    assert "outside of what was run: intervals come from runs inside" in lines
    assert "not worth it" not in lines


def test_a_run_that_is_a_little_lower_is_named_too() -> None:
    """No more than chance explains, but nothing is given in silence that a run beat."""
    decision = law_decision(measured_lower=("r7", "r9")).judged()
    assert decision.headline[1] == (
        "Run r7 was measured lower (as 1 other) than this mixture is expected to be. The lowest of 40 runs "
        "is low by luck, too: take what r7 was trained on, unless a training of this mixture ends lower."
    )
    assert decision.headline[1] in decision.objections()
    assert decision.headline[1] in render_fit_html(FitView.of(decision))


def test_runs_lower_than_expected_are_those_within_the_limits_the_best_first() -> None:
    zero = np.zeros((4, 1))
    held_out = HeldOut(zero, zero, np.array([[0.3], [0.1], [0.2], [np.nan]]), np.arange(4))
    allowed = np.array([True, True, False, True])
    assert measured_lower(held_out, allowed, 0.35).tolist() == [1, 0]


def test_a_difference_from_the_best_run_names_what_was_predicted_of_it() -> None:
    """The run may have been measured lower than the pick is expected to be, which the lines before say."""
    decision = law_decision(measured_lower=("r7",)).judged()
    (gains,) = (line for line in decision.headline if line.startswith("Its target is expected"))
    assert gains.endswith("lower than uniform by 0.1000, lower than predicted of best observed by 0.0200.")
    page = render_fit_html(FitView.of(decision))
    assert "best observed run, as predicted</li>" in page
    assert ">Best observed, predicted</th>" in page


def test_a_mean_above_the_bound_of_most_draws_is_explained() -> None:
    """What knowing the law is worth is skewed: often nothing, seldom much."""
    (plain,) = (one for one in law_decision().judged().headline if one.startswith("Knowing the law"))
    assert "by 0.0010 (80%: by less than 0.0020), less than runs" in plain
    skewed = law_decision(expected_gain=6.4e-4, likely_gain=2.0e-4).judged()
    (said,) = (one for one in skewed.headline if one.startswith("Knowing the law"))
    assert (
        "by 6.4e-4 on average (80%: by less than 2.0e-4; few draws of the law make up that mean), less"
        in said
    )
