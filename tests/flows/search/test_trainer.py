"""A search whose trainings are runs of the user's own trainer."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from cuvee.cli.app import app
from cuvee.decisions.search.decision import SearchDecision
from cuvee.errors import ConfigError, RunsAwaited, TrainingError
from cuvee.execution.local import InProcess
from cuvee.flows import search
from cuvee.flows.check.flow import check_answer
from cuvee.flows.swarm import flow as swarm
from cuvee.runs.roles import SEARCH, SWARM
from cuvee.runs.store import RunStore
from cuvee.study.file.config import StudyConfig
from cuvee.study.file.folder import StudyFolder
from tests.flows.swarm.swarm_study import COMMAND, FakeScheduler, swarm_study
from tests.flows.swarm.toy_trainer import losses
from tests.study.tiny_study import LANGUAGES, Listener

PARAMETERS = 1000
LONG, SHORT = 6000, 1500
WEIGHTS = {"ka": 0.7, "lo": 0.1, "mi": 0.1, "nu": 0.1}
EACH = 6.0 * PARAMETERS * LONG
TRAINER: dict[str, Any] = {
    "command": f"{COMMAND} --prefix ''",
    "metrics": list(LANGUAGES),
    "parameters": PARAMETERS,
    "tokens": LONG,
    "count": 4,
}
SEARCHED: dict[str, Any] = {
    "budget_flops": 4 * EACH,
    "method": "asha",
    "trainer_tokens": [LONG, SHORT],
    "proxies": [],
    "batch": 2,
    "tolerance": 0.0,
}


def study(
    root: Path, trainer: dict[str, Any] | None = None, weights: dict[str, float] = WEIGHTS, **changes: Any
) -> StudyFolder:
    folder = swarm_study(root, **TRAINER | (trainer or {}))
    text = (root / "study.yaml").read_text()
    asked = {"search": SEARCHED | changes, "target": {"weights": weights}}
    (root / "study.yaml").write_text(text + yaml.safe_dump(asked))
    return folder


def run(folder: StudyFolder, listener: Listener | None = None) -> SearchDecision:
    return search.run(StudyConfig.load(folder.root), folder, listener or Listener(), InProcess())


def timeless(decision: SearchDecision) -> str:
    rows = tuple(replace(row, seconds=float("nan")) for row in decision.fidelities)
    return json.dumps(replace(decision, fidelities=rows).as_json(), sort_keys=True)


def truth(shares: tuple[float, ...], tokens: int) -> float:
    found = losses(dict(zip(LANGUAGES, shares, strict=True)), tokens)
    return float(np.average([found[f"loss_{name}"] for name in LANGUAGES], weights=list(WEIGHTS.values())))


class Stopped(Exception):
    """What ends a search in a test."""


class Stopping(Listener):
    """Raises when so many experiments were told."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.after = after

    def message(self, text: str) -> None:
        super().message(text)
        if f" {self.after}  trained on" in text:
            raise Stopped


def attempts(folder: StudyFolder) -> list[str]:
    return [path.read_text() for path in folder.swarm.glob("runs/*/output/attempts")]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[StudyFolder, SearchDecision]:
    folder = study(tmp_path_factory.mktemp("trainer"))
    return folder, run(folder)


def test_a_search_by_a_trainer_of_ones_own_ends_in_a_decision(
    finished: tuple[StudyFolder, SearchDecision],
) -> None:
    folder, decision = finished
    assert [(one.kind, one.parameters, one.tokens) for one in decision.fidelities] == [
        ("trained", PARAMETERS, SHORT),
        ("trained", PARAMETERS, LONG),
    ]
    assert decision.fidelities[0].made and decision.fidelities[1].made, "short and long runs were asked for"
    for one in decision.tried:
        assert one.loss == pytest.approx(truth(one.shares, decision.fidelities[one.fidelity].tokens))
    found = tuple(entry.share for entry in decision.mixture)
    assert truth(found, LONG) < truth((0.25,) * 4, LONG)
    assert decision.flops <= decision.budget_flops == 4 * EACH
    assert decision.trainer == TRAINER["command"]
    assert "trained by your trainer" in decision.headline[-1]
    assert sum("are taken for nats per token" in one for one in decision.warnings) == 1
    assert attempts(folder) == ["x"] * len(decision.tried)
    with RunStore(folder.store) as store:
        assert {one.role for one in store.runs()} == {SEARCH}


