"""Checkpoints: what they say of themselves, and what happens when that is not true any more."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from cuvee.errors import CheckpointError
from cuvee.models.checkpoint import PASSPORT, Checkpoint, content_hash, save_checkpoint
from cuvee.models.llama import Llama
from tests.models.tiny_models import save_random, tiny_config, wide_parameters


@pytest.fixture(scope="module")
def model() -> Llama:
    return Llama(tiny_config())


@pytest.fixture
def saved(tmp_path: Path, model: Llama) -> Checkpoint:
    return save_checkpoint(
        tmp_path / "model",
        model,
        wide_parameters(model),
        ancestor="a",
        recipe="r",
        tokenizer="t",
        details={"mixture": {"web": 1.0}},
    )


def files(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_the_passport_comes_back(saved: Checkpoint, model: Llama) -> None:
    again = Checkpoint.load(saved.folder)
    assert again == saved
    assert (again.ancestor, again.recipe, again.tokenizer) == ("a", "r", "t")
    assert again.model_hash == model.model_hash
    flat = again.read_flat(model)
    assert torch.equal(flat, wide_parameters(model))
    assert content_hash(flat) == again.content_hash


def test_the_same_parameters_give_the_same_bytes(tmp_path: Path, model: Llama) -> None:
    flat = wide_parameters(model)
    for name in "ab":
        save_checkpoint(tmp_path / name, model, flat, recipe="r")
    assert files(tmp_path / "a") == files(tmp_path / "b")


def test_the_content_hash_is_of_the_parameters_alone(model: Llama) -> None:
    flat = wide_parameters(model)
    assert content_hash(flat) == content_hash(flat.clone().requires_grad_())
    changed = flat.clone()
    changed[123] = changed[123] * (1 + 2e-7) + 1e-30
    assert content_hash(changed) != content_hash(flat)


def test_parameters_that_are_not_those_of_the_passport_are_refused(saved: Checkpoint, model: Llama) -> None:
    file = saved.folder / "model.safetensors"
    tensors = load_file(file)
    tensors["model.norm.weight"][0] += 1
    save_file(tensors, file, metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match="parameters differ from their hash; delete the folder"):
        Checkpoint.load(saved.folder).read_flat(model)


@pytest.mark.parametrize("keep", [0, 5, 100, 10_000])
def test_a_cut_file_is_told(saved: Checkpoint, model: Llama, keep: int) -> None:
    file = saved.folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match=r"model\.safetensors: cannot be read"):
        saved.read_flat(model)


@pytest.mark.parametrize(
    "damage", [lambda text: text[:20], lambda text: "[]", lambda text: text.replace("recipe", "receipt")]
)
def test_a_damaged_passport_is_told(saved: Checkpoint, damage: Callable[[str], str]) -> None:
    file = saved.folder / PASSPORT
    file.write_text(damage(file.read_text()))
    with pytest.raises(CheckpointError, match=r"cuvee\.json: damaged"):
        Checkpoint.load(saved.folder)


def test_another_architecture_is_refused_before_reading(saved: Checkpoint) -> None:
    with pytest.raises(CheckpointError, match="another architecture"):
        saved.read_flat(Llama(tiny_config(12)))


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no config\.json"):
        Checkpoint.load(tmp_path / "nowhere")


def test_a_missing_config_is_told_where_there_is_no_passport(saved: Checkpoint) -> None:
    (saved.folder / PASSPORT).unlink()
    (saved.folder / "config.json").unlink()
    with pytest.raises(CheckpointError, match=r"no config\.json; a model folder"):
        Checkpoint.load(saved.folder)


def test_a_model_that_was_brought_along_gets_a_passport_from_its_parameters(tmp_path: Path) -> None:
    save_random(tmp_path, "gqa")
    checkpoint = Checkpoint.load(tmp_path)
    assert (checkpoint.ancestor, checkpoint.recipe, checkpoint.tokenizer) == (None, None, None)
    assert checkpoint == Checkpoint.load(tmp_path)
    assert not (tmp_path / PASSPORT).exists(), "a folder that is not ours stays as it is"


def test_an_existing_folder_is_kept(saved: Checkpoint, model: Llama) -> None:
    before = files(saved.folder)
    save_checkpoint(saved.folder, model, wide_parameters(model, 1), recipe="other")
    assert files(saved.folder) == before


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path, model: Llama) -> None:
    seen: list[set[str]] = []

    def companions(folder: Path) -> None:
        seen.append({file.name for file in folder.iterdir()})
        assert not (tmp_path / "model").exists()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(tmp_path / "model", model, model.initial(0), companions=companions)
    assert seen == [{"config.json", "model.safetensors", PASSPORT}]
    assert list(tmp_path.iterdir()) == []


def test_companions_are_in_the_folder(tmp_path: Path, model: Llama) -> None:
    def companions(folder: Path) -> None:
        (folder / "log").write_text("x")

    checkpoint = save_checkpoint(tmp_path / "model", model, model.initial(0), companions=companions)
    assert set(files(checkpoint.folder)) == {"config.json", "model.safetensors", PASSPORT, "log"}
    assert json.loads((checkpoint.folder / PASSPORT).read_text())["content_hash"] == checkpoint.content_hash


def test_a_model_of_an_unknown_class_is_told(tmp_path: Path, model: Llama) -> None:
    class Stranger:
        model_hash = "x"

    with pytest.raises(CheckpointError, match="Stranger cannot be written"):
        save_checkpoint(tmp_path / "model", Stranger(), model.initial(0))  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []
