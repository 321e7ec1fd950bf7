"""Runs of a trainer of the user's: launched, emitted, collected, gone on with; their failures in words."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cuvee.cli.app import app
from cuvee.decisions.fit.decision import LawDecision
from cuvee.errors import ConfigError
from cuvee.execution.local import InProcess
from cuvee.flows.fit.folder import load_decision
from cuvee.flows.swarm import flow
from cuvee.flows.swarm.flow import Swarm
from cuvee.study.emission import ranges
from cuvee.study.file.config import StudyConfig
from cuvee.study.file.folder import StudyFolder
from cuvee.study.survey import survey
from tests.execution.test_process_group import gone
from tests.flows.swarm.swarm_study import FakeScheduler, swarm_study
from tests.flows.swarm.toy_trainer import losses
from tests.study.tiny_study import LANGUAGES, Listener, hashes, killed


def run(folder: StudyFolder, emit: Path | None = None, listener: Listener | None = None) -> Swarm:
    return flow.run(StudyConfig.load(folder.root), folder, listener or Listener(), InProcess(), emit)


def command_line(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(one) for one in arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def run_folders(found: Swarm) -> list[Path]:
    return sorted(found.runs.iterdir())


def test_every_mixture_of_the_design_is_trained_once(tmp_path: Path) -> None:
    folder = swarm_study(tmp_path / "a study")  # a space in a path is no end of an argument
    found = run(folder)
    observed = found.observations
    assert (len(observed), found.failed, found.missing) == (12, (), ())
    assert observed.sources == LANGUAGES
    assert observed.metrics == tuple(f"loss_{name}" for name in LANGUAGES)
    for row, shares in enumerate(observed.shares):
        expected = losses(dict(zip(LANGUAGES, shares.tolist(), strict=True)), 5000)
        assert dict(zip(observed.metrics, observed.values[row].tolist(), strict=True)) == pytest.approx(
            expected
        )
    before = hashes(found.runs)
    again = run(folder)
    assert hashes(found.runs) == before
    assert again.observations == observed


def test_a_larger_design_keeps_the_runs_of_a_smaller_one(tmp_path: Path) -> None:
    few = run(swarm_study(tmp_path, count=6)).observations
    more = run(swarm_study(tmp_path, count=9)).observations
    assert more.keys[:6] == few.keys
    attempts = [path.read_text() for path in (tmp_path / "swarm" / "runs").glob("*/output/attempts")]
    assert attempts == ["x"] * 9


def test_another_script_is_another_run(tmp_path: Path) -> None:
    folder = swarm_study(tmp_path, count=4)
    before = run(folder).observations.keys
    with (tmp_path / "trainer.py").open("a") as file:
        file.write("\n# another rate\n")
    assert not set(run(folder).observations.keys) & set(before)


def test_other_metrics_of_the_same_runs_train_nothing(tmp_path: Path) -> None:
    few = run(swarm_study(tmp_path, count=3, metrics=["loss_ka"])).observations
    more = run(swarm_study(tmp_path, count=3, metrics=["loss_ka", "loss_lo"])).observations
    assert more.metrics == ("loss_ka", "loss_lo")
    assert not set(more.keys) & set(few.keys)
    attempts = [path.read_text() for path in (tmp_path / "swarm" / "runs").glob("*/output/attempts")]
    assert attempts == ["x"] * 6, "three runs under two names"
    for key in few.keys:
        shutil.rmtree(tmp_path / "swarm" / "runs" / key)
    (tmp_path / "store.sqlite").unlink()
    assert run(StudyFolder(tmp_path)).observations.metrics == more.metrics, "trained again"


def test_emitted_runs_in_any_order_with_failures_give_the_table_of_local_ones(tmp_path: Path) -> None:
    local = run(swarm_study(tmp_path / "local"))
    emitted, jobs = swarm_study(tmp_path / "emitted"), tmp_path / "jobs"
    found = collected_from_a_shuffled_array(emitted, jobs)
    assert found.statement == "12 of 12 runs are done."
    assert found.table.read_bytes() == local.table.read_bytes()
    assert not (jobs / "array.sh").exists()
    before = hashes(jobs) | hashes(emitted.swarm)
    run(emitted, jobs)
    assert hashes(jobs) | hashes(emitted.swarm) == before


@pytest.mark.slow  # two fits of all laws
def test_emitted_runs_in_any_order_with_failures_give_the_decision_of_local_ones(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    local, emitted = swarm_study(tmp_path / "local"), swarm_study(tmp_path / "emitted")
    assert "12 of 12 runs are done." in command_line("swarm", local.root)
    jobs = tmp_path / "jobs"
    assert "0 of 12 runs are done, 12 have not ended." in command_line("swarm", emitted.root, "--emit", jobs)
    assert not (emitted.swarm / "fit.json").exists()
    collected_from_a_shuffled_array(emitted, jobs)
    said = json.loads(command_line("swarm", emitted.root, "--emit", jobs, "--json"))
    assert (said["asked"], said["done"], said["failed"], said["missing"]) == (12, 12, {}, [])
    one, two = (load_decision(folder.swarm) for folder in (local, emitted))
    assert one.table == "four languages"  # the name of the study, and not of its table
    assert without_folder(one) == without_folder(two)
    record_property("measured", "12 runs, 3 failed at first: the decisions are the same")


def collected_from_a_shuffled_array(folder: StudyFolder, jobs: Path) -> Swarm:
    """Of three jobs that fail at first, an array that is cut off, and one that is submitted again."""
    run(folder, jobs)
    for place, name in enumerate(("fail", "nan", "nothing")):
        bad = sorted((jobs / "runs").iterdir())[2 * place] / "output"
        bad.mkdir()
        (bad / name).touch()
    scheduler = FakeScheduler(jobs)
    assert len(scheduler.submit(seed=1, only=7)) == 7
    first = run(folder, jobs)
    assert (first.asked, len(first.missing)) == (12, 5)
    scheduler.submit(seed=2, only=6)
    run(folder, jobs)
    while (jobs / "array.sh").exists():
        scheduler.submit(seed=3)
        found = run(folder, jobs)
    return found


def without_folder(decision: LawDecision) -> str:
    said = decision.as_json()
    said["created_from"].pop("command")
    return json.dumps(said, sort_keys=True)


def test_what_is_missing_and_what_failed_is_said(tmp_path: Path) -> None:
    folder, jobs = swarm_study(tmp_path / "study", count=5), tmp_path / "jobs"
    run(folder, jobs)
    first, second, *_ = [one["folder"] for one in json.loads((jobs / "manifest.json").read_text())["runs"]]
    for place, name in ((first, "fail"), (second, "nan")):
        (jobs / place / "output").mkdir()
        (jobs / place / "output" / name).touch()
    FakeScheduler(jobs).submit(only=5)
    (jobs / first / "exit").read_text()
    found = run(folder, jobs)
    assert found.statement == "3 of 5 runs are done, 2 failed."
    failed, diverged = (one.error or "" for one in found.failed)
    assert "trainer.py --mixture {mixture}" in failed
    assert f"the run in {jobs / first} ended with exit status 3 (`" in failed
    assert f"; {jobs / first / 'log.txt'} ends with" in failed
    assert "out of luck" in failed
    assert "metric 'loss_ka' is nan: the training diverged" in diverged
    assert "#SBATCH --array=0-1\n" in (jobs / "array.sh").read_text()
    (jobs / second / "exit").unlink()
    folder.store.unlink()
    assert run(folder, jobs).statement == "3 of 5 runs are done, 1 failed, 1 has not ended."


def test_a_failed_run_lets_others_go_on_and_is_tried_again(tmp_path: Path) -> None:
    folder = swarm_study(tmp_path, count=4)
    jobs = run(folder, tmp_path / "jobs").missing
    for key, name in zip(jobs, ("fail", "nothing"), strict=False):
        output = folder.swarm / "runs" / key / "output"
        output.mkdir(parents=True)
        (output / name).touch()
    found = run(folder)
    assert found.statement == "2 of 4 runs are done, 2 failed."
    assert "metrics.json does not exist" in (found.failed[1].error or "")
    found = run(folder)
    assert found.statement == "4 of 4 runs are done."
    attempts = [(folder.swarm / "runs" / key / "output" / "attempts").read_text() for key in jobs]
    assert attempts == ["xx", "xx", "x", "x"]


def test_retries_are_attempts_within_one_command(tmp_path: Path) -> None:
    folder = swarm_study(tmp_path, count=2, retries=1)
    key, _ = run(folder, tmp_path / "jobs").missing
    output = folder.swarm / "runs" / key / "output"
    output.mkdir(parents=True)
    (output / "fail").touch()
    assert run(folder).statement == "2 of 2 runs are done."
    assert (output / "attempts").read_text() == "xx"


def test_a_timeout_ends_a_run_with_its_children(tmp_path: Path) -> None:
    folder = swarm_study(tmp_path, count=2, timeout=1.5 / 3600)
    key, _ = run(folder, tmp_path / "jobs").missing
    output = folder.swarm / "runs" / key / "output"
    output.mkdir(parents=True)
    (output / "wait").touch()
    found = run(folder)
    assert "was stopped after 0.000416667 hours; raise trainer.timeout" in (found.failed[0].error or "")
    assert len(found.observations) == 1
    assert gone(int((output / "child").read_text()))


@pytest.mark.slow
def test_a_killed_command_leaves_no_trainer_behind_and_goes_on(tmp_path: Path) -> None:
    folder = swarm_study(tmp_path, count=5)
    keys = run(folder, tmp_path / "jobs").missing
    output = folder.swarm / "runs" / keys[2] / "output"
    output.mkdir(parents=True)
    (output / "wait").touch()
    assert killed("swarm", folder, (output / "child").exists, 0.1)
    assert gone(int((output / "child").read_text()))
    found = run(folder)
    assert found.statement == "5 of 5 runs are done."
    attempts = [(folder.swarm / "runs" / key / "output" / "attempts").read_text() for key in keys]
    assert attempts == ["x", "x", "xx", "x", "x"]


def test_a_format_of_a_trainer_is_written(tmp_path: Path) -> None:
    command = '/bin/sh -c \'cp "$1" "$2"/copied; echo "{{}}" > "$2"/metrics.json\' copy {mixture} {output}'
    listener = Listener()
    found = run(
        swarm_study(tmp_path, command=command, format="torchtitan", count=2, metrics=[]), None, listener
    )
    assert "has no metric; there are: none" in (found.failed[0].error or "")
    for folder in run_folders(found):
        assert "ka.jsonl" in (folder / "output" / "copied").read_text()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"command": ""}, "trainer.command: names no command"),
        ({"command": "train {output}"}, "trainer.command: needs {mixture}"),
        ({"command": "train {mixture} {output} {size}"}, "trainer.command: {size}: {size} is no field"),
        ({"command": "a {mixture} && b {output}"}, "trainer.command: holds &&, but no shell runs it"),
        ({"command": "train '{mixture} {output}"}, "trainer.command: cannot be divided into arguments"),
        ({"command": "t {mixture} {output} {parameters}"}, "trainer: `command` asks for {parameters}"),
        ({"format": "megatrons"}, "no trainer 'megatrons'"),
        ({"result": "../x"}, "trainer.result: must be a path inside the output folder"),
        ({"returns": "model"}, "trainer: `metrics` is of no use with `returns: model`"),
    ],
)
def test_what_cannot_be_is_refused_before_any_text_is_read(
    tmp_path: Path, changes: dict[str, object], said: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        run(swarm_study(tmp_path, **changes))
    assert said in str(refused.value)
    assert not (tmp_path / "shards").exists()


def test_a_format_that_needs_what_the_study_does_not_know_is_refused(tmp_path: Path) -> None:
    folder = swarm_study(tmp_path, format="hugging-face", count=2)
    text = (tmp_path / "study.yaml").read_text()
    cut = "ka: {paths: text/ka.jsonl, chunk_characters: 200}"
    (tmp_path / "study.yaml").write_text(text.replace("ka: text/ka.jsonl", cut))
    with pytest.raises(
        ConfigError, match=r"the documents of ka.*without `chunk_characters`, or take a format"
    ):
        run(folder)


def test_status_counts_the_runs(tmp_path: Path) -> None:
    folder = swarm_study(tmp_path, count=3)
    config = StudyConfig.load(folder.root)
    assert survey(config, folder).swarm is None
    run(folder)
    found = survey(config, folder)
    assert found.swarm is not None
    assert found.swarm.statement == "3 of 3 runs are done; `cuvee swarm` goes on from here"
    assert not any(stage.done for stage in found.stages), "they are no trainings of `cuvee run`"
    assert found.seconds == 0.0, "who knows on what they worked"


def test_the_facts_of_sources_decide_what_a_format_says(tmp_path: Path) -> None:
    copy = "/bin/sh -c 'cp {mixture} {output}/metrics.json'"
    changed = {"command": copy, "format": "hugging-face", "count": 2}
    before = run(swarm_study(tmp_path, **changed), tmp_path / "jobs").missing
    text = (tmp_path / "study.yaml").read_text()
    (tmp_path / "study.yaml").write_text(
        text.replace("ka: text/ka.jsonl", "ka: {paths: text/ka.jsonl, tokens: 90000}")
    )
    after = run(StudyFolder(tmp_path), tmp_path / "jobs").missing
    assert not set(before) & set(after)


def test_ranges_as_slurm_writes_them() -> None:
    assert ranges([0, 1, 2, 5, 7, 8]) == "0-2,5,7-8"
