"""References trained again under other conditions: priced, kept apart, and the same after a break."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cuvee.cli.app import app
from cuvee.decisions.ablation.decision import Decision
from cuvee.errors import ConfigError
from cuvee.execution.local import InProcess
from cuvee.flows.ablation import conclude
from cuvee.flows.ablation import flow as ablation
from cuvee.flows.ablation.judge import Judge
from cuvee.flows.simulate.table import read_table
from cuvee.mixture.mixture import Mixture
from cuvee.notebook.law_runs import check_alike
from cuvee.runs.observations import Observations
from cuvee.runs.roles import ORDER, OTHER_RATE, OTHER_SEED_MODEL, OTHER_SIZE, OTHER_TOKENS
from cuvee.runs.run import Run
from cuvee.runs.store import RunStore
from cuvee.sources.tokenizer import train_tokenizer
from cuvee.study.file.config import StudyConfig
from cuvee.study.file.folder import StudyFolder
from cuvee.study.opening import opened
from cuvee.study.plan.agenda import Agenda
from cuvee.study.survey import survey
from tests.models.tiny_models import save_random
from tests.study.tiny_study import (
    LANGUAGES,
    SEED_DATA,
    change_study,
    hashes,
    killed,
    run,
    settings,
    texts,
    timeless,
    write_study,
)

QUICK: dict[str, Any] = {
    "seed_training": SEED_DATA | {"tokens": 8 * 256},
    "branch_training": SEED_DATA | {"tokens": 4 * 256},
    "references": {"count": 5, "replicates": 1},
    "candidates": {"count": 8},
    "evaluation_tokens": 128,
    "check": {"seeds": 0},
}
ORDERED = QUICK | {"order": {"mixtures": 4, "parameters": 1.5}}
UNGIVEN = ("tokenizer", "split")
"""Sections that a study of a given checkpoint has otherwise."""
STAGE = "training references under other conditions"


@dataclass(frozen=True)
class Finished:
    folder: StudyFolder
    ahead: dict[str, tuple[int, int, int]]
    """Of the plan before anything was trained: stage -> runs, what is left of them, tokens of one."""
    decision: Decision


@pytest.fixture(scope="module", autouse=True)
def few_halves() -> Iterator[None]:
    """Uncertainty from a few halves: sixty take longer than all the rest of a study this small."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conclude, "Judge", partial(Judge, pairs=2))
        yield


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    folder = write_study(tmp_path_factory.mktemp("ordered"), **ORDERED)
    ahead = planned(folder)
    decision = run(folder)
    folder.decision.write_text(json.dumps(decision.as_json()))
    return Finished(folder, ahead, decision)


def planned(folder: StudyFolder) -> dict[str, tuple[int, int, int]]:
    ahead = ablation.outlook(StudyConfig.load(folder.root), folder, executor=InProcess())
    return {row.title: (row.runs, row.left, row.tokens) for row in ahead.rows}


def trained(folder: StudyFolder) -> list[Run]:
    with RunStore(folder.store) as store:
        return [one for one in store.runs(kind="trained") if one.role != "snapshot"]


def observed(folder: StudyFolder) -> Observations:
    with RunStore(folder.store) as store:
        return store.observations()


def test_the_plan_prices_every_condition(finished: Finished) -> None:
    seed_tokens = finished.ahead["seed model of another size"][2]
    assert finished.ahead["replicates"] == (4, 4, 4 * 256), "the mixtures under other conditions"
    assert list(finished.ahead.items())[4:8] == [
        ("seed model of another size", (1, 1, seed_tokens)),
        ("references at another rate", (4, 4, 4 * 256)),
        ("references on other tokens", (4, 4, 8 * 256)),
        ("references of another size", (4, 4, 4 * 256)),
    ]
    assert all(left == 0 for _, left, _ in planned(finished.folder).values())


def test_one_thing_is_otherwise_each_time(finished: Finished) -> None:
    config = StudyConfig.load(finished.folder.root)
    with opened(config, finished.folder, executor=InProcess()) as runner:
        plan = runner.plan
    chosen = [Mixture.of(row) for row in json.loads(finished.folder.references.read_text())][:4]
    runs = trained(finished.folder)
    by_role = {role: [one for one in runs if one.role == role] for role in ("replicate", *ORDER)}
    assert {role: len(found) for role, found in by_role.items()} == dict.fromkeys(by_role, 4) | {
        OTHER_SEED_MODEL: 1
    }
    for role in ("replicate", OTHER_RATE, OTHER_TOKENS, OTHER_SIZE):
        assert {one.mixture.key for one in by_role[role]} == {one.key for one in chosen}
    sizes = {role: {(one.params, one.tokens) for one in found} for role, found in by_role.items()}
    (larger,) = {one.params for one in by_role[OTHER_SIZE]}
    assert larger is not None and 1.2 * plan.parameters < larger < 2.5 * plan.parameters
    usual = (plan.parameters, 4 * 256)
    assert sizes["replicate"] == sizes[OTHER_RATE] == {usual}
    assert sizes[OTHER_TOKENS] == {(plan.parameters, 8 * 256)}
    assert sizes[OTHER_SIZE] == {(larger, 4 * 256)}
    (_, seed_tokens) = next(iter(sizes[OTHER_SEED_MODEL]))
    assert seed_tokens == pytest.approx(8 * 256 * larger / plan.parameters, abs=128)
    rates = {
        json.loads(path.read_text())["learning_rates"][0]
        for path in finished.folder.checkpoints.glob("*/training.json")
        if path.parent.name in {one.details["run"] for one in by_role[OTHER_RATE]}
    }
    assert rates == {0.25 * 3e-3}
    seeds = {role: {one.seed for one in runs if one.role == role} for role in ("reference", "replicate")}
    others = {one.seed for role in (OTHER_RATE, OTHER_TOKENS, OTHER_SIZE) for one in by_role[role]}
    assert len(others) == 1 and not others & (seeds["reference"] | seeds["replicate"])