def test_a_search_that_was_stopped_goes_on_as_if_it_had_not_been(
    finished: tuple[StudyFolder, SearchDecision], tmp_path: Path
) -> None:
    folder = study(tmp_path)
    for after in (1, 4):
        with pytest.raises(Stopped):
            run(folder, Stopping(after))
    assert timeless(run(folder)) == timeless(finished[1])
    assert Counter(attempts(folder)) == {"x": len(finished[1].tried)}, "no run was made twice"


def test_runs_that_a_scheduler_makes_batch_by_batch_give_the_decision_of_local_ones(
    finished: tuple[StudyFolder, SearchDecision], tmp_path: Path
) -> None:
    folder, jobs = study(tmp_path / "study"), tmp_path / "jobs"
    said = command_line("search", folder.root, "--emit", jobs)
    assert f"2 runs of the trainer to make: cd {jobs} && sbatch array.sh; then the same command" in said
    assert said == command_line("search", folder.root, "--emit", jobs), "they are still to be made"
    batches = 0
    while (jobs / "array.sh").exists():
        batches += 1
        assert set(FakeScheduler(jobs).submit(seed=batches)) == {0}
        said = command_line("search", folder.root, "--emit", jobs, "--json")
    assert batches > 1
    decision = SearchDecision.from_json(json.loads(said))
    assert timeless(decision) == timeless(finished[1])
    made = [path.read_text() for path in jobs.glob("runs/*/output/attempts")]
    assert made == ["x"] * len(decision.tried)


def test_only_runs_of_a_trainer_of_ones_own_are_emitted(tmp_path: Path) -> None:
    folder = study(tmp_path, trainer_tokens=[])
    with pytest.raises(ConfigError, match=r"--emit writes runs of your own trainer: give search\.trainer"):
        search.run(StudyConfig.load(tmp_path), folder, Listener(), InProcess(), tmp_path / "jobs")


def test_runs_of_a_swarm_are_known_to_a_search(tmp_path: Path) -> None:
    folder = study(tmp_path, budget_flops=3 * EACH)
    made = swarm.run(StudyConfig.load(tmp_path), folder, Listener(), InProcess())
    assert len(made.observations) == 4
    decision = run(folder)
    assert decision.known == 4
    assert not any(one.why == "baseline" for one in decision.tried), "equal shares are among the known"
    assert len(decision.trained) >= 4
    with RunStore(folder.store) as store:
        assert Counter(one.role for one in store.runs()) == {SWARM: 4, SEARCH: len(decision.tried)}
    assert attempts(folder) == ["x"] * (4 + len(decision.tried))


def test_a_run_that_fails_is_an_experiment_that_measured_nothing(tmp_path: Path) -> None:
    folder = study(tmp_path)
    bad = swarm.run(StudyConfig.load(tmp_path), folder, Listener(), InProcess(), tmp_path / "jobs").missing[0]
    output = folder.swarm / "runs" / bad / "output"
    output.mkdir(parents=True)
    (output / "fail").touch()  # equal shares, the first that is asked for
    decision = run(folder)
    assert f"the run in {output.parent} ended with exit status 3" in decision.tried[0].error
    assert not any(one.error for one in decision.tried[1:])
    assert (output / "attempts").read_text() == "x", "one command tries it once"
    again = run(folder)
    assert (output / "attempts").read_text() == "xx", "the next one tries it again"
    assert not any(one.error for one in again.tried)
    before = [(one.shares, one.fidelity) for one in decision.tried]
    assert [(one.shares, one.fidelity) for one in again.tried][: len(before)] == before, (
        "nothing else is asked"
    )
    assert timeless(run(folder)) == timeless(again)
    assert Counter(attempts(folder)) == {"xx": 1, "x": len(again.tried) - 1}


