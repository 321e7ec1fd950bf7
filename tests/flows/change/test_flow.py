"""A study with runs whose sources are split, dropped and merged: what is trained, what is carried over."""

import json
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from cuvee.cli.app import app
from cuvee.decisions.ablation.decision import Decision
from cuvee.errors import SourceError
from cuvee.execution.local import InProcess
from cuvee.flows.ablation import conclude
from cuvee.flows.ablation.flow import outlook_of
from cuvee.flows.ablation.judge import Judge
from cuvee.flows.change.flow import ChangePlan, change_sources, look_ahead
from cuvee.flows.change.source_change import Change, Drop, Merge, Split
from cuvee.progress import Silent
from cuvee.runs.roles import CARRIED, CARRIED_AGAIN
from cuvee.runs.run import Run
from cuvee.runs.store import RunStore
from cuvee.study.file.config import StudyConfig
from cuvee.study.file.folder import StudyFolder
from cuvee.study.file.study_file import COPIES, StudyFile
from cuvee.study.opening import opened
from cuvee.study.plan.mixtures import intended_references, region_of
from cuvee.study.survey import survey
from tests.study.tiny_study import (
    LANGUAGES,
    SEED_DATA,
    hashes,
    killed,
    run,
    texts,
    timeless,
    write_study,
    write_texts,
)

QUICK: dict[str, Any] = {
    "seed_training": {"tokens": 4 * 256},
    "branch_training": SEED_DATA | {"tokens": 2 * 256},
    "references": {"count": 8, "replicates": 1},
    "candidates": {"count": 8},
    "evaluation_tokens": 64,
    "check": {"seeds": 0},
}
SPLIT = Split("ka", {"ka_old": ("text/ka_old.jsonl",), "ka_new": ("text/ka_new.jsonl",)})
DROP = Drop(("nu",))
MERGE = Merge(("lo", "mi"), "both")


@dataclass(frozen=True)
class Finished:
    """A study that was answered before anything changed."""

    folder: StudyFolder
    decision: Decision
    checkpoints: dict[str, str]


@pytest.fixture(scope="module", autouse=True)
def few_halves() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conclude, "Judge", partial(Judge, pairs=2))
        yield


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    folder = write_study(tmp_path_factory.mktemp("finished"), **QUICK)
    write_parts(folder.root)
    decision = run(folder)
    return Finished(folder, decision, hashes(folder.checkpoints))


@pytest.fixture
def copy(finished: Finished, tmp_path: Path) -> StudyFolder:
    return StudyFolder(shutil.copytree(finished.folder.root, tmp_path / "study"))


def write_parts(root: Path) -> None:
    """Every third document of ka is old."""
    whole = texts("ka")
    write_texts(root / "text" / "ka_old.jsonl", whole[::3])
    write_texts(root / "text" / "ka_new.jsonl", [text for i, text in enumerate(whole) if i % 3])


def ahead(folder: StudyFolder, change: Change) -> tuple[StudyFile, ChangePlan]:
    file = StudyFile.read(folder.root / "study.yaml")
    after = change_sources(file, change, folder, Silent(), InProcess())
    return after, look_ahead(after.config, change, folder, Silent(), InProcess(), outlook_of)


def still_ahead(folder: StudyFolder, change: Change) -> ChangePlan:
    """After the file was changed."""
    config = StudyConfig.load(folder.root)
    assert change.done(config, folder.root)
    return look_ahead(config, change, folder, Silent(), InProcess(), outlook_of)


def changed(folder: StudyFolder, change: Change) -> tuple[ChangePlan, Decision]:
    after, plan = ahead(folder, change)
    after.write()
    return plan, run(folder)


def trained(folder: StudyFolder) -> list[Run]:
    with RunStore(folder.store) as store:
        return [one for one in store.runs(kind="trained") if one.role != "snapshot"]