def test_the_decision_says_whether_the_order_survives(finished: Finished) -> None:
    order = finished.decision.order
    assert order is not None and order.mixtures == 4 and order.noise > 0
    assert [row.changed for row in order.rows] == ["seed", "learning rate", "tokens", "parameters"]
    assert [row.factor for row in order.rows[1:3]] == [0.25, 2.0]
    for row in order.rows:
        assert 0 <= row.kept <= row.differing <= row.pairs == 6
        assert row.spearman_low <= row.spearman <= row.spearman_high
    told = Counter({row.stage: row.count for row in finished.decision.ledger if row.kind == "trained"})
    assert [told[role] for role in ORDER] == [1, 4, 4, 4]
    assert len(finished.decision.references) == 5


def test_status_counts_them(finished: Finished) -> None:
    found = survey(StudyConfig.load(finished.folder.root), finished.folder)
    assert found.finished
    assert {stage.title: (stage.done, stage.total) for stage in found.stages[3:8]} == {
        "replicates of references": (4, 4),
        "seed model of another size": (1, 1),
        "references at another rate": (4, 4),
        "references on other tokens": (4, 4),
        "references of another size": (4, 4),
    }


def test_the_report_and_the_terminal_say_it(finished: Finished) -> None:
    assert finished.decision.order is not None
    shown = CliRunner().invoke(app, ["report", str(finished.folder.root)], env={"COLUMNS": "400"})
    assert shown.exit_code == 0, shown.output
    for file in (finished.folder.report, finished.folder.root / "report.md"):
        text = file.read_text()
        assert text.count(finished.decision.order.statement) >= 1
        assert "a quarter of the learning rate" in text and "twice the tokens" in text


def test_no_other_flow_takes_them_for_references(finished: Finished) -> None:
    roles = set(observed(finished.folder).role)
    assert roles.issuperset(ORDER)
    assert not set(read_table([finished.folder.root], {}).observations.role).intersection(ORDER)
    mixed = observed(finished.folder).where(kind="trained", role=("reference", OTHER_RATE))
    with pytest.raises(ConfigError, match="under another condition"):
        check_alike(mixed, several_sizes=True)
    check_alike(mixed.where(role=OTHER_RATE), several_sizes=False)


def test_asked_for_later_only_what_is_new_is_trained(finished: Finished, tmp_path: Path) -> None:
    folder = write_study(tmp_path, **QUICK)
    assert run(folder).order is None
    before = hashes(folder.checkpoints)
    change_study(folder, **ORDERED)
    assert not survey(StudyConfig.load(folder.root), folder).finished
    assert timeless(run(folder)) == timeless(finished.decision)
    after = hashes(folder.checkpoints)
    assert {name: after[name] for name in before} == before
    assert after == hashes(finished.folder.checkpoints)


@pytest.mark.slow
def test_the_other_seed_model_is_made_again_where_it_is_gone(finished: Finished, tmp_path: Path) -> None:
    folder = write_study(tmp_path, **ORDERED)
    run(folder)
    (seed,) = [one for one in trained(folder) if one.role == OTHER_SEED_MODEL]
    kept = hashes(folder.checkpoints)
    for file in folder.checkpoint(seed.details["run"]).iterdir():
        file.unlink()
    folder.checkpoint(seed.details["run"]).rmdir()
    assert timeless(run(folder)) == timeless(finished.decision)
    assert hashes(folder.checkpoints) == kept


@pytest.mark.slow
def test_a_given_checkpoint_has_one_size(tmp_path: Path) -> None:
    """Its order is examined under all other conditions, and what is left out is said."""
    tokenizer = train_tokenizer((text for name in LANGUAGES for text in texts(name)), 300, tmp_path / "model")
    save_random(tmp_path / "model", "gqa", tokenizer.vocabulary_size)
    given = {name: ORDERED[name] for name in ("references", "candidates", "evaluation_tokens", "check")}
    study = settings(**given) | {
        "model": {"folder": str(tmp_path / "model"), "context_length": 32},
        "seed_training": {"tokens": 0},
        "order": {"mixtures": 4},
    }
    folder = write_study(tmp_path / "study")
    (folder.root / "study.yaml").write_text(json.dumps({k: v for k, v in study.items() if k not in UNGIVEN}))
    decision = run(folder)
    assert decision.order is not None
    assert [row.changed for row in decision.order.rows] == ["seed", "learning rate", "tokens"]
    assert any("survives another size was not examined" in warning for warning in decision.warnings)
    assert survey(StudyConfig.load(folder.root), folder).stages[-1].title == "decision"


def test_a_size_that_no_model_has_is_refused_before_training(tmp_path: Path) -> None:
    folder = write_study(tmp_path, **QUICK | {"order": {"mixtures": 4, "parameters": 0.1}})
    with pytest.raises(ConfigError, match=r"order\.parameters: 0\.1 times the model \(.* is outside"):
        run(folder)
    assert not list(folder.checkpoints.glob("*"))


@pytest.mark.slow
def test_a_kill_among_them_changes_no_byte(finished: Finished, tmp_path: Path) -> None:
    folder = write_study(tmp_path, **ORDERED)

    def due() -> bool:
        return any(one.done(folder) for one in Agenda.read(folder).stages.get(STAGE, ()))

    assert killed("run", folder, due, 0.0)
    assert not folder.decision.exists()
    assert timeless(run(folder)) == timeless(finished.decision)
    assert hashes(folder.checkpoints) == hashes(finished.folder.checkpoints)
