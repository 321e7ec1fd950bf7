"""A swarm of which some runs are made: what the rest takes, what is emitted of it, what a status says."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cuvee.cli.app import app
from cuvee.execution.local import InProcess
from cuvee.flows.swarm import flow
from cuvee.flows.swarm.flow import Swarm
from cuvee.runs.roles import SWARM
from cuvee.runs.store import RunStore
from cuvee.study.file.config import StudyConfig
from cuvee.study.file.folder import StudyFolder
from cuvee.study.survey import survey
from tests.flows.swarm.swarm_study import FakeScheduler, swarm_study
from tests.study.tiny_study import Listener, hashes


def run(folder: StudyFolder, emit: Path | None = None, limit: int | None = None) -> Swarm:
    config = StudyConfig.load(folder.root)
    return flow.run(config, folder, Listener(), InProcess(), emit, limit)


def printed(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(one) for one in arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_what_is_emitted_after_local_runs_is_what_is_left(tmp_path: Path) -> None:
    folder, jobs = swarm_study(tmp_path / "study", count=6), tmp_path / "jobs"
    local = run(folder, limit=2)
    assert local.statement == "2 of 6 runs are done, 4 have not ended."
    left = run(folder, jobs)
    rows = json.loads((jobs / "manifest.json").read_text())["runs"]
    assert [row["key"] for row in rows] == list(left.missing)
    assert [row["index"] for row in rows] == [0, 1, 2, 3]
    assert all((jobs / row["folder"] / "run.sh").is_file() for row in rows)
    assert FakeScheduler(jobs).submit() == [0] * 4
    assert run(folder, jobs).statement == "6 of 6 runs are done."
    rows = json.loads((jobs / "manifest.json").read_text())["runs"]
    assert [row["status"] for row in rows] == ["done"] * 4
    with RunStore(folder.store) as store:
        assert len(store.seconds()) == 6, "whoever ran them"


def test_a_limit_is_of_what_is_missing(tmp_path: Path) -> None:
    folder = swarm_study(tmp_path, count=5)
    keys = run(folder, limit=2).observations.keys
    assert run(folder, limit=2).observations.keys[:2] == keys
    assert len(run(folder, limit=9).observations) == 5


def test_before_any_run_no_time_is_known(tmp_path: Path) -> None:
    folder = swarm_study(tmp_path, count=4)
    ahead = json.loads(printed("swarm", tmp_path, "--plan", "--json"))
    assert (ahead["runs"], ahead["left"], ahead["tokens"]) == (4, 4, 5000)
    assert {ahead[name] for name in ("flops_left", "seconds_each", "hours_left", "work_left")} == {None}
    said = printed("swarm", tmp_path, "--plan")
    assert "4 runs to make, 20k tokens, FLOPs not known (trainer.parameters)" in said
    assert "time not measured: make one run first (`cuvee swarm --limit 1`)" in said
    assert not folder.swarm.exists(), "it only looks"


def test_time_and_money_are_those_of_runs_that_were_made(tmp_path: Path) -> None:
    changes = {"count": 4, "parameters": 1000, "gpus": 2}
    folder = swarm_study(tmp_path, **changes)
    text = (tmp_path / "study.yaml").read_text().replace("workers: 1", "workers: 2")
    (tmp_path / "study.yaml").write_text(f"{text}price: {{gpu_hour: 3, currency: EUR}}\n")
    keys = run(folder, limit=2).observations.keys
    with RunStore(folder.store) as store:
        for key, seconds in zip(keys, (50.0, 150.0), strict=True):
            store.record_seconds(key, SWARM, seconds - store.seconds()[key, SWARM])
    ahead = json.loads(printed("swarm", tmp_path, "--plan", "--json"))
    assert ahead["flops_left"] == 2 * 6.0 * 1000 * 5000
    assert ahead["seconds_each"] == pytest.approx(100.0)
    assert ahead["seconds_a_token"] == pytest.approx(
        {"runs": 2, "median": 0.02, "lowest": 0.01, "highest": 0.03}
    )
    assert ahead["hours_left"] == pytest.approx(100.0 / 3600), "two side by side"
    assert ahead["work_left"] == pytest.approx(
        {"unit": "GPU", "hours": 400.0 / 3600, "price": 1200.0 / 3600, "currency": "EUR"}
    )
    said = printed("swarm", tmp_path, "--plan")
    assert "one takes 1m40s (median of 2 measured, 50s to 2m30s)" in said
    assert "0.11 GPU-hours, 0.33 EUR" in said
    run(folder)
    assert "4 runs; nothing is left to make" in printed("swarm", tmp_path, "--plan")


def test_another_command_was_not_measured(tmp_path: Path) -> None:
    folder = swarm_study(tmp_path, count=2)
    run(folder)
    text = (tmp_path / "study.yaml").read_text()
    (tmp_path / "study.yaml").write_text(text.replace("--seed {seed}", "--seed 1{seed}"))
    assert "2 runs to make" in (said := printed("swarm", tmp_path, "--plan"))
    assert "time not measured" in said


def test_status_says_first_what_was_begun(tmp_path: Path) -> None:
    folder, jobs = swarm_study(tmp_path / "study", count=8), tmp_path / "jobs"
    assert "stage" in printed("status", folder.root), "nothing was begun: what `cuvee run` would do"
    missing = run(folder, jobs).missing
    emitted = (
        f"swarm: 0 of 8 runs are done, 8 have not ended; `cuvee swarm --emit {jobs}` collects what has ended"
    )
    assert printed("status", folder.root).startswith(emitted)
    output = folder.swarm / "runs" / missing[0] / "output"
    output.mkdir(parents=True)
    (output / "fail").touch()
    run(folder, limit=3)
    lines = printed("status", folder.root).splitlines()
    assert lines[0] == (
        "swarm: 2 of 8 runs are done, 1 failed, 5 have not ended; `cuvee swarm` goes on from here"
    )
    assert lines[1].startswith(f"failed: the run in {output.parent} ended with exit status 3")
    assert lines[1].endswith(f"{output.parent / 'log.txt'} ends with")
    assert lines[2:4] == ["    trained with seed 0", "    out of luck"], "the end of the log says why"
    assert lines[4] == f"not ended: {', '.join(missing[3:6])} and 2 more in {folder.swarm / 'runs'}"
    assert lines[5].startswith("spent: 0 FLOPs"), "no stages of `cuvee run`, which was not begun"
    assert "not begun" not in "".join(lines)
    before = hashes(folder.swarm)
    assert json.loads(printed("status", folder.root, "--json"))["swarm"]["beside"] == [
        "\n".join(lines[1:4]),
        lines[4],
    ]
    assert hashes(folder.swarm) == before


def test_status_tells_runs_that_ended_and_were_not_collected(tmp_path: Path) -> None:
    folder, jobs = swarm_study(tmp_path / "study", count=4), tmp_path / "jobs"
    run(folder, limit=1)
    run(folder, jobs)
    assert FakeScheduler(jobs).submit(only=2) == [0, 0]
    lines = printed("status", folder.root).splitlines()
    assert lines[0] == (
        "swarm: 1 of 4 runs is done, 2 have ended and are not collected, 1 has not ended; "
        f"`cuvee swarm --emit {jobs}` collects what has ended"
    )
    assert lines[1].startswith("not ended: ") and "," not in lines[1]
    (folder.swarm / "fit.json").write_text('{"headline": ["Take it."]}')
    answered = survey(StudyConfig.load(folder.root), folder).swarm
    assert answered is not None and not answered.finished
    assert answered.beside[0] == f"`cuvee swarm --emit {jobs}` collects what has ended"
    assert run(folder, jobs).statement == "3 of 4 runs are done, 1 has not ended."


@pytest.mark.parametrize(("more", "begins"), [("", "swarm"), ("references: {count: 8}\n", "run")])
def test_status_of_a_study_with_a_trainer_alone_is_that_of_a_swarm(
    tmp_path: Path, more: str, begins: str
) -> None:
    (tmp_path / "ka.txt").write_text("ka ke ki")
    (tmp_path / "study.yaml").write_text(
        "schema: 1\nsources: {ka: ka.txt, lo: ka.txt}\n"
        f"trainer: {{command: 'true {{mixture}} {{output}}'}}\n{more}"
    )
    said = printed("status", tmp_path)
    assert said.splitlines()[-1] == f"not begun; `cuvee {begins}` begins it"
    assert ("seed model" in said) == (begins == "run")


def test_one_text_file_a_source_is_cut_for_the_parts_of_the_split(tmp_path: Path) -> None:
    for name in ("ka", "lo"):
        (tmp_path / f"{name}.txt").write_text("".join(f"{name} ke ki {number}. " for number in range(900)))
    trainer = (
        "trainer: {command: 'true {mixture} {output}', count: 3, tokens: 500}\ntokenizer: {vocabulary: 300}\n"
    )
    for cut, starts in (("", "error: source 'ka' has 1 document"), (", chunk_characters: 2000", "Plan")):
        sources = "".join(f"  {name}: {{paths: {name}.txt{cut}}}\n" for name in ("ka", "lo"))
        (tmp_path / "study.yaml").write_text(f"schema: 1\nsources:\n{sources}{trainer}")
        result = CliRunner().invoke(app, ["swarm", str(tmp_path), "--plan"])
        assert starts in result.output and (result.exit_code == 0) == (starts == "Plan")
    manual = (Path(__file__).parents[3] / "docs" / "trainers.md").read_text(encoding="utf-8")
    assert "one for each of its `units`" in manual and "`chunk_characters: 2000` at the source" in manual


def test_too_few_runs_for_an_answer_are_counted_with_those_that_failed(tmp_path: Path) -> None:
    folder, jobs = swarm_study(tmp_path / "study", count=6), tmp_path / "jobs"
    outputs = [folder.swarm / "runs" / key / "output" for key in run(folder, jobs).missing[:4]]
    for output in outputs:
        output.mkdir(parents=True)
        (output / "fail").touch()
    result = CliRunner().invoke(app, ["swarm", str(folder.root)])
    said = str(result.exception) + result.output
    assert result.exit_code != 0
    assert "2 of 6 runs are done, 4 failed; the same command tries those again" in said
    assert ".. 2 of 6" not in said
    assert f"The first that failed: the run in {outputs[0].parent} ended with exit status 3" in said
    assert "6 of 6 runs are done" not in said
    assert "6 of 6 runs are done" in printed("swarm", folder.root)