def roles_made(folder: StudyFolder, finished: Finished) -> Counter[str]:
    """Roles of the models that are there and were not before, each once."""
    after = hashes(folder.checkpoints)
    assert {name: after[name] for name in finished.checkpoints} == finished.checkpoints, (
        "something is trained anew"
    )
    new = {Path(name).parts[0] for name in after.keys() - finished.checkpoints.keys()}
    return Counter(
        {str(one.details["run"]): one.role for one in trained(folder) if one.details["run"] in new}.values()
    )


def to_make(plan: ChangePlan) -> dict[str, int]:
    assert plan.outlook is not None
    return {row.title: row.left for row in plan.outlook.rows if row.trained and row.left}


def test_a_split_trains_its_branches_and_some_references_and_carries_the_others_over(
    copy: StudyFolder, finished: Finished
) -> None:
    before = {one.details["run"]: one for one in trained(copy)}
    plan, decision = changed(copy, SPLIT)
    assert to_make(plan) == {"branches": 2, "references": 4}, "four of eight: two of the five sources are new"
    assert (plan.kept, plan.new) == (8, 4)
    assert {one.fate for one in plan.runs} == {"exact"}
    document = json.loads(json.dumps(plan.as_json()))
    assert document["references"] == {"kept": 8, "new": 4} and document["outlook"]["hours_left"] > 0
    assert any(
        one.startswith("To train: 2 of 5 branches, 4 of 12 references, for ") for one in plan.sentences
    )
    assert plan.outlook is not None
    references = next(row for row in plan.outlook.rows if row.title == "references")
    each = references.flops / references.runs
    assert 4 * each < references.flops_left < 6 * each, "the others are measured again, which costs less"
    scoring = next(row for row in plan.outlook.rows if row.title == "scoring mixtures")
    assert scoring.left == scoring.runs, "the old scores are of another pool"
    assert roles_made(copy, finished) == {"branch": 2, "reference": 4}
    assert decision.sources == ("lo", "mi", "nu", "ka_old", "ka_new")

    # A carried run is the old one, measured on the parts too, under the mixture that it is now.
    carried = [one for one in trained(copy) if one.role in (CARRIED, CARRIED_AGAIN)]
    assert carried
    for one in carried:
        old = before[one.details["run"]]
        parts = one.mixture.share("ka_old"), one.mixture.share("ka_new")
        assert sum(parts) == pytest.approx(old.mixture.share("ka"))
        assert one.mixture.share("lo") == old.mixture.share("lo")
        same = [name for name in one.metrics if name in old.metrics]
        assert len(same) == 6 and all(one.metrics[name] == old.metrics[name] for name in same)
        assert "nats_per_token/ka_old" in one.metrics
    ratios = {round(one.mixture.share("ka_old") / one.mixture.share("ka_new"), 9) for one in carried}
    assert len(ratios) == 1, "all hold the parts in the proportion of their tokens"

    # The page names them.
    named = [one.shares for one in decision.references if "(carried, trained on" in one.name]
    assert len(decision.references) == 12
    assert {tuple(one) for one in named} == {tuple(one.mixture.shares) for one in carried}
    assert any("trained before 'ka' was split" in warning for warning in decision.warnings)
    # Those that are new tell the parts apart.
    new = [dict(zip(decision.sources, one.shares, strict=True)) for one in decision.references[8:]]
    assert all(one["ka_old"] + one["ka_new"] > 0 for one in new)
    assert all(abs(one["ka_old"] - next(iter(ratios)) * one["ka_new"]) > 0.01 for one in new)

    stages = {
        stage.title: (stage.done, stage.total) for stage in survey(StudyConfig.load(copy.root), copy).stages
    }
    assert stages["pool of branches"] == (5, 5) and stages["reference runs"] == (12, 12)

    # Nothing is left, and the price of that is nothing.
    again = still_ahead(copy, SPLIT)
    assert to_make(again) == {}
    assert timeless(run(copy)) == timeless(decision)


