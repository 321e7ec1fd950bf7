"""One training in several processes: the losses of one, the same bytes after a break, a process that dies.

torchrun starts real processes over gloo, which takes some seconds each time.
"""

import os
import signal
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import Tensor

from cuvee.errors import ConfigError, NonFiniteLoss, WorkerError
from cuvee.models.hugging_face import HuggingFaceModel
from cuvee.training.run import ModelSpec, TrainingRun, begin, execute
from cuvee.training.state import TrainingState
from tests.models.tiny_models import save_random
from tests.training.helpers import VOCABULARY, files, recipe, training_run

STEPS = 20


@dataclass(frozen=True)
class Norm:
    """Measures a model wherever it is sent."""

    def __call__(self, flat: Tensor) -> dict[str, float]:
        return {"norm": float(flat.norm())}


def test_the_number_of_processes_is_part_of_a_recipe_and_one_changes_no_key() -> None:
    assert recipe(processes=1).hash == recipe().hash
    assert "processes" not in recipe().as_json()
    assert recipe(processes=2).hash != recipe().hash
    with pytest.raises(ConfigError, match=r"accumulation 2 times processes 4 does not divide"):
        recipe(accumulation=2, processes=4)
    with pytest.raises(ConfigError, match="none of muon"):
        recipe(processes=2, optimizer="muon")


def pair(root: Path, **changes: Any) -> tuple[TrainingRun, TrainingRun]:
    """The same run in one process and in two."""
    given = {"steps": STEPS, "accumulation": 2, "tail_average": 0.25, "snapshots": (7,)}
    (root / "run").mkdir()
    one = training_run(root / "run", recipe=recipe(**given), keep_moments=True, **changes)
    return one, replace(one, recipe=recipe(**given, processes=2))


def gpt2(root: Path) -> ModelSpec:
    save_random(root / "gpt2", "gpt2", VOCABULARY)
    return ModelSpec(folder=root / "gpt2")


def assert_same_training(one: TrainingRun, two: TrainingRun) -> None:
    alone = execute(one, evaluate=Norm(), evaluate_every=5)
    reported: list[float] = []
    shared = execute(two, lambda tokens, note: reported.append(tokens), Norm(), 5)
    assert sum(reported) == two.recipe.tokens and shared.seconds > 0
    for name in ("losses", "gradient_norms"):
        np.testing.assert_allclose(shared.log[name], alone.log[name], rtol=1e-5, atol=1e-5)
    assert shared.log["losses"][-1] < shared.log["losses"][0] - 0.1
    assert shared.log["tokens"] == alone.log["tokens"]
    assert [step for step, _ in shared.log["evaluations"]] == [5, 10, 15, 20]
    moments = [TrainingState.load(run.folder / "optimizer.safetensors", run.key) for run in (one, two)]
    assert moments[0] is not None and moments[1] is not None
    # Biases of keys change nothing, so their gradient is rounding alone, which Adam blows up.
    real = moments[0].second_moment > 1e-15
    assert real.float().mean() > 0.9
    for vector in ("flat", "first_moment", "second_moment", "tail_sum"):
        first, second = getattr(moments[0], vector)[real], getattr(moments[1], vector)[real]
        assert (first - second).abs().max() < 1e-4, vector
    assert moments[1].updates == STEPS


@pytest.mark.slow
def test_two_processes_train_the_native_model_as_one_does(tmp_path: Path) -> None:
    assert_same_training(*pair(tmp_path))


@pytest.mark.slow
def test_two_processes_train_a_model_of_transformers_as_one_does(tmp_path: Path) -> None:
    spec = gpt2(tmp_path)
    assert isinstance(spec.build(), HuggingFaceModel)
    assert_same_training(*pair(tmp_path, model=spec))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["native", "transformers"])
def test_a_training_that_was_stopped_ends_in_the_same_bytes(tmp_path: Path, kind: str) -> None:
    _, whole = pair(tmp_path, **({"model": gpt2(tmp_path)} if kind == "transformers" else {}))
    broken = replace(whole, root=tmp_path / "elsewhere")
    begun = begin(broken, 17, lambda tokens, note: None, Norm(), 5)
    assert [step for step, _ in begun.evaluations] == [5, 10, 15] and begun.seconds > 0
    assert broken.state_file.is_file()
    execute(broken, evaluate=Norm(), evaluate_every=5)
    execute(whole, evaluate=Norm(), evaluate_every=5)
    assert files(broken.folder) == files(whole.folder)


@pytest.mark.slow
def test_a_process_that_is_killed_ends_the_job_in_words(tmp_path: Path) -> None:
    _, two = pair(tmp_path)
    endless = replace(two, recipe=replace(two.recipe, steps=10**7, snapshots=()))
    killed: list[int] = []

    def kill(tokens: float, note: str) -> None:
        if not killed:
            killed.append(ranks()[1])
            os.kill(killed[0], signal.SIGKILL)

    with pytest.raises(WorkerError, match=r"process 1 was killed by SIGKILL; what was saved stays"):
        execute(endless, kill)
    assert ranks() == []
    assert not list(endless.root.glob(".*.tmp"))


@pytest.mark.slow
def test_processes_end_with_who_asked_for_them_and_errors_come_back(tmp_path: Path) -> None:
    _, two = pair(tmp_path)
    wild = replace(two, recipe=replace(two.recipe, learning_rate=1e30))
    with pytest.raises(NonFiniteLoss, match="lower the learning rate"):
        execute(wild)


def ranks() -> list[int]:
    """Process ids of the ranks that run here, by rank."""
    found = {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if b"cuvee.training.rank" in (place / "cmdline").read_bytes():
                environment = (place / "environ").read_bytes().split(b"\0")
                [rank] = [one[5:] for one in environment if one.startswith(b"RANK=")]
                found[int(rank)] = int(place.name)
        except (OSError, ValueError):
            continue
    return [found[rank] for rank in sorted(found)]
