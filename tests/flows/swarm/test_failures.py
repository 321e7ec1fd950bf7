"""Runs of a trainer that fail, each in its own way: what is said, and that others go on."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cuvee.cli.app import app
from cuvee.errors import ConfigError
from cuvee.execution.local import InProcess
from cuvee.flows.swarm import flow
from cuvee.flows.swarm.flow import Swarm
from cuvee.flows.swarm.question import check_directions
from cuvee.study.file.config import StudyConfig
from cuvee.study.file.folder import StudyFolder
from tests.flows.swarm.swarm_study import COMMAND, swarm_study
from tests.study.tiny_study import Listener

GOOD = '{"loss_ka": 2.5, "loss_lo": 2.0, "steps": 7}'
ONE_OF_TWO = (
    '/bin/sh -c \'if [ -e "$2"/bad ]; then . "$2"/bad; else cp good.json "$2"/metrics.json; fi\' '
    "trainer {mixture} {output}"
)
"""Does what a file in its output folder says, or leaves good metrics."""
SETTINGS = {"command": ONE_OF_TWO, "metrics": ["loss_*"], "target": {"loss_ka": 1.0}}


def run(folder: StudyFolder) -> Swarm:
    return flow.run(StudyConfig.load(folder.root), folder, Listener(), InProcess())


def with_bad_runs(tmp_path: Path, scripts: Sequence[str]) -> tuple[StudyFolder, list[Path]]:
    """A study with two runs more than scripts, and the folders of the first; those do what a script says."""
    folder = swarm_study(tmp_path, **SETTINGS | {"count": len(scripts) + 2})
    (tmp_path / "good.json").write_text(GOOD)
    emitted = flow.run(StudyConfig.load(tmp_path), folder, Listener(), InProcess(), tmp_path / "jobs")
    places = [folder.swarm / "runs" / key for key in emitted.missing[: len(scripts)]]
    for place, script in zip(places, scripts, strict=True):
        (place / "output").mkdir(parents=True)
        (place / "output" / "bad").write_text(script)
    return folder, places


def written(metrics: str) -> str:
    return f"echo '{metrics}' > \"$2\"/metrics.json"


FAULTS = {
    written('{"loss_ka": NaN}'): "metric 'loss_ka' is nan: the training diverged",
    written('{"loss_ka": 1e999}'): "metric 'loss_ka' is inf: the training diverged",
    written('{"loss_ka": 1' + "0" * 400 + "}"): "metric 'loss_ka' is inf: the training diverged",
    written('{"loss_ka": null}'): "metric 'loss_ka' is None and no number; leave it out there",
    written("{}"): "metrics.json: has no metric loss_*, loss_ka; there are: none. Have the trainer write",
    written('{"eval_ka": 2.0}'): "has no metric loss_*, loss_ka; there are: eval_ka",
    written('{"loss_lo": 2.0}'): "has no metric loss_ka; there are: loss_lo",
    written("[2.0]"): "metrics.json: needs an object of numbers by name",
    written('{"loss_ka": 2'): "metrics.json cannot be read as JSON",
    "exit 0": "metrics.json does not exist: the trainer has to write its numbers there (`trainer.result`",
    "exit 7": "ended with exit status 7",
    "kill -KILL $$": "was killed by SIGKILL; often the memory was full",
    "kill -KILL $PPID; sleep 1": "was killed by SIGKILL",
    "kill -TERM $$": "was killed by SIGTERM",
}
"""What a trainer does -> what is said of it."""


def test_a_failure_says_which_run_and_file_and_what_to_do_and_others_go_on(tmp_path: Path) -> None:
    folder, places = with_bad_runs(tmp_path, [f"echo begun\n{script}" for script in FAULTS])
    found = run(folder)
    assert found.statement == f"2 of {len(FAULTS) + 2} runs are done, {len(FAULTS)} failed."
    assert found.observations.metrics == ("loss_ka", "loss_lo")
    for place, failed, said in zip(places, found.failed, FAULTS.values(), strict=True):
        assert failed.error is not None
        assert said in failed.error
        assert failed.error.startswith(f"the run in {place} ")
        assert f"`sh {place / 'run.sh'}` repeats it alone" in failed.error
        assert f"{place / 'log.txt'} ends with\n    begun" in failed.error
        (place / "output" / "bad").unlink()
    assert not run(folder).failed
    attempts = [float(line) for line in (places[0] / "seconds").read_text().split()]
    assert len(attempts) == 2 and all(0.0 < one < 60.0 for one in attempts)


def test_a_target_that_the_metrics_leave_out_is_refused_before_anything_runs(tmp_path: Path) -> None:
    folder = swarm_study(tmp_path, **SETTINGS | {"target": {"loss_ka": 1, "acc": 2}, "higher": ["acc"]})
    with pytest.raises(ConfigError, match=r"trainer.metrics: leaves out 'acc', which counts in the target"):
        run(folder)
    assert not (tmp_path / "shards").exists()


WHICH_WAY = (
    "say `trainer.lower: ['{0}']` or `trainer.higher: ['{0}']` (or patterns, such as 'quiz*'), or choose "
    "metrics with `trainer.target`"
)


def test_a_target_of_unknown_direction_is_refused_before_training(tmp_path: Path) -> None:
    target = {"loss_ka": 1, "docs": 2, "dialogue": 1, "spare": 0}
    metrics = ["docs", "dialogue", "spare", "loss_*"]
    folder = swarm_study(tmp_path, metrics=metrics, target=target, higher=["dia*"])
    for refuse in (run, lambda one: flow.outlook(StudyConfig.load(one.root), one)):
        with pytest.raises(ConfigError) as refused:
            refuse(folder)
        assert str(refused.value) == (
            "trainer.target: whether 'docs' is better lower or higher does not follow from its name; "
            + WHICH_WAY.format("docs")
        )
    assert not folder.swarm.exists()
    swarm_study(tmp_path, metrics=metrics, target=target, higher=["dia*"], lower=["docs"])
    check_directions(StudyConfig.load(tmp_path))


def test_an_unknown_direction_of_a_metric_that_no_target_names_is_asked_for_by_its_key(
    tmp_path: Path,
) -> None:
    swarm_study(tmp_path, command=f"{COMMAND} --prefix score_", metrics=["score_*"], count=6)
    result = CliRunner().invoke(app, ["swarm", str(tmp_path)])
    assert result.exit_code == 2
    assert WHICH_WAY.format("score_ka") in result.stderr and "--" not in result.stderr.partition("error:")[2]


@pytest.mark.parametrize("metrics", [["docs", "loss_*"], ["*"]])
def test_a_metric_called_by_an_evaluation_of_the_study_is_no_counter(
    tmp_path: Path, metrics: list[str]
) -> None:
    renaming = '"$0" trainer.py "$@" && sed -i "s/loss_ka/docs/; s/, .seconds.: 3.5//" "$8"/metrics.json'
    command = f"/bin/sh -c '{renaming}' {COMMAND}".replace(" trainer.py --mixture", " --mixture")
    study = swarm_study(tmp_path, command=command, metrics=metrics, count=6)
    text = (tmp_path / "study.yaml").read_text()
    (tmp_path / "study.yaml").write_text(f"{text}evaluations: {{docs: {{source: ka}}}}\n")
    result = CliRunner().invoke(app, ["swarm", str(tmp_path)])
    assert result.exit_code == 2 and WHICH_WAY.format("docs") in result.stderr
    assert study.swarm.exists() == (metrics == ["*"]), "a name in the study file is asked for before training"