def test_a_drop_keeps_the_runs_without_the_source_to_the_bit(copy: StudyFolder, finished: Finished) -> None:
    rows = {one.key: one for one in trained(copy)}
    without = sum(one.shares[3] == 0 for one in finished.decision.references)
    assert 0 < without < 8
    plan, decision = changed(copy, DROP)
    assert (plan.kept, plan.new) == (without, 8 - without)
    assert "limits.maximum: {nu: 0}" in plan.sentences[-1]
    made = roles_made(copy, finished)
    assert made["reference"] == 8 - without and set(made) <= {"reference", "replicate"}
    assert to_make(plan) == {f"{role}s": count for role, count in made.items()}
    after = {one.key: one for one in trained(copy)}
    assert all(after[key] == row for key, row in rows.items()), "nothing is measured again"
    assert decision.sources == ("ka", "lo", "mi")
    assert decision.target == {"ka": 1 / 3, "lo": 1 / 3, "mi": 1 / 3, "nu": 0.0}
    assert not any("carried" in one.name for one in decision.references)
    assert len(json.loads(copy.references.read_text())) == 8 + made["reference"], (
        "the others stay written down"
    )

    # The old file brings the old study back, and nothing has to be made for it.
    shutil.copy(copy.root / COPIES / "001.yaml", copy.root / "study.yaml")
    models = hashes(copy.checkpoints)
    back, before = run(copy).as_json(), finished.decision.as_json()
    assert hashes(copy.checkpoints) == models
    assert {key for key in before if back[key] != before[key]} <= {"ledger", "proxy_over_direct"}


def test_a_merge_trains_one_branch_and_keeps_what_is_measured(copy: StudyFolder, finished: Finished) -> None:
    neither = sum(one.shares[1] == one.shares[2] == 0 for one in finished.decision.references)
    plan, decision = changed(copy, MERGE)
    fates = Counter(one.fate for one in plan.runs)
    assert fates["left out"] == 0 and fates["approximate"] > 0
    assert plan.kept == neither and plan.new == 8 - neither
    assert to_make(plan)["branches"] == 1
    assert roles_made(copy, finished)["branch"] == 1
    assert decision.sources == ("ka", "nu", "both")
    assert decision.target == finished.decision.target
    assert [one.evaluation for one in decision.predictions if one.in_pool] == list(LANGUAGES)


def test_a_merge_carries_a_reference_that_is_not_measured_again(copy: StudyFolder) -> None:
    """It had both sources in proportion. The evaluations stay, and its row is still over the old sources."""
    with opened(StudyConfig.load(copy.root), copy, executor=InProcess()) as runner:
        tokens = runner.plan.material.unit_tokens
    both = tokens["lo"] + tokens["mi"]
    drawn = {"ka": 0.4, "lo": 0.6 * tokens["lo"] / both, "mi": 0.6 * tokens["mi"] / both}
    copy.references.write_text(json.dumps([drawn, *json.loads(copy.references.read_text())]))
    run(copy)
    rows = {one.key: one for one in trained(copy)}
    _, decision = changed(copy, MERGE)
    after = {one.key: one for one in trained(copy)}
    assert all(after[key] == row for key, row in rows.items())
    assert not any(one.role in (CARRIED, CARRIED_AGAIN) for one in after.values())
    [carried] = [one for one in decision.references if "(carried, trained on" in one.name]
    assert carried.shares == pytest.approx((0.4, 0.0, 0.6))
    assert [one.evaluation for one in decision.predictions if one.in_pool] == list(LANGUAGES)


def test_a_study_changed_and_changed_again(copy: StudyFolder, finished: Finished) -> None:
    """A part is dropped after the split: the runs of the whole go with it, the others stay."""
    after, _ = ahead(copy, SPLIT)
    after.write()
    plan, decision = changed(copy, Drop(("ka_old",)))
    without = sum(one.shares[0] == 0 for one in finished.decision.references)
    assert plan.kept == without
    assert decision.sources == ("lo", "mi", "nu", "ka_new")
    assert roles_made(copy, finished)["branch"] == 1
    assert not any("carried" in one.name for one in decision.references)


