"""``cuvee scale``: ladders, optima, and a real climb of a few seconds."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from cuvee.cli.app import app
from cuvee.cli.report import write
from cuvee.decisions.scale.verdict import verdict_of
from cuvee.errors import ConfigError, SchemaError
from cuvee.execution.local import InProcess
from cuvee.exporters.decided import read_decided
from cuvee.flows import scale
from cuvee.flows.scale.ladder import CHECKED, Ladder, Rung
from cuvee.flows.scale.optima import ASSUMED_NOISE, Optima, RungLosses, noise_of
from cuvee.laws.ddo import PowerLaw
from cuvee.runs.metric_names import NATS
from cuvee.runs.store import RunStore
from cuvee.study.file.config import StudyConfig
from cuvee.study.file.folder import StudyFolder
from cuvee.study.opening import opened
from cuvee.study.speedup import Curve, first_reaches, speedup_of, tokens_to_reach
from tests.study.tiny_study import LANGUAGES, Listener, hashes, settings, write_study

SCALED: dict[str, Any] = {
    "target_run": {"tokens": 22_000, "max_epochs": 30},
    "scale": {"budget_flops": 1e12, "seeds": 2, "replicates": 1, "step": 2.0},
}


def flops(parameters: int) -> float:
    return 6.0 * parameters


def config(**changes: Any) -> StudyConfig:
    return StudyConfig.parse(settings(**(SCALED | changes)), Path())


# Ladders


def test_a_rung_changes_one_source_at_a_time() -> None:
    runs = Rung(1000, 9000).runs(("a", "b", "c"), (1 / 3, 3.0), replicates=2)
    assert [(run.source, run.factor, run.replica) for run in runs] == [
        ("", 1.0, 0),
        ("", 1.0, 1),
        ("", 1.0, 2),
        *((name, factor, 0) for name in "abc" for factor in (1 / 3, 3.0)),
    ]
    more = runs[4]
    assert more.tokens == 15_000
    assert more.mixture.as_dict() == pytest.approx({"a": 0.6, "b": 0.2, "c": 0.2})
    less = runs[3]
    assert less.tokens == 7000
    assert less.mixture.share("a") * less.tokens == pytest.approx(1000)


@hypothesis_settings(max_examples=40, deadline=None)
@given(st.floats(5e13, 1e17), st.floats(1.2, 5.0), st.integers(2, 4), st.integers(0, 3))
def test_a_ladder_keeps_to_its_budget_and_ends_at_the_target(
    budget: float, step: float, rungs: int, seeds: int
) -> None:
    asked = config(
        target_run={"tokens": 3_000_000},
        scale={"budget_flops": budget, "step": step, "rungs": rungs, "seeds": seeds},
    )
    if step ** (rungs + (seeds > 0) - 1) > 3_000_000 / 5120:
        with pytest.raises(ConfigError, match="leave no room"):
            Ladder.of(asked, 100_000, flops)
        return
    ladder = Ladder.of(asked, 100_000, flops)
    spent = sum(flops(rung.parameters) * tokens for rung, tokens in ladder.trained(asked))
    assert spent <= budget
    levels = [*ladder.rungs, *([ladder.check] if ladder.check else [])]
    tokens = [rung.tokens for rung in levels]
    assert len(ladder.rungs) == rungs and (ladder.check is None) == (seeds == 0)
    assert np.diff(np.log(tokens)) == pytest.approx(np.log(step), abs=1e-3)
    assert tokens[-1] <= 3_000_000 == ladder.target.tokens
    # Nothing is left over: the next larger ladder would not be paid, or reaches the target.
    assert spent > 0.98 * budget or tokens[-1] > 2_990_000
    drawn = [rung.tokens for rung in ladder.scales]
    assert (drawn[0], drawn[-1]) == (tokens[0], 3_000_000) and drawn == sorted(drawn)


def test_parameters_grow_with_tokens_towards_the_target() -> None:
    asked = config(
        target_run={"tokens": 10**9, "parameters": 10_000_000}, scale={"budget_flops": 1e16, "step": 10.0}
    )
    ladder = Ladder.of(asked, 100_000, flops)
    assert ladder.rungs[0].parameters == 100_000
    assert ladder.target == Rung(10_000_000, 10**9)
    sizes = [rung.parameters for rung in (*ladder.rungs, ladder.check) if rung]
    whole = np.log(10**9 / ladder.rungs[0].tokens)
    for rung in ladder.rungs:
        place = np.log(rung.tokens / ladder.rungs[0].tokens) / whole
        assert rung.parameters == pytest.approx(100_000 * 100**place, rel=1e-3)
    assert sizes == sorted(sizes)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"target_run": {"tokens": None}}, "target_run.tokens: missing"),
        ({"sources": {"ka": "text/ka.jsonl"}}, "one alone leaves nothing to decide"),
        ({"target_run": {"tokens": 10_000}}, "leave no room for 3 scales"),
        (
            {"scale": SCALED["scale"] | {"budget_flops": 1e9}},
            r"budget_flops: 1\.00e9 are too few; the smallest",
        ),
    ],
)
def test_ladders_that_cannot_be_are_refused(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        Ladder.of(config(**changes), 100_000, flops)


@pytest.mark.parametrize(
    ("section", "told"),
    [
        ({"factors": [3.0]}, "at least two different factors"),
        ({"factors": [1.0, 3.0]}, "at least two different factors"),
        ({"least_amount": 1.0}, "must stay below 1"),
        ({"power_law": "published", "factors": [0.3, 2.0, 3.0]}, "give two `factors`"),
        ({"step": 1.0}, "1"),
        ({"rungs": 1}, "at least 2"),
    ],
)
def test_settings_that_make_no_sense_are_refused(section: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        config(scale={"budget_flops": 1e12} | section)


# Optima


def measured(rung: Rung, noise: float = 0.0, seed: int = 0) -> RungLosses:
    """Runs whose target loss is a sum of power laws of the amounts of three sources."""
    rng = np.random.default_rng(seed)
    runs = rung.runs(("a", "b", "c"), (1 / 3, 3.0), replicates=3)
    losses = []
    for run in runs:
        amounts = run.mixture.shares * run.tokens / 1000.0
        true = float(sum((amount + 0.5) ** -b for amount, b in zip(amounts, (0.1, 0.3, 0.5), strict=True)))
        losses.append(true * (1 + noise * rng.normal()))
    return RungLosses(rung, tuple(runs), np.array(losses))


def test_optima_follow_the_power_laws_and_move_with_scale() -> None:
    small, large = (measured(Rung(1, tokens), 1e-5) for tokens in (3000, 30_000))
    found = Optima.of([small, large], "likeliest", 0.0, seed=0)
    for index, one in enumerate((small, large)):
        best = found.at_rung(index)

        def loss(shares: np.ndarray, tokens: int = one.rung.tokens) -> float:
            amounts = np.asarray(shares) * tokens / 1000.0
            return float(((amounts + 0.5) ** -np.array([0.1, 0.3, 0.5])).sum())

        others = np.random.default_rng(0).dirichlet(np.ones(3), 4000)
        assert loss(best.shares) < min(loss(one) for one in others) + 2e-3
    # What falls steeply is had early: the slow source a gains share as runs grow.
    assert found.at_rung(1).share("a") > found.at_rung(0).share("a")
    assert found.at(300_000).share("a") > found.at_rung(1).share("a")
    drawn = found.drawn_at(300_000)
    assert drawn.sum(axis=1) == pytest.approx(np.ones(len(drawn)))
    inside = np.quantile(drawn, [0.02, 0.98], axis=0)
    assert (inside[0] <= found.at(300_000).shares + 0.02).all()
    assert (found.at(300_000).shares - 0.02 <= inside[1]).all()


def test_more_noise_makes_optima_less_sure() -> None:
    widths = []
    for noise in (1e-4, 1e-2):
        rungs = [measured(Rung(1, tokens), noise, seed) for seed, tokens in enumerate((3000, 9000))]
        found = Optima.of(rungs, "likeliest", 0.2, seed=0)
        assert np.mean(found.noise) == pytest.approx(noise, rel=0.8)
        widths.append(found.drawn_at(27_000).std(axis=0).mean())
    assert widths[1] > 3 * widths[0]


def test_the_published_way_meets_three_runs_exactly() -> None:
    rungs = [measured(Rung(1, tokens)) for tokens in (3000, 9000)]
    found = Optima.of(rungs, "published", 0.2, seed=0)
    law = found.laws[0]["c"]
    assert isinstance(law, PowerLaw)
    one = rungs[0].by_source()["c"]
    assert law(np.array(one.amounts)) == pytest.approx(np.array(one.losses), abs=1e-6)


def test_noise_without_replicates_is_assumed() -> None:
    alone = RungLosses(Rung(1, 100), tuple(Rung(1, 100).runs(("a", "b"), (0.5, 2.0), 0)), np.ones(5))
    assert noise_of([alone]) == (ASSUMED_NOISE,)


# What trainings are worth


def test_speed_is_told_in_tokens() -> None:
    tokens = np.array([1.0, 2.0, 3.0, 4.0])
    slow, fast = (tokens, np.array([4.0, 3.0, 2.0, 1.5])), (tokens, np.array([3.0, 2.0, 1.0, 0.5]))
    assert tokens_to_reach(fast, 1.5) == pytest.approx(2.5)
    assert tokens_to_reach(slow, 1.0) == float("inf")
    assert tokens_to_reach(slow, 5.0) == 1.0
    assert speedup_of(fast, slow) == pytest.approx(4.0 / 2.5)
    assert speedup_of(slow, fast) == pytest.approx(2.5 / 4.0)
    assert speedup_of(slow, slow) == pytest.approx(1.0)
    assert not first_reaches(fast, slow) and not first_reaches(slow, fast)
    early = (fast[0], np.minimum(fast[1], slow[1][-1]))
    assert first_reaches(early, slow) and first_reaches(slow, early)


# A climb


@dataclass
class Climbed:
    folder: StudyFolder
    decision: scale.ScaleDecision
    listener: Listener


@pytest.fixture(scope="module")
def climbed(tmp_path_factory: pytest.TempPathFactory) -> Climbed:
    folder = write_study(tmp_path_factory.mktemp("scale"), **SCALED)
    listener = Listener()
    decision = scale.run(StudyConfig.load(folder.root), folder, listener, InProcess())
    return Climbed(folder, decision, listener)


def test_flops_and_hours_are_told_before_anything_is_trained(climbed: Climbed) -> None:
    said = climbed.listener.said[-1]
    assert "runs, " in said and "FLOPs of the 1.0e12 allowed" in said and "to go on this machine" in said
    assert climbed.listener.stages[-2:] == ["training the rungs", "training the mixtures found"]


def test_the_decision_holds_together(climbed: Climbed) -> None:
    decision = climbed.decision
    assert decision.sources == LANGUAGES
    assert decision.target_tokens == 22_000
    assert [row.runs for row in decision.rungs] == [2 + 2 * 4] * 2
    assert decision.flops <= decision.budget_flops * 1.05  # measuring comes on top of training
    assert len(decision.checks) == CHECKED
    best = decision.checks[0]
    assert decision.method == best.name
    assert best.loss.mean == min(row.loss.mean for row in decision.checks)
    for row in decision.checks:
        assert len(row.losses) == 2 and row.loss.mean == pytest.approx(np.mean(row.losses))
        assert sum(row.shares) == pytest.approx(1.0)
        for other in decision.checks:
            if other.name != row.name:
                back = other.speedup[row.name]
                assert row.speedup[other.name].low == pytest.approx(1.0 / back.high)
    last = [point for point in decision.path if point.tokens == 22_000]
    assert {point.method for point in last} == {"AutoScale", "law effective_data_scaling"}
    chosen = [point for point in last if point.method == decision.method]
    if chosen:
        shares = [share.mean for share in chosen[0].shares]
        assert shares == pytest.approx([entry.share for entry in decision.mixture], abs=1e-6)
    for point in last:
        assert all(0.0 <= share.low <= share.high <= 1.0 for share in point.shares)
    assert decision.verdict == verdict_of(decision)


def test_what_a_mixture_saves_is_read_off_one_yardstick(climbed: Climbed) -> None:
    """On its way a training is measured on a part of the documents, at its end on all."""
    curves: dict[tuple[float, ...], dict[int, Curve]] = {}
    apart = []
    with RunStore(climbed.folder.store) as store:
        for run in store.runs(role="check"):
            along = [(step, np.mean(list(losses.values()))) for step, losses in run.details["along"]]
            end = float(np.mean([value for name, value in run.metrics.items() if name.startswith(NATS)]))
            apart.append(abs(end - along[-1][1]))
            values = np.array([loss for _, loss in along]) + end - along[-1][1]
            steps = np.array([step for step, _ in along], dtype=np.float64)
            seeds = curves.setdefault(tuple(np.round(run.mixture.shares, 9)), {})
            seeds[run.seed] = (steps, values)
    assert max(apart) > 0.001, "the part has the loss of the whole: this test shows nothing"
    best = climbed.decision.checks[0]
    even = next(row for row in climbed.decision.checks if row.name == "uniform")
    ones, others = (curves[tuple(np.round(row.shares, 9))] for row in (best, even))
    needed = [speedup_of(ones[seed], others[seed]) for seed in ones]
    assert best.speedup["uniform"].mean == pytest.approx(np.mean(needed))
    assert best.document_error["uniform"] > 0.0 and climbed.decision.documents > 0


def test_the_law_predicted_the_trainings_above(climbed: Climbed) -> None:
    rows = {row.law: row for row in climbed.decision.laws}
    ours = rows["effective_data_scaling"]
    even = next(row for row in climbed.decision.checks if row.name == "uniform")
    base = climbed.decision.rungs[-1].base
    assert ours.error < abs(base - even.loss.mean)  # better than "as at the top rung"
    assert 0.0 <= ours.inside <= 1.0


def test_a_second_climb_trains_nothing_and_says_the_same(climbed: Climbed) -> None:
    before = hashes(climbed.folder.checkpoints)
    listener = Listener()
    again = scale.run(StudyConfig.load(climbed.folder.root), climbed.folder, listener, InProcess())
    assert again.as_json() == climbed.decision.as_json()
    assert not any("training" in stage and "text" not in stage for stage in listener.stages)
    assert hashes(climbed.folder.checkpoints) == before
    ahead = scale.outlook(StudyConfig.load(climbed.folder.root), climbed.folder, executor=InProcess())
    assert [row.left for row in ahead.rows][:2] == [0, 0]
    assert json.dumps(ahead.as_json())


def test_reports_are_written_and_read_back(climbed: Climbed) -> None:
    page = write(climbed.decision, climbed.folder.root)[0]
    text = page.read_text(encoding="utf-8")
    assert text.count('class="path"') == len(LANGUAGES)
    assert "http" not in text.replace("http-equiv", "").replace("http://www.w3.org", "")
    document = json.loads((climbed.folder.root / "scale.json").read_text())
    back = scale.ScaleDecision.from_json(document)
    assert back.as_json() == climbed.decision.as_json()
    decided = read_decided(climbed.folder.root)
    assert decided.target_tokens == 22_000
    assert decided.mixture.as_dict() == pytest.approx({e.source: e.share for e in back.mixture})
    beside = read_decided(climbed.folder.root, "uniform")
    assert beside.mixture.share("ka") == pytest.approx(0.25)
    with pytest.raises(SchemaError, match="upgrade cuvee"):
        scale.ScaleDecision.from_json({**document, "schema": 99})


def test_the_command_tells_the_ladder_and_prints_the_decision(climbed: Climbed) -> None:
    root = climbed.folder.root
    before = hashes(climbed.folder.checkpoints)
    ahead = CliRunner().invoke(app, ["scale", str(root), "--plan", "--json"])
    assert ahead.exit_code == 0, ahead.stderr
    assert [row["left"] for row in json.loads(ahead.stdout)["rows"]][:2] == [0, 0]
    shown = CliRunner().invoke(app, ["scale", str(root), "--plan"], env={"COLUMNS": "120"})
    assert "time to go" in shown.stdout and "runs" in shown.stdout
    told = CliRunner().invoke(app, ["scale", str(root)], env={"COLUMNS": "120"})
    assert told.exit_code == 0, told.stderr
    verdict = climbed.decision.verdict
    for sentence in (*climbed.decision.headline, f"verdict: {verdict.title.lower()}. {verdict.why}"):
        assert sentence in told.stdout
    assert f"report: {root / 'scale.html'}" in told.stdout
    (root / "scale.html").unlink()
    again = CliRunner().invoke(app, ["report", str(root)], env={"COLUMNS": "120"})
    assert again.exit_code == 0 and again.stdout == told.stdout
    assert (root / "scale.html").is_file()
    looked = CliRunner().invoke(app, ["status", str(root)], env={"COLUMNS": "120"})
    assert f"ladder: {climbed.decision.headline[0]}" in looked.stdout
    assert hashes(climbed.folder.checkpoints) == before


def test_repetition_is_matched_unless_it_is_turned_off(climbed: Climbed, tmp_path: Path) -> None:
    parts = {}
    for matched in (True, False):
        changed = SCALED | {"target_run": SCALED["target_run"] | {"simulated_epoching": matched}}
        folder = write_study(tmp_path / str(matched), **changed)
        with opened(StudyConfig.load(folder.root), folder, executor=InProcess()) as runner:
            rung = Rung(100_000, 2_200)
            base = rung.runs(LANGUAGES, (1 / 3, 3.0), 0)[0]
            parts[matched] = runner.plan.alone(
                base.mixture, runner.plan.model, base.tokens, rung.tokens
            ).fractions
    assert parts[False] == {}
    assert parts[True] == pytest.approx(dict.fromkeys(LANGUAGES, 0.1))
    off = replace(climbed.decision, simulated_epoching=False)
    write(off, tmp_path)[0]
    assert "Simulated epoching is off" in (tmp_path / "scale.html").read_text()


def test_a_climb_without_a_check_is_said_to_be_untested(tmp_path: Path) -> None:
    changed = SCALED | {
        "scale": {"budget_flops": 1.2e11, "seeds": 0, "replicates": 0, "step": 2.0},
        "target_run": {"tokens": 400_000, "max_epochs": 60, "simulated_epoching": False},
    }
    folder = write_study(tmp_path, **changed)
    decision = scale.run(StudyConfig.load(folder.root), folder, Listener(), InProcess())
    assert (decision.method, decision.verdict.standing) == ("AutoScale", "not checked")
    assert decision.checks == () and decision.check_tokens == 0
    told = " ".join(decision.warnings)
    for words in (
        "Simulated epoching is off",
        "No base run was trained again",
        "times longer than the longest",
    ):
        assert words in told
    assert decision.headline[0].startswith("Not checked: ")
    assert "It was never trained" in decision.verdict.why
    assert write(decision, tmp_path)[0].is_file()
