"""A study whose branches and references are trained in stacks."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from cuvee.decisions.ablation.decision import Decision
from cuvee.errors import NonFiniteLoss, OutOfMemory
from cuvee.models.checkpoint import Checkpoint
from cuvee.models.config import ModelConfig
from cuvee.models.llama import Llama
from cuvee.models.stacked_llama import StackedLlama
from cuvee.runs.store import RunStore
from cuvee.study.file.folder import StudyFolder
from cuvee.training.run import STACKS
from cuvee.training.stack import Stack
from tests.study.tiny_study import Listener, change_study, run, timeless, write_study

NUMERICS = {"dtype": "float32", "compiled": False, "device": "cpu"}


def stacked(folder: StudyFolder, count: int = 4) -> StudyFolder:
    folder.numerics.write_text(json.dumps({**NUMERICS, "stacked": count}))
    return folder


def parameters(folder: StudyFolder) -> dict[str, torch.Tensor]:
    """Role and mixture -> parameters of all models that were trained to the end."""
    with RunStore(folder.store) as store:
        runs = [one for one in store.runs() if one.kind == "trained"]
    found = {}
    for one in runs:
        assert one.params is not None
        checkpoint = Checkpoint.load(folder.checkpoints / str(one.details["run"]))
        model = Llama(ModelConfig.of_size(one.params, 300, 32))
        found[f"{one.role} {one.mixture.key} {one.seed}"] = checkpoint.read_flat(model)
    return found


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> tuple[StudyFolder, Decision]:
    folder = stacked(write_study(tmp_path_factory.mktemp("stacked")))
    return folder, run(folder)


def test_its_models_are_those_of_single_trainings_up_to_rounding(
    together: tuple[StudyFolder, Decision], tmp_path: Path
) -> None:
    folder, decision = together
    alone = write_study(tmp_path)
    single = run(alone)
    theirs, ours = parameters(alone), parameters(folder)
    assert len(ours) > 12 and ours.keys() >= theirs.keys() - {one for one in theirs if "fresh" in one}
    for name, flat in ours.items():
        if name in theirs:
            torch.testing.assert_close(flat, theirs[name], rtol=1e-3, atol=1e-3)
    shares, others = ([one.share for one in found.mixture] for found in (decision, single))
    assert shares == pytest.approx(others, abs=0.05)
    assert {row.stage for row in decision.ledger} == {row.stage for row in single.ledger}
    with RunStore(folder.store) as store:
        spent = {key for key, _ in store.seconds()}
        assert {one.key for one in store.runs() if one.role == "branch"} <= spent


def test_broken_off_it_goes_on_to_the_same_answer(
    together: tuple[StudyFolder, Decision], tmp_path: Path
) -> None:
    class Halting(Listener):
        def advance(self, amount: float, note: str = "") -> None:
            if "models together" in note:
                self.heard += 1
                if self.heard == 3:
                    raise KeyboardInterrupt

        heard = 0

    folder = stacked(write_study(tmp_path))
    with pytest.raises(KeyboardInterrupt):
        run(folder, Halting())
    assert timeless(run(folder)) == timeless(together[1])


def test_a_run_that_diverges_ends_the_command_after_the_others_were_kept(
    together: tuple[StudyFolder, Decision], tmp_path: Path
) -> None:
    shutil.copytree(together[0].root, tmp_path / "study")
    folder = StudyFolder(tmp_path / "study")
    change_study(folder, branch_training={"learning_rate": 1e30})
    with pytest.raises(NonFiniteLoss, match="lower the learning rate"):
        run(folder)


def test_a_stack_that_does_not_fit_is_halved_and_said(
    together: tuple[StudyFolder, Decision], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(Stack):
        def __init__(self, model: StackedLlama, *more: Any) -> None:
            if model.members > 2:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
            super().__init__(model, *more)

    monkeypatch.setattr("cuvee.training.run.Stack", Full)
    STACKS.drop()
    folder = stacked(write_study(tmp_path))
    with pytest.raises(OutOfMemory, match=r"numerics\.json says 2 now"):
        run(folder)
    assert json.loads(folder.numerics.read_text())["stacked"] == 2
    run(folder)