def test_a_dropped_source_that_the_file_weighs_is_named(copy: StudyFolder) -> None:
    text = (copy.root / "study.yaml").read_text()
    (copy.root / "study.yaml").write_text(text + "target: {weights: {nu: 1, lo: 3}}\n")
    after, plan = ahead(copy, DROP)
    assert after.config.target.weights == {"nu": 1.0, "lo": 3.0}
    assert plan.sentences[-1].startswith(
        "The target goes on to weigh evaluation 'nu' by 25%, as the file says"
    )


def test_parts_that_overlap_are_refused_and_nothing_is_written(copy: StudyFolder) -> None:
    before = (copy.root / "study.yaml").read_bytes()
    write_texts(copy.root / "text" / "ka_old.jsonl", texts("ka"))
    with pytest.raises(SourceError, match="the document is in part 'ka_new' and in part 'ka_old'"):
        ahead(copy, SPLIT)
    assert (copy.root / "study.yaml").read_bytes() == before


def test_references_of_an_untouched_study_are_as_ever(finished: Finished) -> None:
    config, tokens = StudyConfig.load(finished.folder.root), dict.fromkeys(LANGUAGES, 1)
    chosen = intended_references(config, finished.folder, region_of(config, tokens), tokens)
    rows = [np.array(one.shares) for one in finished.decision.references]
    assert all(np.array_equal(one.mixture.shares, row) for one, row in zip(chosen, rows, strict=True))


# On the command line


def cuvee(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_the_plan_changes_nothing(
    copy: StudyFolder, monkeypatch: pytest.MonkeyPatch, finished: Finished
) -> None:
    monkeypatch.chdir(copy.root / "text")
    monkeypatch.setenv("COLUMNS", "120")
    before = (copy.root / "study.yaml").read_bytes()
    parts = "--into", "ka_old=ka_old.jsonl", "ka_new=ka_new.jsonl"
    result = cuvee("change", copy.root, "split", "ka", *parts, "--plan")
    assert result.exit_code == 0, result.stderr
    assert "8 references stay" in result.stdout and "4 new ones must be trained" in result.stdout
    assert "to go on this machine" in result.stdout
    assert (copy.root / "study.yaml").read_bytes() == before
    assert hashes(copy.checkpoints) == finished.checkpoints


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("split", "ka", "--into", "ka_old"), 2, "split: 'ka_old' is no part; say --into NAME=PATH"),
        (("split", "ka", "a=x", "b=y"), 3, "path"),
        (("merge", "ka", "lo"), 2, "merge: name the whole with --into NAME"),
        (("drop", "ka", "--into", "x"), 2, "drop: --into belongs to split and merge"),
        (("drop", "po"), 2, "cannot drop 'po': there is no such source"),
    ],
)
def test_a_command_line_that_makes_no_sense(
    copy: StudyFolder, arguments: tuple[str, ...], code: int, message: str
) -> None:
    before = (copy.root / "study.yaml").read_bytes()
    result = cuvee("change", copy.root, *arguments)
    assert (result.exit_code, message in result.stderr) == (code, True), result.stderr
    assert (copy.root / "study.yaml").read_bytes() == before


@pytest.mark.slow
def test_a_change_that_is_killed_goes_on(copy: StudyFolder, tmp_path: Path) -> None:
    """Killed when the first new model is there, the same command ends as if there had been no break."""
    whole = StudyFolder(shutil.copytree(copy.root, tmp_path / "whole"))
    arguments = "drop", "nu", "--json"
    assert not killed("change", whole, lambda: False, 0.0, *arguments)
    count = len(list(copy.checkpoints.glob("[!.]*")))
    due = lambda: len(list(copy.checkpoints.glob("[!.]*"))) > count  # noqa: E731
    assert killed("change", copy, due, 0.0, *arguments)
    assert StudyFile.read(copy.root / "study.yaml").raw["pool"] == ["ka", "lo", "mi"]
    assert not killed("change", copy, lambda: False, 0.0, *arguments)
    one, two = (Decision.from_json(json.loads(each.decision.read_text())) for each in (copy, whole))
    assert timeless(one) == timeless(two)
    assert [file.name for file in (copy.root / COPIES).iterdir()] == ["001.yaml"]
