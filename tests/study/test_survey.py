"""How far a study is: read from its folder, while it is at work, after a kill and at the end."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from cuvee.decisions.check import STAGE
from cuvee.flows.search.journal import Asked, Journal
from cuvee.mixture.mixture import Mixture
from cuvee.models.llama import LAYER_BY_LAYER
from cuvee.runs.run import Run
from cuvee.runs.store import RunStore
from cuvee.search.space import Experiment
from cuvee.study.file.config import StudyConfig
from cuvee.study.file.folder import StudyFolder
from cuvee.study.plan.agenda import Agenda, Intended, saved_step, set_out
from cuvee.study.status import StudyStatus
from cuvee.study.survey import survey
from cuvee.training.state import TrainingState
from tests.study.tiny_study import Listener, run, write_study

SOURCE = Path(__file__).parents[2] / "src"


class Interrupted(Listener):
    """Stops at a stage."""

    def __init__(self, at: str) -> None:
        super().__init__()
        self._at = at

    def stage(self, title: str, total: float, unit: str) -> None:
        super().stage(title, total, unit)
        if title == self._at:
            raise KeyboardInterrupt


def surveyed(folder: StudyFolder) -> StudyStatus:
    return survey(StudyConfig.load(folder.root), folder)


def done(found: StudyStatus) -> dict[str, tuple[float, float]]:
    return {stage.title: (stage.done, stage.total) for stage in found.stages}


def save(folder: StudyFolder, key: str, step: int) -> None:
    """A training under way, saved as the loop saves it."""
    state = TrainingState(torch.zeros(5), torch.zeros(5), torch.zeros(5), step=step, losses=[3.0] * step)
    state.save(folder.checkpoint(f".{key}.state"), key)


@dataclass(frozen=True)
class Begun:
    folder: StudyFolder
    seed: Intended


@pytest.fixture
def begun(tmp_path: Path) -> Begun:
    """A study that was stopped when the seed model's training began."""
    folder = write_study(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        run(folder, Interrupted("training the seed model"))
    (seed,) = Agenda.read(folder).of_roles(["seed"])
    return Begun(folder, seed)


def test_a_study_that_has_not_begun(tmp_path: Path) -> None:
    folder = write_study(tmp_path)
    found = surveyed(folder)
    assert (found.finished, found.resumable, found.flops) == (False, False, 0.0)
    assert all(stage.done == 0 for stage in found.stages)
    assert (found.ladder, found.search) == (None, None)
    assert not folder.store.exists(), "looking changes nothing"


def test_the_first_training_is_seen_while_it_is_under_way(begun: Begun) -> None:
    early = surveyed(begun.folder)
    assert early.resumable and early.flops == 0.0, "nothing is saved yet, but it can go on"
    save(begun.folder, begun.seed.key, 35)
    found = surveyed(begun.folder)
    assert begun.seed.steps == 40
    assert done(found)["seed model"] == (0.875, 1)
    assert done(found)["pool of branches"] == (0, 4)
    assert found.flops == pytest.approx(0.875 * begun.seed.flops) and found.flops > 1e9
    assert found.resumable and not found.finished


def test_several_trainings_under_way_count_in_part(begun: Begun) -> None:
    branches = [Intended(f"branch{index}", "branch", 10, 1e6) for index in range(4)]
    references = [Intended("reference0", "reference", 20, 4e6)]
    set_out(begun.folder, "training branches and references", [*branches, *references])
    begun.folder.checkpoint(begun.seed.key).mkdir(parents=True)
    save(begun.folder, "branch0", 5)
    save(begun.folder, "branch2", 2)
    save(begun.folder, "reference0", 5)
    save(begun.folder, "of a study before this one", 7)
    found = surveyed(begun.folder)
    assert done(found)["pool of branches"] == (pytest.approx(0.7), 4)
    assert done(found)["reference runs"] == (0.25, 8)
    assert done(found)["replicates of references"] == (0, 2)
    assert found.flops == pytest.approx(0.7e6 + 1e6)


def test_states_that_cannot_be_read_count_nothing(begun: Begun) -> None:
    path = begun.folder.checkpoint(f".{begun.seed.key}.state")
    assert saved_step(begun.folder, begun.seed.key) == 0
    save(begun.folder, begun.seed.key, 35)
    whole = path.read_bytes()
    for data in (b"", whole[:9], b"\xff" * 64, whole[:8] + b"{" * 100):
        path.write_bytes(data)
        assert saved_step(begun.folder, begun.seed.key) == 0
    begun.folder.agenda.write_text("{")
    assert surveyed(begun.folder).resumable, "a training lies there, whatever it is for"
    begun.folder.agenda.write_text('{"x": [{"key": 1}]}')
    assert Agenda.read(begun.folder) == Agenda({})


def test_a_training_that_was_frozen_and_gone_on_with_costs_once(begun: Begun) -> None:
    def made(key: str, kind: str, flops: float) -> Run:
        mixture = Mixture.uniform(("ka", "lo"))
        details = {"run": "one"}
        return Run(key, kind, "search", "equal_budget", mixture, 9, 9, 0, {}, flops, "done", None, details)

    with RunStore(begun.folder.store) as store:
        store.add_many(
            [made("a", "checkpoint", 1e9), made("b", "checkpoint", 2e9), made("c", "trained", 3e9)]
        )
    assert surveyed(begun.folder).flops == 3e9


def test_progress_goes_on_from_what_is_saved(begun: Begun) -> None:
    class Counter(Listener):
        done = 0.0

        def stage(self, title: str, total: float, unit: str) -> None:
            super().stage(title, total, unit)
            self.done = 0.0

        def done_before(self, amount: float) -> None:
            self.done += amount
            if self.stages[-1] == "training the seed model":
                raise KeyboardInterrupt

    save(begun.folder, begun.seed.key, 35)
    counter = Counter()
    with pytest.raises(KeyboardInterrupt):
        run(begun.folder, counter)
    assert counter.done == 35 * 256


# Ladders and searches


def test_a_ladder_under_way_and_at_its_end(begun: Begun) -> None:
    rungs = [Intended(f"rung{index}", "rung", 100, 2e9) for index in range(3)]
    set_out(begun.folder, "training the rungs", rungs)
    begun.folder.checkpoint("rung0").mkdir(parents=True)
    save(begun.folder, "rung1", 50)
    found = surveyed(begun.folder).ladder
    assert found is not None and not found.finished
    assert found.statement.startswith("1 of 3 runs made of those known so far, 3.0e9 FLOPs of ")
    for name in ("rung1", "rung2"):
        begun.folder.checkpoint(name).mkdir(parents=True)
    begun.folder.scale.write_text(json.dumps({"headline": ["Train on everything.", "More."]}))
    ended = surveyed(begun.folder).ladder
    assert ended is not None and ended.finished and ended.statement == "Train on everything."
    for damage in ("{}", '{"headline": ' + "[" * 100_000):
        begun.folder.scale.write_text(damage)
        damaged = surveyed(begun.folder).ladder
        assert damaged is not None and "damaged" in damaged.statement


def test_a_search_under_way_and_at_its_end(begun: Begun) -> None:
    folder = begun.folder
    journal = Journal.opened(folder.searches / "x.jsonl", 5e9, [])
    first = surveyed(folder).search
    assert first is not None and first.statement.startswith("no experiment yet, the pool comes first")
    two = (Experiment((0.5, 0.5), 1), Experiment((0.1, 0.9), 0))
    journal.write(Asked(two, ("baseline", "method"), float("nan"), 0, 5e9, 4e10))
    journal.write(Asked(two[:1], ("method",), 0.1, 0, 1.5e10, 4e10))
    with journal.path.open("a") as file:
        file.write('{"experiments": [{"sha')
    found = surveyed(folder).search
    assert found is not None and not found.finished
    assert found.statement.startswith("2 experiments made, 1.5e10 FLOPs of 4.0e10; 1 was being made at last")
    folder.search.write_text(json.dumps({"headline": ["Train on 60% ka."]}))
    ended = surveyed(folder).search
    assert ended is not None and ended.finished and ended.statement == "Train on 60% ka."
    os.utime(folder.search, (1, 1))
    again = surveyed(folder).search
    assert again is not None and not again.finished, "a new search is under way"


# The command


def test_status_loads_no_library_for_models(begun: Begun) -> None:
    save(begun.folder, begun.seed.key, 35)
    code = (
        "import sys\n"
        f"sys.argv = ['cuvee', 'status', {str(begun.folder.root)!r}]\n"
        "from cuvee.cli.app import main\n"
        "try:\n"
        "    main()\n"
        "finally:\n"
        "    heavy = {'torch', 'transformers', 'scipy', 'pyarrow'} & set(sys.modules)\n"
        "    assert not heavy, heavy\n"
    )
    shown = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={**os.environ, "PYTHONPATH": str(SOURCE), "COLUMNS": "100"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert shown.returncode == 0, shown.stderr
    rows = [" ".join(line.split()) for line in shown.stdout.splitlines()]
    assert "seed model 0.875 1 model 88%" in rows
    assert rows[-1] == "`cuvee run` goes on from here"


def test_fresh_trainings_are_those_of_the_answer_of_run(begun: Begun) -> None:
    """A search is checked by trainings of the same role: they are none of this study's stages."""
    one, two, other = (Intended(f"{name}" * 64, "fresh", 10, 1e9) for name in "abc")
    set_out(begun.folder, f"{STAGE} (search)", [other])
    save(begun.folder, other.key, 10)
    assert done(surveyed(begun.folder))["fresh trainings"][0] == 0
    set_out(begun.folder, STAGE, [one, two])
    save(begun.folder, one.key, 5)
    assert done(surveyed(begun.folder))["fresh trainings"] == (0.5, 2)


def test_what_has_not_run_on_a_gpu_is_said_of_a_study_that_computes_there(tmp_path: Path) -> None:
    folder = write_study(tmp_path)
    assert surveyed(folder).untried == (), "this one computes on the processor"
    folder.numerics.write_text(json.dumps({"dtype": "bfloat16", "compiled": True, "device": "cuda"}))
    (said,) = surveyed(folder).untried
    assert said.startswith("untried on a GPU: ")
    assert surveyed(folder).as_json()["untried"] == [said]
    numerics = {"dtype": "bfloat16", "compiled": True, "device": "cuda", "kernels": 3, "stacked": 4}
    folder.numerics.write_text(json.dumps(numerics))
    assert ['"kernels": 3' in one or "stacks" in one for one in surveyed(folder).untried] == [
        False,
        True,
        True,
    ]
    assert numerics["kernels"] == LAYER_BY_LAYER
    folder.numerics.write_text("[1")
    assert surveyed(folder).untried == (), "that it is damaged is for others to say"
