"""From a table of runs to a decision: what it holds, that it is honest, and what it refuses."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cuvee.decisions.document import encode
from cuvee.decisions.fit.decision import LawDecision
from cuvee.decisions.fit.headline import headline
from cuvee.decisions.fit.result import PICK
from cuvee.errors import ConfigError, InfeasibleRegion, MixtureError, SchemaError
from cuvee.execution.local import LocalProcesses
from cuvee.flows.fit.belief import Belief
from cuvee.flows.fit.distance import distance
from cuvee.flows.fit.flow import FitResult, decide
from cuvee.flows.fit.folder import load_decision, save
from cuvee.flows.fit.labels import labels
from cuvee.flows.fit.next_runs import worth_of_more
from cuvee.laws.interface import LawData
from cuvee.laws.registry import law_named
from cuvee.laws.resampling import Resamples
from cuvee.laws.spread import Spread
from cuvee.laws.validation import validate
from cuvee.mixture.mixture import Mixture
from cuvee.question.asked_runs import load
from cuvee.question.question import LAWS_COMPARED, Question
from cuvee.question.runs import checked_directions, read_runs
from cuvee.runs.formats.direction import Direction
from cuvee.runs.imported import import_runs
from cuvee.runs.observations import Observations
from cuvee.types import FloatArray
from tests.laws.samples import METRICS, SOURCES, mixtures, truth

FAST = ("effective_data",)
LOW: dict[str, Direction] = dict.fromkeys(METRICS, "lower")


def table(
    count: int = 60, noise: float = 0.01, seed: int = 0, scale: tuple[float, float] = (1e6, 1e9)
) -> str:
    shares = mixtures(count, seed)
    costs = truth(shares) + noise * np.random.default_rng(seed + 1).normal(size=(count, 3))
    head = ",".join(["key", "params", "tokens", *(f"w:{s}" for s in SOURCES), *(f"m:{m}" for m in METRICS)])
    rows = [
        ",".join([f"run{scale[0]:g}_{i}", *map(repr, scale), *map(repr, [*w.tolist(), *y.tolist()])])
        for i, (w, y) in enumerate(zip(shares, costs, strict=True))
    ]
    return "\n".join([head, *rows]) + "\n"


def observations(tmp_path: Path, count: int = 60, noise: float = 0.01) -> Observations:
    path = tmp_path / "runs.csv"
    path.write_text(table(count, noise), encoding="utf-8")
    return read_runs([path], {}).observations


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Observations:
    return observations(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def answer(runs: Observations) -> FitResult:
    question = Question(tokens={"books": 10, "code": 20, "law": 30, "web": 40}, target_tokens=100.0)
    return decide(runs, question, table="runs.csv")


def lowest_truth() -> float:
    shares = np.random.default_rng(5).dirichlet(np.ones(4), 100_000)
    return float(truth(shares).mean(axis=1).min())


def test_the_pick_is_close_to_the_best_there_is(answer: FitResult) -> None:
    pick = np.array(answer.decision.candidate(PICK).shares)
    assert truth(pick[None]).mean() - lowest_truth() < 0.005
    assert answer.decision.gap < 1e-4


def test_the_answer_holds_what_a_reader_needs(answer: FitResult) -> None:
    decision = answer.decision
    names = [one.name for one in decision.candidates]
    assert names == [PICK, "proportional", "uniform", "unimax", "best observed"]
    assert decision.candidates[0].target.mean == min(one.target.mean for one in decision.candidates)
    assert math.isfinite(decision.candidate("best observed").measured)
    for entry in decision.mixture:
        assert entry.low <= entry.share <= entry.high
        assert entry.epochs == pytest.approx(entry.share * 100.0 / entry.unique_tokens)
    assert [row.law for row in decision.laws if row.chosen] == ["effective_data"]
    assert {row.law for row in decision.laws} == set(LAWS_COMPARED)
    assert all(row.r_squared > 0.5 for row in decision.laws if row.law in ("effective_data", "ensemble"))
    assert {metric.name for metric in decision.metrics} == set(METRICS)
    assert any(worth.matters for worth in decision.sensitivities)
    assert decision.headline[0].startswith("Not checked: ")
    assert "believed on left-out runs, the mixture itself is not trained" in decision.verdict.why
    assert decision.expected_gain <= decision.likely_gain + 1e-12


def test_it_is_the_same_as_json(answer: FitResult) -> None:
    text = json.dumps(answer.decision.as_json(), allow_nan=False)
    again = LawDecision.from_json(json.loads(text))
    assert again == answer.decision
    assert json.dumps(again.as_json()) == json.dumps(answer.decision.as_json())


def test_a_metric_that_never_changes_is_kept_without_ranks(tmp_path: Path) -> None:
    """It has no rank correlation, and JSON no NaN."""
    lines = [",".join(["key", *(f"w:{name}" for name in SOURCES), "m:loss", "m:other_loss"])]
    for i, w in enumerate(mixtures(20, 0)):
        lines.append(",".join([f"run{i}", *map(repr, w.tolist()), repr(float(truth(w[None])[0, 0])), "0.0"]))
    path = tmp_path / "runs.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    question = Question(
        law="linear", weights={"loss": 1.0}, directions={"loss": "lower", "other_loss": "lower"}
    )
    answer = decide(import_runs([path]).observations, question, table="t", compared=())
    law = json.loads(json.dumps(answer.surrogate.as_json(), allow_nan=False))
    assert law["held_out"]["spearman"]["other_loss"] is None
    assert law["held_out"]["spearman"]["loss"] > 0.5


def test_worker_processes_change_no_number(runs: Observations) -> None:
    question = Question()
    here = decide(runs, question, table="t", compared=FAST)
    there = decide(runs, question, table="t", compared=FAST, executor=LocalProcesses(2))
    assert here.decision == there.decision
    assert here.surrogate.as_json() == there.surrogate.as_json()


def test_caps_guards_and_the_worst_case_are_kept(runs: Observations) -> None:
    question = Question(
        weights={"books_loss": 1.0}, guards={"code_loss": 0.02}, maximum={"books": 0.4}, minimum={"law": 0.1}
    )
    got = decide(runs, question, table="t", compared=FAST).decision
    shares = {entry.source: entry for entry in got.mixture}
    assert shares["books"].share <= 0.4 + 1e-9
    assert shares["law"].share >= 0.1 - 1e-9
    code = next(metric for metric in got.metrics if metric.name == "code_loss")
    assert code.predicted[PICK].mean <= code.predicted["uniform"].mean + 0.02 + 1e-5
    assert got.notes == (
        "Kept: at least 0.1 of law, at most 0.4 of books.",
        "Kept: code_loss no worse than at uniform by more than 0.02, under the law.",
    )
    worst = decide(runs, Question(aim="worst"), table="t", compared=FAST).decision
    assert worst.notes[0].startswith("The mixture lowers the largest weighted rise of a metric over uniform")
    rises = [m.predicted[PICK].mean - m.predicted["uniform"].mean for m in worst.metrics]
    mean = decide(runs, Question(), table="t", compared=FAST).decision
    assert (
        max(rises) <= max(m.predicted[PICK].mean - m.predicted["uniform"].mean for m in mean.metrics) + 1e-6
    )


def test_a_metric_that_is_better_when_higher_is_raised(runs: Observations) -> None:
    turned = replace(runs, values=-runs.values)
    low = decide(runs, Question(), table="t", compared=FAST).decision
    high = decide(
        turned, Question(directions=dict.fromkeys(METRICS, "higher")), table="t", compared=FAST
    ).decision
    assert [e.share for e in low.mixture] == [e.share for e in high.mixture]
    assert high.metrics[0].predicted[PICK].mean == -low.metrics[0].predicted[PICK].mean


def test_the_front_is_in_the_units_of_the_metrics(runs: Observations) -> None:
    turned = replace(runs, values=runs.values * [1.0, -1.0, 1.0])
    question = Question(
        directions={**LOW, "code_loss": "higher"}, front=("books_loss", "code_loss"), maximum={"web": 0.3}
    )
    got = decide(turned, question, table="t", compared=FAST).decision
    assert got.front_metrics == ("books_loss", "code_loss")
    first, last = got.front[0], got.front[-1]
    assert first.values[0] < last.values[0]
    assert 0.0 > last.values[1] > first.values[1]
    shares = np.array([point.shares for point in got.front])
    assert (shares[:, 3] <= 0.3 + 1e-9).all()
    errors = truth(shares)[:, :2] * [1.0, -1.0] - [point.values for point in got.front]
    assert np.abs(errors).max() < 0.1
    assert decide(turned, replace(question, front=()), table="t", compared=FAST).decision.front == ()


def test_guards_hold_all_along_the_front(runs: Observations) -> None:
    slack = {"quiz_loss": 0.01}
    question = Question(weights={"books_loss": 1.0}, guards=slack, front=("books_loss", "code_loss"))
    got = decide(runs, question, table="t", compared=FAST)
    shares = np.array([point.shares for point in got.decision.front])
    even = np.full((1, 4), 0.25)
    limit = got.surrogate.predict(even).mean[0, 2] + 0.01
    assert (got.surrogate.predict(shares).mean[:, 2] <= limit + 1e-4).all()


def test_more_runs_are_expected_to_gain_less(tmp_path: Path) -> None:
    few, many = (
        decide(observations(tmp_path, count, 0.02), Question(), table="t", compared=FAST).decision
        for count in (14, 200)
    )
    assert many.expected_gain < few.expected_gain
    assert 1 <= len(few.next_runs) <= 4
    assert all(abs(sum(run.shares) - 1.0) < 1e-9 for run in few.next_runs)
    assert few.next_runs[0].gain <= few.expected_gain + 1e-12
    assert sum(e.high - e.low for e in many.mixture) < sum(e.high - e.low for e in few.mixture)


def test_the_distance_is_worked_by_hand(runs: Observations) -> None:
    some = runs.select([0])
    corners = replace(some, shares=np.array([[1.0, 0.0, 0.0, 0.0]]))
    assert distance(corners, np.array([0.0, 1.0, 0.0, 0.0])).outside == pytest.approx(1.0)
    two = replace(runs.select([0, 1]), shares=np.array([[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]]))
    between = distance(two, np.array([0.5, 0.5, 0.0, 0.0]))
    assert (between.outside, between.nearest, between.typical) == pytest.approx((0.0, 0.5, 1.0))
    assert not between.extrapolates
    outside = distance(two, np.array([0.4, 0.0, 0.6, 0.0]))
    assert outside.outside == pytest.approx(0.6)
    assert outside.extrapolates


def test_a_run_where_the_draws_disagree_is_worth_more(runs: Observations) -> None:
    question = Question(directions=LOW)
    law = law_named("effective_data")
    data = LawData.of(runs)
    validated = validate(law, data)
    drawn = Resamples.draw(law, validated.fitted, data, 12, np.random.default_rng(0))
    weights = np.full(3, 1.0 / 3.0)
    pick = np.full(4, 0.25)
    apart: FloatArray = np.random.default_rng(1).dirichlet(np.ones(4), 12)
    spread = Spread.of(validated.held_out.combined(weights))
    belief = Belief(data, weights, validated, spread, drawn, pick, apart, question.level)
    worth = worth_of_more(belief)
    assert worth.runs
    assert all(a.gain >= b.gain for a, b in zip(worth.runs, worth.runs[1:], strict=False))
    assert worth.runs[0].gain <= worth.expected_gain + 1e-12
    same = replace(belief, optima=np.repeat(pick[None], 12, axis=0))
    assert worth_of_more(same).expected_gain == 0.0
    assert worth_of_more(same).runs == ()


def test_noise_alone_is_told_in_the_first_line(tmp_path: Path) -> None:
    path = tmp_path / "noise.csv"
    rng = np.random.default_rng(0)
    rows = [[*w, *rng.normal(size=1)] for w in mixtures(40, 3).tolist()]
    head = ",".join([*(f"w:{s}" for s in SOURCES), "m:loss"])
    path.write_text("\n".join([head, *(",".join(map(repr, map(float, row))) for row in rows)]) + "\n")
    got = decide(read_runs([path], {}).observations, Question(), table="t", compared=FAST)
    assert got.decision.headline[0].startswith("Do not rely on this")
    assert got.decision.verdict.standing == "not checked" and "it is not believed" in got.decision.verdict.why


RULES: dict[str, tuple[dict[str, Any], bool, str]] = {
    "the law explains": ({}, True, "believed on left-out runs, the mixture itself is not trained."),
    "it explains too little": ({"r_squared": 0.3}, False, "explains 30% of the differences between 60 runs"),
    "it explains nothing": (
        {"r_squared": -0.5},
        False,
        "is worse than their mean (R2 -0.50): it is not believed",
    ),
    "outside of the runs": ({"outside": 0.3}, True, "30% of the tokens would have to change place"),
    "the mixture of a run": ({"nearest": 0.01}, True, "The mixture is that of run run7, which it knows."),
    "another law is better": ({"r_squared": 0.5}, True, "see what it chooses with --law"),
}


@pytest.mark.parametrize("rule", RULES)
def test_a_law_that_is_believed_leaves_its_mixture_to_be_trained(answer: FitResult, rule: str) -> None:
    changes, believed, said = RULES[rule]
    laws = tuple(
        replace(row, r_squared=changes.get("r_squared", 0.95)) if row.chosen else row
        for row in answer.decision.laws
    )
    lies = {"nearest": 0.2, "outside": 0.0} | {k: v for k, v in changes.items() if k != "r_squared"}
    where = replace(answer.decision.distance, typical=0.1, nearest_run="run7", **lies)
    decision = replace(answer.decision, laws=laws, distance=where).judged()
    assert decision.verdict.standing == "not checked"
    assert said in decision.verdict.why
    first = "Not checked: " if believed else "Do not rely on this mixture: "
    assert decision.headline[0].startswith(first)


def test_fits_of_the_first_schema_open_with_a_verdict(answer: FitResult) -> None:
    document = {key: value for key, value in answer.decision.as_json().items() if key != "verdict"}
    document |= {"schema": 1, "headline": ["Mixture: as before."]}
    assert LawDecision.from_json(document) == answer.decision
    with pytest.raises(SchemaError, match="must be a positive number"):
        LawDecision.from_json(document | {"schema": 0})


@pytest.mark.parametrize(
    ("question", "told"),
    [
        (Question(weights={"nothing": 1.0}), "no metric 'nothing'"),
        (Question(guards={"nothing": 1.0}), "no metric 'nothing'"),
        (Question(maximum={"nothing": 1.0}), "unknown source"),
        (Question(baseline="nothing"), "neither a run of the table nor"),
        (Question(baseline="proportional"), "baseline proportional needs the tokens of every source"),
        (Question(front=("books_loss", "nothing")), "no metric 'nothing'"),
        (
            Question(tokens={"web": 9, "code": 9}),
            "--tokens is missing for books, law; .*--tokens books=COUNT",
        ),
        (
            Question(tokens={"web": 9, "wbe": 9}),
            "--tokens names wbe, no source of the runs; there are: books",
        ),
        (
            Question(tokens={"web": 9}, target_tokens=9.0, max_epochs=4.0),
            "--tokens is missing for books, code, law",
        ),
        (Question(law="nothing"), "no law 'nothing'"),
    ],
)
def test_what_is_not_there_is_told(runs: Observations, question: Question, told: str) -> None:
    with pytest.raises((ConfigError, MixtureError), match=told):
        decide(runs, question, table="t", compared=())


def test_caps_that_no_mixture_can_meet_are_told(runs: Observations) -> None:
    with pytest.raises(InfeasibleRegion):
        decide(runs, Question(maximum=dict.fromkeys(SOURCES, 0.2)), table="t", compared=FAST)


def test_few_or_equal_runs_are_refused(runs: Observations) -> None:
    with pytest.raises(ConfigError, match=r"1 of 1 run .* needs 3"):
        decide(runs.select([0]), Question(), table="t", compared=FAST)
    same = replace(runs, shares=np.repeat(runs.shares[:1], len(runs), axis=0))
    with pytest.raises(ConfigError, match="same mixture"):
        decide(same, Question(), table="t", compared=FAST)
    flat = replace(runs, values=np.ones_like(runs.values))
    with pytest.raises(ConfigError, match="the target is the same in all runs"):
        decide(flat, Question(), table="t", compared=FAST)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: Question(level=1.0), "level"),
        (lambda: Question(max_epochs=4.0), "needs the tokens"),
        (lambda: Question(weights={"a": -1.0}), "at least 0"),
        (lambda: Question(weights={"a": 0.0}), "positive weight"),
        (lambda: Question(target_tokens=-1.0), "positive"),
        (lambda: Question(front=("a",)), "two metrics .*; given were: a$"),
        (lambda: Question(front=("a", "a")), "two metrics"),
        (lambda: Question(front=("a", "b", "a")), "two metrics"),
    ],
)
def test_a_question_makes_sense(make: object, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        make()  # type: ignore[operator]


def test_the_scale_with_most_runs_is_used_and_told(tmp_path: Path) -> None:
    small, large = tmp_path / "small.csv", tmp_path / "large.csv"
    small.write_text(table(30), encoding="utf-8")
    large.write_text(table(8, seed=4, scale=(6e7, 1e9)), encoding="utf-8")
    both = read_runs([small, large], {})
    assert len(both.observations) == 30
    assert both.warnings[0].startswith(
        "Of 2 scales the largest with nearly as many runs as any is used: the 30"
    )
    assert len(read_runs([small, large], {"params": "60000000"}).observations) == 8


def test_an_unknown_direction_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    path.write_text(table(10).replace("quiz_loss", "quiz_gain"), encoding="utf-8")
    found = read_runs([path], {})
    with pytest.raises(ConfigError, match="--lower 'quiz_gain'"):
        checked_directions(found, Question())
    assert (
        checked_directions(found, Question(weights={"books_loss": 1.0})).directions["books_loss"] == "lower"
    )
    told = read_runs([path], {}, higher=["quiz_gain"])
    assert checked_directions(told, Question()).directions["quiz_gain"] == "higher"
    with pytest.raises(ConfigError, match="named as better when lower and"):
        read_runs([path], {}, lower=["quiz_gain"], higher=["quiz_gain"])


def test_what_was_asked_can_be_asked_again(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    path.write_text(table(30), encoding="utf-8")
    found = read_runs([path], {})
    question = checked_directions(found, Question(maximum={"web": 0.3}, seed=3))
    first = decide(found.observations, question, table=found.name, notes=found.notes, compared=FAST)
    save(tmp_path / "fit", found, question, first)
    runs, again = load(tmp_path / "fit")
    assert encode(again) == encode(question)
    second = decide(runs.observations, again, table=runs.name, notes=runs.notes, compared=FAST)
    assert second.decision == first.decision == load_decision(tmp_path / "fit")
    (tmp_path / "fit" / "question.json").write_text("{", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"question\.json cannot be read"):
        load(tmp_path / "fit")
    with pytest.raises(ConfigError, match="make it with `cuvee fit"):
        load(tmp_path / "nowhere")


def test_the_law_in_the_file_predicts_without_cuvee(answer: FitResult) -> None:
    law = json.loads(json.dumps(answer.surrogate.as_json(), allow_nan=False))
    shares = np.random.default_rng(2).dirichlet(np.ones(4), 20)
    for name, p in law["metrics"].items():
        c, g, b = (np.array(p[key]) for key in "CgB")
        by_hand = p["E"] + (p["eps"] + (c * shares**g).sum(axis=1)) ** -p["b"] + shares @ b
        predicted = answer.surrogate.predict([Mixture(SOURCES, row) for row in shares])
        assert by_hand == pytest.approx(predicted.mean[:, METRICS.index(name)], abs=1e-9)


def test_the_first_lines_say_at_which_scale_the_target_is_expected(answer: FitResult) -> None:
    def told(decision: LawDecision) -> str:
        return next(line for line in headline(decision) if line.startswith("Its target is expected"))

    decision = replace(answer.decision, target_tokens=1e12)
    assert " at the scale of the runs of 1M parameters and 1B tokens, not of 1T tokens (" in told(decision)
    assert " in runs of 1M parameters and 1B tokens (80%" in told(replace(decision, target_tokens=1e9))
    assert " in runs of 1M parameters and 1B tokens (80%" in told(replace(decision, target_tokens=math.nan))
    unknown = replace(decision, parameters=math.nan, tokens=math.nan)
    assert " at the scale of the runs, not of 1T tokens (" in told(unknown)
    larger = replace(decision, target_parameters=7e9)
    assert ", not of 7B parameters and 1T tokens (" in told(larger)
    assert " at the scale of the runs (" in told(replace(unknown, target_tokens=math.nan))


def test_tied_mixtures_are_called_by_their_main_shares(tmp_path: Path) -> None:
    noisy = observations(tmp_path, 30, 0.2)
    got = decide(noisy, Question(), table="t", compared=FAST).decision
    names = [one.name for one in got.tied]
    drawn = [one for one in got.tied if one.name not in [rival.name for rival in got.candidates]]
    assert drawn and len(set(names)) == len(names)
    for one in drawn:
        told = [part.split("% ") for part in one.name.split(", ")]
        shares = dict(zip(got.sources, one.shares, strict=True))
        assert [share for share, _ in told] == [f"{100 * shares[name]:.0f}" for _, name in told]
        assert shares[told[0][1]] == max(one.shares)


def test_labels_get_finer_until_they_differ() -> None:
    rows = np.array([[0.5, 0.3, 0.2], [0.5, 0.301, 0.199], [0.6, 0.4, 0.0], [0.1, 0.1, 0.8]])
    assert labels(("a", "b", "c"), rows[:3]) == (
        "50.0% a, 30.0% b, 20.0% c",
        "50.0% a, 30.1% b, 19.9% c",
        "60% a, 40% b",
    )
    assert labels(("a", "b", "c"), rows[[0, 3]]) == ("50% a, 30% b", "80% c, 10% a")
    assert labels(("a", "b", "c"), np.empty((0, 3))) == ()