def breakable(root: Path, **changes: Any) -> tuple[StudyFolder, Path]:
    """A study whose trainer is broken as long as there is a file ``broken``, and that file."""
    broken = root / "broken"
    command = f"/bin/sh -c 'test ! -e {broken} && exec \"$@\"' run {TRAINER['command']}"
    folder = study(root, {"command": command}, **{"budget_flops": 8 * EACH} | changes)
    broken.touch()
    return folder, broken


def test_a_search_stops_when_its_trainer_is_broken_and_goes_on_when_it_is_mended(tmp_path: Path) -> None:
    folder, broken = breakable(tmp_path)
    said = r"the last 6 runs of your trainer failed, so the search stops; .*; the same command tries failed"
    for _ in range(2):
        with pytest.raises(TrainingError, match=said) as stopped:
            run(folder)
        assert f"the run in {folder.swarm / 'runs'}" in str(stopped.value)
        assert "log.txt" in str(stopped.value)
    broken.unlink()
    decision = run(folder)
    assert not any(one.error for one in decision.tried)
    assert decision.flops <= decision.budget_flops
    assert timeless(run(folder)) == timeless(decision)
    assert Counter(attempts(folder)) == {"x": len(decision.tried)}


def test_a_search_whose_few_runs_failed_says_that_they_are_tried_again(tmp_path: Path) -> None:
    folder, _ = breakable(tmp_path, trainer_tokens=[LONG], method="sobol", budget_flops=2 * EACH)
    said = r"0 of 2 experiments measured anything, too few to decide \(the same command tries failed runs"
    with pytest.raises(TrainingError, match=said):
        run(folder)


def test_a_search_on_a_scheduler_writes_again_what_failed_in_a_row(tmp_path: Path) -> None:
    folder, broken = breakable(tmp_path / "study")
    jobs = tmp_path / "jobs"
    with pytest.raises(TrainingError, match=f"; cd {jobs} && sbatch array.sh tries them again"):
        scheduled(folder, jobs)
    broken.unlink()
    FakeScheduler(jobs).submit()
    decision = scheduled(folder, jobs)
    assert not any(one.error for one in decision.tried)


def scheduled(folder: StudyFolder, jobs: Path) -> SearchDecision:
    """A search with a scheduler that makes what it is given."""
    while True:
        try:
            return search.run(StudyConfig.load(folder.root), folder, Listener(), InProcess(), jobs)
        except RunsAwaited:
            FakeScheduler(jobs).submit()


BELIEVING: dict[str, Any] = {"method": "cost_aware", "budget_flops": 4 * EACH}
"""A search that goes on until its posterior is used."""


def test_a_trainer_measures_what_counts_and_nothing_else(tmp_path: Path) -> None:
    folder = study(tmp_path, {"metrics": ["ka", "lo"]}, weights={"ka": 0.5, "lo": 0.5}, **BELIEVING)
    decision = run(folder)
    assert all(np.isfinite(one.loss) for one in decision.tried)
    assert len(decision.tried) > 8, "so many are asked of the posterior"
    assert not any(row.failed for row in decision.fidelities)


def test_a_run_of_a_swarm_that_lacks_what_counts_is_a_failure_that_says_so(tmp_path: Path) -> None:
    trainer: dict[str, Any] = {"command": f"{COMMAND} --prefix ''", "metrics": [], "count": 1}
    trainer |= {"target": {"ka": 1.0}, "lower": ["ka"]}
    folder = study(tmp_path, trainer)
    text = (tmp_path / "trainer.py").read_text()
    lacking = text.replace('json.dumps({**found, "seconds"', 'json.dumps({"ka": found["ka"], "seconds"')
    assert lacking != text
    (tmp_path / "trainer.py").write_text(lacking)
    made = swarm.run(StudyConfig.load(tmp_path), folder, Listener(), InProcess())
    assert len(made.observations) == 1
    listener = Listener()
    with pytest.raises(TrainingError, match="has no metric lo, mi, nu"):
        run(folder, listener)
    [first] = [text for text in listener.said if text.startswith("   1  trained on")]
    assert "gave no loss on lo, mi, nu, which counts in the target" in first
    with RunStore(folder.store) as store:
        assert len(store.runs()) == 1


