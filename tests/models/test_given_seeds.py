"""Model folders as others save them: half precision, in parts, tied and untied, damaged."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from cuvee.errors import CheckpointError
from cuvee.models.checkpoint import Checkpoint, save_checkpoint
from cuvee.models.hugging_face import copy_tokenizer, open_model, read_flat, save_llama
from cuvee.models.llama import Llama
from tests.models.tiny_models import batch, log_probs_of, save_random, tiny_config

KINDS = ("gpt2", "gqa", "qwen3")


def saved(folder: Path, kind: str, tied: bool, shards: bool = True) -> Path:
    """A random model in bfloat16, in some files or in one."""
    module = save_random(folder / "float32", kind, tie_word_embeddings=tied).bfloat16()
    module.save_pretrained(folder / "model", max_shard_size="24KB" if shards else "1GB")
    return folder / "model"


def opened(folder: Path) -> Any:
    """The module in float32, by transformers alone."""
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_half_precision_in_parts_is_what_transformers_reads(tmp_path: Path, kind: str, tied: bool) -> None:
    folder = saved(tmp_path, kind, tied)
    assert len(list(folder.glob("model-*.safetensors"))) > 1
    module, model = opened(folder), open_model(folder)
    flat = model.initial(0)
    assert model.layout.size == sum(one.numel() for one in module.parameters())
    inputs, targets = batch(2, 20)
    expected = log_probs_of(module, inputs, targets)
    torch.testing.assert_close(model.token_log_probs(flat, inputs, targets), expected, rtol=1e-5, atol=1e-5)
    low = open_model(folder, torch.bfloat16)
    torch.testing.assert_close(low.token_log_probs(flat, inputs, targets), expected, rtol=0, atol=0.05)
    branch = save_checkpoint(tmp_path / "branch", model, flat + 0.01)
    assert torch.equal(branch.read_flat(model), flat + 0.01)


def test_a_native_model_may_lie_in_parts(tmp_path: Path) -> None:
    model = Llama(tiny_config())
    (tmp_path / "one").mkdir()
    save_llama(tmp_path / "one", model.config, model.initial(0))
    opened(tmp_path / "one").bfloat16().save_pretrained(tmp_path / "model", max_shard_size="24KB")
    again = open_model(tmp_path / "model")
    assert isinstance(again, Llama)
    assert torch.equal(read_flat(tmp_path / "model", again), model.initial(0).bfloat16().float())


@pytest.mark.parametrize("kind", ["native", *KINDS])
def test_a_lost_part_is_named(tmp_path: Path, kind: str) -> None:
    if kind == "native":
        model = Llama(tiny_config())
        (tmp_path / "one").mkdir()
        save_llama(tmp_path / "one", model.config, model.initial(0))
        folder = tmp_path / "model"
        opened(tmp_path / "one").save_pretrained(folder, max_shard_size="24KB")
    else:
        folder = saved(tmp_path, kind, tied=False)
    lost = sorted(folder.glob("model-*.safetensors"))[-1]
    lost.unlink()
    with pytest.raises(
        CheckpointError, match=f"1 of the .* files of the model are missing, such as {lost.name}"
    ):
        open_model(folder)


def test_a_damaged_index_is_named(tmp_path: Path) -> None:
    folder = saved(tmp_path, "gpt2", tied=True)
    index = folder / "model.safetensors.index.json"
    for damage in ("{", "[]", '{"weight_map": 3}'):
        index.write_text(damage)
        with pytest.raises(CheckpointError, match=r"index\.json: damaged"):
            open_model(folder)


@pytest.mark.parametrize("kind", KINDS)
def test_parameters_in_no_file_are_not_made_up(tmp_path: Path, kind: str) -> None:
    """transformers warns and draws them at random: another seed model each time."""
    folder = saved(tmp_path, kind, tied=False, shards=False)
    file = folder / "model.safetensors"
    tensors = load_file(file)
    del tensors["lm_head.weight"]
    save_file(tensors, file, metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"1 of its parameters are in no file, such as lm_head\.weight"):
        open_model(folder)


def test_a_model_without_a_longest_context_takes_any(tmp_path: Path) -> None:
    from transformers import BloomConfig, BloomForCausalLM

    torch.manual_seed(0)
    config = BloomConfig(vocab_size=61, hidden_size=32, n_layer=2, n_head=4, bos_token_id=0, eos_token_id=0)
    BloomForCausalLM(config).save_pretrained(tmp_path)
    assert not hasattr(config, "max_position_embeddings")
    model = open_model(tmp_path)
    assert model.context_length >= 1 << 20
    assert 0 < model.flops_per_token < 100 * model.layout.size
    inputs, targets = batch(2, 20)
    torch.testing.assert_close(
        model.token_log_probs(model.initial(0), inputs, targets),
        log_probs_of(opened(tmp_path), inputs, targets),
        rtol=1e-5,
        atol=1e-5,
    )


def test_a_tokenizer_goes_along_whole(tmp_path: Path) -> None:
    names = ["tokenizer.json", "tokenizer.model", "chat_template.jinja", "added_tokens.json", "merges.txt"]
    (tmp_path / "from").mkdir()
    (tmp_path / "to").mkdir()
    for name in [*names, "config.json"]:
        (tmp_path / "from" / name).write_text(name)
    copy_tokenizer(tmp_path / "from", tmp_path / "to")
    assert sorted(path.name for path in (tmp_path / "to").iterdir()) == sorted(names)


def test_a_given_folder_is_read_only(tmp_path: Path) -> None:
    folder = saved(tmp_path, "gqa", tied=False)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    given = Checkpoint.load(folder)
    assert given.recipe is None and given.ancestor is None
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert json.loads(before["config.json"])["dtype"] == "bfloat16"
