"""One training in several processes: the losses of one, the same bytes after a break, a process that dies.

torchrun starts real processes over gloo, which takes some seconds each time.
"""

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from cuvee.errors import ConfigError, NonFiniteLoss, WorkerError
from cuvee.models.hugging_face import HuggingFaceModel
from cuvee.training.run import LOG, MOMENTS, ModelSpec, TrainingRun, begin, execute, read_snapshots
from cuvee.training.state import TrainingState
from tests.models.tiny_models import save_random
from tests.training.helpers import CONFIG, VOCABULARY, Counting, files, recipe, training_run

STEPS = 20


@dataclass(frozen=True)
class Loss:
    """Measures a model in whatever process it is sent to."""

    model: ModelSpec

    def __call__(self, flat: Tensor) -> dict[str, float]:
        inputs, targets = (torch.from_numpy(part) for part in Counting().batch(0))
        return {"loss": float(self.model.build().mean_loss(flat, inputs, targets))}


Pair = tuple[TrainingRun, TrainingRun]


def test_the_number_of_processes_is_part_of_a_recipe_and_one_changes_no_key() -> None:
    assert recipe(processes=1).hash == recipe().hash
    assert "processes" not in recipe().as_json()
    assert recipe(processes=2).hash != recipe().hash
    with pytest.raises(ConfigError, match=r"accumulation 2 times processes 4 does not divide"):
        recipe(accumulation=2, processes=4)
    with pytest.raises(ConfigError, match="none of muon"):
        recipe(processes=2, optimizer="muon")
    with pytest.raises(ConfigError, match="none that are stacked"):
        recipe(processes=2, stacked=2)


def pair(root: Path, model: ModelSpec) -> Pair:
    """The same run in one process and in two."""
    given: dict[str, Any] = {"steps": STEPS, "accumulation": 2, "tail_average": 0.25, "snapshots": (7,)}
    one = training_run(root, recipe=recipe(**given), keep_moments=True, model=model)
    return one, replace(one, recipe=recipe(**given, processes=2))


def gpt2(folder: Path) -> ModelSpec:
    save_random(folder, "gpt2", VOCABULARY)
    return ModelSpec(folder=folder)


@pytest.fixture(scope="module", params=["native", "transformers"])
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """The same training carried out by one process, and by two."""
    root = tmp_path_factory.mktemp(request.param)
    spec = ModelSpec(CONFIG) if request.param == "native" else gpt2(root / "gpt2")
    assert isinstance(spec.build(), HuggingFaceModel) == (request.param == "transformers")
    one, two = pair(root, spec)
    execute(one, evaluate=Loss(spec), evaluate_every=5)
    reported: list[float] = []
    shared = execute(two, lambda tokens, note: reported.append(tokens), Loss(spec), 5)
    assert sum(reported) == two.recipe.tokens and shared.seconds > 0
    return one, two


@pytest.mark.slow
def test_two_processes_give_the_losses_of_one(
    trained: Pair, record_property: Callable[[str, object], None]
) -> None:
    alone, shared = (json.loads((run.folder / LOG).read_text()) for run in trained)
    for name in ("losses", "gradient_norms"):
        np.testing.assert_allclose(shared[name], alone[name], rtol=0, atol=1e-5)
    how = "native" if trained[0].model.folder is None else "FSDP2"
    furthest = float(np.abs(np.subtract(shared["losses"], alone["losses"])).max())
    record_property("measured", f"{how}: losses of {STEPS} steps differ by {furthest:.1g} nats at most")
    assert shared["losses"][-1] < shared["losses"][0] - 0.1
    assert shared["tokens"] == alone["tokens"]
    for (step, found), (same, expected) in zip(shared["evaluations"], alone["evaluations"], strict=True):
        assert step == same and found == pytest.approx(expected, abs=1e-4)
    first, second = (TrainingState.load(run.folder / MOMENTS, run.key) for run in trained)
    assert first is not None and second is not None and second.updates == STEPS
    # Biases of keys change nothing, so their gradient is rounding alone, which Adam blows up.
    real = first.second_moment > 1e-15
    assert real.float().mean() > 0.9
    for name in ("flat", "first_moment", "second_moment", "tail_sum"):
        assert (getattr(first, name) - getattr(second, name))[real].abs().max() < 1e-4, name
    snapshots = [read_snapshots(run.folder)[7][real] for run in trained]
    assert (snapshots[0] - snapshots[1]).abs().max() < 1e-4


@pytest.mark.slow
def test_a_training_that_was_stopped_ends_in_the_same_bytes(trained: Pair, tmp_path: Path) -> None:
    _, whole = trained
    broken = replace(whole, root=tmp_path)
    begun = begin(broken, 17, lambda tokens, note: None, Loss(whole.model), 5)
    assert [step for step, _ in begun.evaluations] == [5, 10, 15] and begun.seconds > 0
    assert broken.state_file.is_file()
    execute(broken, evaluate=Loss(whole.model), evaluate_every=5)
    assert files(broken.folder) == files(whole.folder)
    assert [file.name for file in tmp_path.iterdir()] == [whole.key]


def endless(root: Path) -> TrainingRun:
    _, two = pair(root, ModelSpec(CONFIG))
    return replace(two, recipe=replace(two.recipe, steps=10**7, snapshots=()))


@pytest.mark.slow
def test_a_process_that_is_killed_ends_the_job_in_words(tmp_path: Path) -> None:
    run, killed = endless(tmp_path), list[int]()

    def kill(tokens: float, note: str) -> None:
        if not killed:
            killed.append(ranks(run)[1])
            os.kill(killed[0], signal.SIGKILL)

    with pytest.raises(WorkerError, match=r"process 1 was killed by SIGKILL; what was saved stays"):
        execute(run, kill)
    assert ranks(run) == []
    assert not list(run.root.glob(".*.tmp"))


@pytest.mark.slow
def test_an_error_of_a_process_comes_back_as_it_is(tmp_path: Path) -> None:
    _, two = pair(tmp_path, ModelSpec(CONFIG))
    with pytest.raises(NonFiniteLoss, match="lower the learning rate"):
        execute(replace(two, recipe=replace(two.recipe, learning_rate=1e30)))


@pytest.mark.slow
def test_processes_end_with_who_asked_for_them(tmp_path: Path) -> None:
    run = endless(tmp_path)
    (tmp_path / "run").write_bytes(pickle.dumps(run))
    code = "import pickle, sys; from cuvee.training.run import execute; "
    code += "execute(pickle.load(open(sys.argv[1], 'rb')))"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    asking = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "run")], env=environment)
    assert until(lambda: len(ranks(run)) == 2, 60)
    asking.kill()
    asking.wait()
    assert until(lambda: ranks(run) == [], 10)


def until(true: Callable[[], bool], seconds: float) -> bool:
    """Wait for something."""
    deadline = time.monotonic() + seconds
    while not true() and time.monotonic() < deadline:
        time.sleep(0.1)
    return true()


def ranks(run: TrainingRun) -> list[int]:
    """Ids of the processes of a training, by rank."""
    found = {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            command = (place / "cmdline").read_text()
            if "cuvee.training.rank" in command and run.key in command:
                variables = (place / "environ").read_text().split("\0")
                [rank] = [one.removeprefix("RANK=") for one in variables if one.startswith("RANK=")]
                found[int(rank)] = int(place.name)
        except (OSError, ValueError):
            continue
    return [found[rank] for rank in sorted(found)]
