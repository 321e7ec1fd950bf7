"""What is damaged in the folder of a study is refused, or made again and said; never used in silence."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cuvee.decisions.ablation.decision import Decision
from cuvee.errors import CheckpointError, ConfigError, CuveeError, StoreError
from cuvee.study.file.config import StudyConfig
from cuvee.study.file.folder import StudyFolder
from cuvee.training import loop
from cuvee.training.state import TrainingState
from tests.study.tiny_study import SEED_DATA, Listener, run, timeless, write_study

QUICK: dict[str, Any] = {
    "seed_training": {"tokens": 4 * 256},
    "branch_training": SEED_DATA | {"tokens": 2 * 256, "snapshots": [0.5]},
    "references": {"count": 1, "replicates": 0},
    "candidates": {"count": 8},
    "evaluation_tokens": 64,
    "check": {"seeds": 0},
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[StudyFolder, Decision]:
    folder = write_study(tmp_path_factory.mktemp("finished"), **QUICK)
    return folder, run(folder)


@pytest.fixture
def copy(finished: tuple[StudyFolder, Decision], tmp_path: Path) -> StudyFolder:
    shutil.copytree(finished[0].root, tmp_path / "study")
    return StudyFolder(tmp_path / "study")


def flip(file: Path, place: float = 0.7) -> None:
    """Flip a bit somewhere, of a digit where the file is text."""
    data = bytearray(file.read_bytes())
    at = int(place * len(data))
    if file.suffix == ".json":
        at = next(i for i in range(at, len(data)) if chr(data[i]).isdigit())
    data[at] ^= 1
    file.write_bytes(data)


def seed_folder(folder: StudyFolder) -> Path:
    (found,) = [path.parent for path in folder.checkpoints.glob("*/optimizer.safetensors")]
    return found


def answer(decision: Decision) -> tuple[object, object]:
    document = decision.as_json()  # in which what is not known equals itself
    return document["mixture"], document["predictions"]


def forget_measurements(folder: StudyFolder) -> None:
    """Only what was trained is left, as after the advice to move the store away."""
    for file in folder.root.glob("store.sqlite*"):
        file.unlink()


@pytest.mark.parametrize(
    "pattern",
    [
        "shards/*/tokens.bin",
        pytest.param("shards/*/document_bytes.npy", marks=pytest.mark.slow),
        pytest.param("shards/*/meta.json", marks=pytest.mark.slow),
        "pools/*/bank.npy",
        pytest.param("pools/*/roster.json", marks=pytest.mark.slow),
        "ensembles/*/log_probs.npy",
        pytest.param("ensembles/*/ensemble.json", marks=pytest.mark.slow),
        "checkpoints/*/cuvee.json",
        pytest.param("checkpoints/*/snapshots.safetensors", marks=pytest.mark.slow),
        pytest.param("checkpoints/*/training.json", marks=pytest.mark.slow),
    ],
)
def test_a_flipped_bit_is_refused_and_the_advice_helps(
    finished: tuple[StudyFolder, Decision], copy: StudyFolder, pattern: str
) -> None:
    forget_measurements(copy)
    file = sorted(copy.root.glob(pattern))[0]
    flip(file)
    with pytest.raises(CuveeError, match=file.parent.name) as message:
        run(copy)
    assert "remove the folder" in str(message.value) or "delete the folder" in str(message.value)
    shutil.rmtree(file.parent)
    assert answer(run(copy)) == answer(finished[1])


def test_what_a_pool_starts_from_is_made_again_where_it_is_gone(
    finished: tuple[StudyFolder, Decision], copy: StudyFolder
) -> None:
    """Also where the store still has what it measured."""
    for part in (copy.checkpoints, copy.pools, copy.ensembles):
        shutil.rmtree(part)
    listener = Listener()
    assert answer(run(copy, listener)) == answer(finished[1])
    assert "training the seed model" in listener.stages
    before, after = (sorted(p.name for p in one.checkpoints.iterdir()) for one in (finished[0], copy))
    assert set(after) <= set(before)


def test_moments_that_are_gone_are_missed(copy: StudyFolder) -> None:
    seed = seed_folder(copy)
    for path in copy.checkpoints.iterdir():
        if path != seed:
            shutil.rmtree(path)
    shutil.rmtree(copy.pools)
    (seed / "optimizer.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"optimizer\.safetensors: damaged; delete the folder"):
        run(copy)


class Stop(Exception):
    pass


class Stopping(Listener):
    """Stops at the first progress of the branch of a language."""

    def advance(self, amount: float, note: str = "") -> None:
        if note.startswith("branch lo: step 1/"):
            raise Stop


def test_a_damaged_state_is_dropped_and_said(
    finished: tuple[StudyFolder, Decision], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "SAVE_EVERY_SECONDS", 0.0)
    monkeypatch.setattr(loop, "_NOTE_EVERY_SECONDS", 0.0)
    folder = write_study(tmp_path, **QUICK)

    def saved(self: TrainingState, path: Path, key: str) -> None:
        original(self, path, key)
        if "state" in path.suffix and self.step == 1 and len(list(folder.checkpoints.glob("[!.]*"))) == 2:
            raise Stop

    original = TrainingState.save
    with monkeypatch.context() as patch:
        patch.setattr(TrainingState, "save", saved)
        with pytest.raises(Stop):
            run(folder)
    (state,) = folder.checkpoints.glob(".*.state")
    flip(state)
    listener = Listener()
    decision = run(folder, listener)
    (said,) = [one for one in listener.said if "saved state" in one]
    assert "branch lo is damaged and is not used; this training begins anew" in said and state.name in said
    assert timeless(decision) == timeless(finished[1])


def test_an_empty_store_is_said(copy: StudyFolder) -> None:
    forget_measurements(copy)
    copy.store.touch()
    listener = Listener()
    run(copy, listener)
    assert any("is empty (0 bytes)" in one and "what is trained stays" in one for one in listener.said)


def test_references_that_were_changed_are_said(copy: StudyFolder) -> None:
    (first,) = json.loads(copy.references.read_text())
    copy.references.write_text(json.dumps([dict(zip(first, reversed(first.values()), strict=True))]))
    same = list(first.values()) == list(reversed(first.values()))
    listener = Listener()
    run(copy, listener)
    assert same or any("is not as cuvee wrote it" in one for one in listener.said)
    copy.references.write_text(json.dumps([{"ka": 0.25, "lo": 0.75}]))
    run(copy, listener)
    assert any("is not as cuvee wrote it" in one for one in listener.said)


def edited_tokenizer(folder: StudyFolder) -> None:
    (file,) = folder.tokenizers.glob("*/tokenizer.json")
    content = json.loads(file.read_text())
    content["model"]["merges"] = content["model"]["merges"][:-1]
    content["model"]["vocab"].popitem()
    file.write_text(json.dumps(content))


def other_format(folder: StudyFolder) -> None:
    folder.numerics.write_text(json.dumps({"dtype": "bfloat16", "compiled": False, "device": "cpu"}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (edited_tokenizer, "is another than the models were trained with"),
        (other_format, "says bfloat16 not compiled, and the models were trained in float32 not compiled"),
    ],
)
def test_what_makes_all_be_trained_again_is_said_with_its_price_before(
    copy: StudyFolder, change: Callable[[StudyFolder], None], message: str
) -> None:
    class Halting(Listener):
        def stage(self, title: str, total: float, unit: str) -> None:
            if title == "training the seed model":
                raise Stop

    change(copy)
    listener = Halting()
    with pytest.raises(Stop):
        run(copy, listener)
    (said,) = [one for one in listener.said if "is trained again" in one]
    assert (
        message in said
        and "Of 6 models that this study has trained none counts" in said
        and "FLOPs" in said
        and "stop now" in said
    )


@pytest.mark.parametrize(
    ("numerics", "message"),
    [
        ({"dtype": "float31", "compiled": False, "device": "cpu"}, "neither float32 nor bfloat16"),
        ({"dtype": "float32", "compiled": "no", "device": "cpu"}, "neither true nor false"),
        ({"dtype": "float32", "compiled": False, "device": "gpu"}, "delete it to have it chosen anew"),
        ({"dtype": "float32", "compiled": False, "device": "cuda"}, "torch finds no GPU on this machine"),
    ],
)
def test_numerics_that_cannot_be_are_refused(
    copy: StudyFolder, numerics: dict[str, Any], message: str
) -> None:
    import torch

    if numerics["device"] == "cuda" and torch.cuda.is_available():
        pytest.skip("there is such a device")
    copy.numerics.write_text(json.dumps(numerics))
    with pytest.raises(ConfigError, match=message):
        run(copy)


def test_a_folder_that_cannot_be_written_to_is_refused(copy: StudyFolder) -> None:
    (copy.root / ".lock").unlink(missing_ok=True)
    (copy.root / ".lock").mkdir()
    with pytest.raises(StoreError, match="cannot be written"), copy.locked():
        pass
    assert StudyConfig.load(copy.root).name
