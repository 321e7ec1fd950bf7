"""Hugging Face folders: written so that transformers reads them, and read whatever they hold."""

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from cuvee.errors import CheckpointError
from cuvee.models.checkpoint import Checkpoint, save_checkpoint
from cuvee.models.hugging_face import HuggingFaceModel, open_model, read_flat, save_llama
from cuvee.models.llama import Llama
from cuvee.sources.tokenizer import load_tokenizer, train_tokenizer
from cuvee.training.recipe import Recipe
from cuvee.training.run import ModelSpec
from cuvee.training.state import TrainingState
from tests.models.tiny_models import (
    VOCABULARY,
    batch,
    log_probs_of,
    save_random,
    tiny_config,
    wide_parameters,
)

KINDS = ("gpt2", "qwen3", "gqa")


def test_a_native_model_comes_back_bit_for_bit(tmp_path: Path) -> None:
    model = Llama(tiny_config())
    flat = wide_parameters(model)
    save_llama(tmp_path, model.config, flat)
    again = open_model(tmp_path)
    assert isinstance(again, Llama)
    assert again.config == model.config
    assert again.model_hash == model.model_hash
    assert torch.equal(read_flat(tmp_path, again), flat)


def test_transformers_saves_what_the_native_model_reads(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    model = Llama(tiny_config())
    flat = wide_parameters(model)
    (tmp_path / "ours").mkdir()
    save_llama(tmp_path / "ours", model.config, flat)
    AutoModelForCausalLM.from_pretrained(tmp_path / "ours").save_pretrained(tmp_path / "theirs")
    again = open_model(tmp_path / "theirs")
    assert isinstance(again, Llama)
    assert again.config == model.config
    assert torch.equal(read_flat(tmp_path / "theirs", again), flat)


def test_a_checkpoint_is_a_complete_folder_for_transformers(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = train_tokenizer(
        (f"a text number {i} of some length" for i in range(200)), 280, tmp_path / "bpe"
    )
    model = Llama(replace(tiny_config(), vocabulary_size=tokenizer.vocabulary_size))
    flat = wide_parameters(model)
    save_checkpoint(tmp_path / "model", model, flat, tokenizer_folder=tmp_path / "bpe")
    module = AutoModelForCausalLM.from_pretrained(tmp_path / "model").eval()
    theirs = AutoTokenizer.from_pretrained(tmp_path / "model")
    text = "a text number 7 of some length"
    ids = tokenizer.encode_batch([text])[0]
    assert theirs(text)["input_ids"] == ids
    assert theirs.eos_token_id == load_tokenizer(tmp_path / "model").end_of_text
    tokens = torch.tensor([ids])
    torch.testing.assert_close(
        model.token_log_probs(flat, tokens[:, :-1], tokens[:, 1:]),
        log_probs_of(module, tokens[:, :-1], tokens[:, 1:]),
        rtol=1e-5,
        atol=1e-5,
    )


@pytest.mark.parametrize("kind", KINDS)
def test_any_model_of_transformers_is_a_function_of_a_flat_vector(tmp_path: Path, kind: str) -> None:
    module = save_random(tmp_path, kind)
    model = open_model(tmp_path)
    assert isinstance(model, HuggingFaceModel)
    assert model.vocabulary_size == VOCABULARY
    assert model.context_length == 32
    # Every parameter once, tied ones too, and vectors behind matrices.
    assert model.layout.size == sum(parameter.numel() for parameter in module.parameters())
    for entry in model.layout.entries:
        assert (len(entry.shape) < 2) == (entry.offset >= model.layout.decayed), entry.name
    flat = model.initial(0)
    assert torch.equal(flat, model.initial(1)), "its parameters are those of the folder"
    inputs, targets = batch(3, 20)
    torch.testing.assert_close(
        model.token_log_probs(flat, inputs, targets),
        log_probs_of(module, inputs, targets),
        rtol=1e-6,
        atol=1e-6,
    )
    tokens = torch.cat([inputs, targets[:, -1:]], dim=1)
    own_loss = module(input_ids=tokens, labels=tokens).loss
    torch.testing.assert_close(
        model.mean_loss(flat, inputs, targets), own_loss.detach(), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("kind", KINDS)
def test_its_gradient_is_that_of_the_module(tmp_path: Path, kind: str) -> None:
    module = save_random(tmp_path, kind)
    model = open_model(tmp_path)
    flat = model.initial(0).requires_grad_()
    inputs, targets = batch(3, 20)
    model.mean_loss(flat, inputs, targets).backward()
    tokens = torch.cat([inputs, targets[:, -1:]], dim=1)
    module(input_ids=tokens, labels=tokens).loss.backward()
    expected = model.layout.gather({name: p.grad for name, p in module.named_parameters()})
    assert flat.grad is not None
    torch.testing.assert_close(flat.grad, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_other_parameters_go_to_disk_and_come_back(tmp_path: Path, kind: str) -> None:
    from transformers import AutoModelForCausalLM

    save_random(tmp_path / "seed", kind)
    model = open_model(tmp_path / "seed")
    flat = model.initial(0) * 2
    checkpoint = save_checkpoint(tmp_path / "branch", model, flat)
    assert torch.equal(checkpoint.read_flat(model), flat)
    inputs, targets = batch(2, 20)
    torch.testing.assert_close(
        log_probs_of(AutoModelForCausalLM.from_pretrained(tmp_path / "branch").eval(), inputs, targets),
        model.token_log_probs(flat, inputs, targets),
        rtol=1e-6,
        atol=1e-6,
    )
    # The model in memory still is the folder that it came from.
    assert torch.equal(model.initial(0), flat / 2)


@pytest.mark.parametrize("kind", KINDS)
def test_any_model_can_be_trained_from_its_folder(tmp_path: Path, kind: str) -> None:
    from cuvee.training.loop import train

    save_random(tmp_path, kind)
    model = ModelSpec(folder=tmp_path).build()
    inputs, targets = batch(4, 16)

    class OneBatch:
        def batch(self, step: int) -> tuple[object, object]:
            return inputs.numpy(), targets.numpy()

    recipe = Recipe(steps=8, batch_sequences=4, context_length=16, learning_rate=3e-3)
    state = train(model, TrainingState.fresh(model.initial(0)), OneBatch(), recipe, key="k")  # type: ignore[arg-type]
    assert state.losses[-1] < state.losses[0] - 0.1


@pytest.mark.parametrize(
    "change",
    [
        {"tie_word_embeddings": False},
        {"num_key_value_heads": 1},
        {"attention_bias": True},
        {"mlp_bias": True},
        {"hidden_act": "gelu"},
        {"head_dim": 8},
        {"rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 1e4}},
        {"rope_scaling": {"rope_type": "linear", "factor": 2.0}},
        {"model_type": "mistral"},
    ],
)
def test_only_a_plain_llama_runs_natively(tmp_path: Path, change: dict[str, object]) -> None:
    from cuvee.models.hugging_face import _native_config

    model = Llama(tiny_config())
    save_llama(tmp_path, model.config, model.initial(0))
    description = json.loads((tmp_path / "config.json").read_text())
    assert _native_config(description) == model.config
    assert _native_config(description | change) is None


def test_a_folder_without_a_model_is_told(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no config\.json; a model folder"):
        open_model(tmp_path)


def test_a_damaged_config_is_told(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "llama", ')
    with pytest.raises(CheckpointError, match=r"config\.json"):
        open_model(tmp_path)


def test_an_incomplete_config_is_told(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "llama", "tie_word_embeddings": true}')
    with pytest.raises(CheckpointError):
        open_model(tmp_path)


def test_a_folder_of_another_kind_of_model_is_told(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "nothing-known"}')
    with pytest.raises(CheckpointError, match="cannot open it as a causal language model"):
        open_model(tmp_path)


def test_missing_weights_are_told(tmp_path: Path) -> None:
    model = Llama(tiny_config())
    save_llama(tmp_path, model.config, model.initial(0))
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"no model\.safetensors"):
        read_flat(tmp_path, model)


def test_weights_of_another_architecture_are_told(tmp_path: Path) -> None:
    model = Llama(tiny_config())
    save_llama(tmp_path, model.config, model.initial(0))
    with pytest.raises(CheckpointError, match="does not hold this model"):
        read_flat(tmp_path, Llama(replace(tiny_config(), layers=3)))
    with pytest.raises(CheckpointError, match="does not hold this model"):
        read_flat(tmp_path, Llama(replace(tiny_config(), hidden=64)))


CUSTOM = """
from transformers import PretrainedConfig
open({marker!r}, "w").close()


class Strange(PretrainedConfig):
    model_type = "strange"
"""


def custom_folder(folder: Path) -> Path:
    """A model folder whose config names code in it; the file that this code makes when it runs."""
    folder.mkdir()
    marker = folder / "ran"
    names = {"AutoConfig": "strange.Strange", "AutoModelForCausalLM": "strange.Strange"}
    config = {"model_type": "strange", "architectures": ["Strange"], "auto_map": names}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "strange.py").write_text(CUSTOM.format(marker=str(marker)))
    return marker


def test_code_of_a_model_folder_is_never_asked_about_and_never_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    marker = custom_folder(tmp_path / "model")
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n" * 10))
    with pytest.raises(CheckpointError, match=r"code of its own.*runs no code from a model folder"):
        open_model(tmp_path / "model")
    assert not marker.exists()
    assert "y/N" not in "".join(capsys.readouterr())


def given(folder: Path, **changes: object) -> Path:
    """A folder with a native model whose config is changed."""
    model = Llama(tiny_config())
    folder.mkdir()
    save_llama(folder, model.config, model.initial(0))
    description = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(description | changes))
    return folder


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_hidden_layers": 1_000_000}, "1,000,000, but there are parameters of 2 layers"),
        ({"num_hidden_layers": 10**12}, "whole number from 1"),
        ({"num_attention_heads": 0}, "num_attention_heads is 0"),
        ({"hidden_size": "big"}, "hidden_size is 'big'"),
        ({"hidden_size": 4096}, "no tensor of the model has that size"),
        ({"vocab_size": -1}, "vocab_size is -1"),
        ({"intermediate_size": 1.5}, "intermediate_size is 1.5"),
        ({"max_position_embeddings": True}, "max_position_embeddings is True"),
        ({"vocab_size": 10_000_000, "model_type": "mistral"}, "no tensor of the model has that size"),
        ({"num_hidden_layers": 999_999, "model_type": "mistral"}, "parameters of 2 layers"),
    ],
)
def test_a_config_that_is_not_of_its_tensors_is_refused_at_once(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    folder = given(tmp_path / "model", **changes)
    with pytest.raises(CheckpointError, match=message):
        open_model(folder)


@pytest.mark.parametrize("kind", ["native", *KINDS])
def test_whole_numbers_are_no_parameters(tmp_path: Path, kind: str) -> None:
    if kind == "native":
        given(tmp_path / "model")
    else:
        save_random(tmp_path / "model", kind)
    file = tmp_path / "model" / "model.safetensors"
    tensors = load_file(file)
    name = next(name for name, tensor in tensors.items() if tensor.ndim == 2)
    tensors[name] = (100 * tensors[name]).to(torch.int8)
    save_file(tensors, file, metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=f"{name} holds I8, no floating-point numbers"):
        open_model(tmp_path / "model")


def test_half_precision_is_read(tmp_path: Path) -> None:
    folder = given(tmp_path / "model")
    tensors = {name: one.bfloat16() for name, one in load_file(folder / "model.safetensors").items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    assert torch.isfinite(read_flat(folder, open_model(folder))).all()


def test_a_model_with_nan_is_called_that(tmp_path: Path) -> None:
    folder = given(tmp_path / "model")
    tensors = load_file(folder / "model.safetensors")
    tensors["model.norm.weight"][3] = float("nan")
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"1 of its [\d,]+ parameters are not finite"):
        Checkpoint.load(folder)