@pytest.mark.parametrize(
    ("trainer", "changes", "said"),
    [
        ({"command": ""}, {}, "trainer.command: names no command"),
        ({"parameters": None}, {}, "trainer.parameters: say how many"),
        ({"metrics": ["loss_*"]}, {}, "trainer.metrics: leaves out 'ka', which counts in the target"),
        ({}, {"budget_flops": EACH}, "search.trainer_tokens: two runs of 6,000 tokens take 7.20e7 FLOPs"),
        ({}, {"target_tokens": 5000}, "`target_tokens` is the largest of `trainer_tokens`"),
        ({}, {"trainer_tokens": [5000, 5000]}, "`trainer_tokens` names a number twice"),
        ({"higher": ["k*"]}, {}, "'ka' counts in the target and is better when higher (trainer.higher names"),
        ({}, {"method": "duet"}, "documents cannot be chosen for a trainer of your own"),
    ],
)
def test_what_cannot_be_is_refused(
    tmp_path: Path, trainer: dict[str, Any], changes: dict[str, Any], said: str
) -> None:
    folder = study(tmp_path, trainer, **changes)
    with pytest.raises(ConfigError) as refused:
        run(folder)
    assert said in str(refused.value)
    assert not attempts(folder)


def test_fresh_trainings_by_cuvee_check_no_run_of_another_trainer(
    finished: tuple[StudyFolder, SearchDecision],
) -> None:
    folder, decision = finished
    with pytest.raises(ConfigError, match="found by runs of your trainer, which `cuvee check` does not call"):
        check_answer(StudyConfig.load(folder.root), folder, decision, Listener(), InProcess())


def test_the_time_of_a_search_is_that_of_runs_that_were_made(tmp_path: Path) -> None:
    folder = study(tmp_path, {"gpus": 2})
    with (tmp_path / "study.yaml").open("a") as file:
        file.write("target_run: {tokens: 60000, max_epochs: 30}\n")
    assert "time not measured: make one run first" in planned(folder)
    listener = Listener()
    swarm.run(StudyConfig.load(tmp_path), folder, listener, InProcess(), limit=1)
    with RunStore(folder.store) as store:
        [(key, _)] = store.seconds()
        store.record_seconds(key, SWARM, 3600.0 - store.seconds()[key, SWARM])
    assert "about 4.0 hours on this machine (8.00 GPU-hours)" in planned(folder)
    assert "1h00m" in planned(folder)


@pytest.mark.slow
def test_merges_and_short_and_long_runs_of_the_trainer_are_one_search(tmp_path: Path) -> None:
    proxies: dict[str, Any] = {
        "proxies": ["merged", "ensembled"],
        "method": "cost_aware",
        "budget_flops": 2e10,
    }
    folder = study(tmp_path, {"parameters": 100_000}, **proxies)
    decision = run(folder)
    made = {(one.kind, one.tokens): one.made for one in decision.fidelities}
    assert set(made) == {("merged", LONG), ("ensembled", LONG), ("trained", SHORT), ("trained", LONG)}
    assert made["trained", LONG] and made["merged", LONG] + made["ensembled", LONG]
    assert decision.pool_flops > 0
    assert truth(tuple(entry.share for entry in decision.mixture), LONG) < truth((0.25,) * 4, LONG)
    assert timeless(run(folder)) == timeless(decision)


def planned(folder: StudyFolder) -> str:
    return command_line("search", folder.root, "--plan")


def command_line(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(one) for one in arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_search_whose_trainer_changed_since_is_called_outdated(tmp_path: Path) -> None:
    folder = study(tmp_path)
    assert command_line("search", folder.root)
    assert "was made from" not in command_line("status", folder.root)
    with (folder.root / "trainer.py").open("a") as trainer:
        trainer.write("# another rate\n")
    said = "the answer of `cuvee search` was made from other content of trainer.py (`trainer.command`)"
    assert said in command_line("status", folder.root)
