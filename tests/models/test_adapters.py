"""Adapters: a model as a function of the vector of their factors, and folders that peft opens."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from cuvee.errors import CheckpointError, ConfigError
from cuvee.models.adapted import AdaptedModel
from cuvee.models.adapters import AdapterLayout, Adapters
from cuvee.models.checkpoint import Checkpoint, save_checkpoint
from cuvee.models.hugging_face import open_model, save_llama
from cuvee.models.llama import Llama
from tests.models.tiny_models import batch, save_random, tiny_config, wide_parameters

KINDS = ("native", "gpt2", "gqa", "qwen3")
RANK, ALPHA = 3, 12.0


def adapted(folder: Path, kind: str, modules: tuple[str, ...] = (), seed: int = 0) -> AdaptedModel:
    """A random model in a folder, with adapters."""
    if kind == "native":
        native = Llama(tiny_config())
        folder.mkdir(exist_ok=True)
        save_llama(folder, native.config, wide_parameters(native))
    else:
        save_random(folder, kind)
    base = open_model(folder)
    settings = Adapters(RANK, ALPHA, modules, seed)
    return AdaptedModel(base, settings, "seed", lambda: Checkpoint.load(folder).read_flat(base), folder)


def random_factors(model: AdaptedModel, seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 0.1 * torch.randn(model.layout.size, generator=generator)


def dense(model: AdaptedModel, flat: Tensor) -> Tensor:
    """The parameters with an adapter, by the definition, from the names of its factors."""
    full, views = model.frozen.double().clone(), model.layout.views(flat.double())
    for entry in model.base.layout.entries:
        name = f"base_model.model.{entry.name.removesuffix('.weight')}"
        if f"{name}.lora_A.weight" in views:
            down, up = views[f"{name}.lora_A.weight"], views[f"{name}.lora_B.weight"]
            change = up @ down
            stored = change.T if change.shape != entry.shape or ".c_" in entry.name else change
            entry.view(full).add_(ALPHA / RANK * stored)
    return full.float()


@pytest.mark.parametrize("kind", KINDS)
def test_an_adapter_is_its_product_on_top_of_the_frozen_matrix(tmp_path: Path, kind: str) -> None:
    model = adapted(tmp_path, kind)
    flat = random_factors(model)
    torch.testing.assert_close(model.full(flat), dense(model, flat), rtol=1e-5, atol=1e-5)
    inputs, targets = batch(2, 12)
    expected = model.base.token_log_probs(dense(model, flat), inputs, targets)
    torch.testing.assert_close(model.token_log_probs(flat, inputs, targets), expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(model.mean_loss(flat, inputs, targets), -expected.mean(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_an_adapter_that_is_not_trained_is_the_model_to_the_byte(tmp_path: Path, kind: str) -> None:
    model = adapted(tmp_path, kind)
    start = model.initial(0)
    assert torch.equal(model.full(start), model.frozen)
    assert torch.equal(start, model.initial(1)), "all adapters of a study have one start"
    for name, view in model.layout.views(start).items():
        if ".lora_A." in name:
            assert 0.5 * view.shape[1] ** -0.5 < view.abs().max() <= view.shape[1] ** -0.5
        else:
            assert not view.any()
    other = adapted(tmp_path, kind, seed=1)
    assert not torch.equal(other.initial(0), start)
    assert other.model_hash != model.model_hash


@pytest.mark.parametrize("kind", KINDS)
def test_every_matrix_of_the_layers_is_adapted_and_nothing_else(tmp_path: Path, kind: str) -> None:
    model = adapted(tmp_path, kind)
    names = {one.entry.name for one in model.adapter_layout.matrices}
    expected = {
        one.name for one in model.base.layout.entries if len(one.shape) == 2 and one.name.count(".") > 3
    }
    assert names == expected and names
    assert model.layout.decayed == model.layout.size < model.base.layout.size


def test_target_modules_are_ends_of_names(tmp_path: Path) -> None:
    model = adapted(tmp_path, "gpt2", ("attn.c_proj", "c_fc"))
    names = [one.entry.name for one in model.adapter_layout.matrices]
    assert names == [
        f"transformer.h.{layer}.{module}.weight" for layer in (0, 1) for module in ("attn.c_proj", "mlp.c_fc")
    ]


@pytest.mark.parametrize("name", ["q_proj", "proj", "lm_head", "wte", "c_attn.weight", ""])
def test_an_unknown_module_is_refused_with_those_that_there_are(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=f"'{name}' is no matrix .* there are c_attn, c_fc, c_proj"):
        adapted(tmp_path, "gpt2", ("c_attn", name))


def test_settings_without_meaning_are_refused(tmp_path: Path) -> None:
    save_random(tmp_path, "gqa")
    with pytest.raises(
        ConfigError, match=r"at rank 40 an adapter has .* and the matrices that it adapts have"
    ):
        AdapterLayout.of(open_model(tmp_path), Adapters(40, 8.0))
    with pytest.raises(ConfigError, match="rank 0 must be at least 1"):
        Adapters(0, 8.0)
    with pytest.raises(ConfigError, match=r"alpha 0\.0 must be above 0"):
        Adapters(4, 0.0)


@pytest.mark.parametrize("kind", KINDS)
def test_the_gradient_is_that_of_the_dense_model_in_its_factors(tmp_path: Path, kind: str) -> None:
    model = adapted(tmp_path, kind)
    inputs, targets = batch(2, 12)
    flat = random_factors(model).requires_grad_()
    model.mean_loss(flat, inputs, targets).backward()
    full = model.full(flat.detach()).requires_grad_()
    model.base.mean_loss(full, inputs, targets).backward()
    assert full.grad is not None and flat.grad is not None
    gradient, factors = model.base.layout.views(full.grad), model.layout.views(flat.detach())
    for one in model.adapter_layout.matrices:
        whole = gradient[one.entry.name]
        whole = whole.T if one.transposed else whole
        expected = ALPHA / RANK * factors[one.up.name].T @ whole
        torch.testing.assert_close(one.down.view(flat.grad), expected, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_an_adapter_goes_to_disk_and_comes_back(tmp_path: Path, kind: str) -> None:
    model = adapted(tmp_path / "model", kind)
    flat = random_factors(model)
    made = save_checkpoint(tmp_path / "branch", model, flat, ancestor="a", recipe="r", tokenizer="t")
    assert Checkpoint.load(made.folder) == made
    assert torch.equal(made.read_flat(model), flat)
    size = sum(file.stat().st_size for file in made.folder.iterdir())
    assert size < 4 * flat.numel() + 8000
    again = save_checkpoint(tmp_path / "again", model, flat, ancestor="a", recipe="r", tokenizer="t")
    for file in made.folder.iterdir():
        assert (again.folder / file.name).read_bytes() == file.read_bytes()


def test_damage_is_found(tmp_path: Path) -> None:
    model = adapted(tmp_path / "model", "gqa")
    made = save_checkpoint(tmp_path / "branch", model, random_factors(model))
    file = made.folder / "adapter_model.safetensors"
    content = bytearray(file.read_bytes())
    content[-3] ^= 255
    file.write_bytes(content)
    with pytest.raises(CheckpointError, match="differ from their hash"):
        made.read_flat(model)
    file.write_bytes(content[:-40])
    with pytest.raises(CheckpointError, match="cannot be read as these adapters"):
        made.read_flat(model)
    file.unlink()
    with pytest.raises(CheckpointError, match=r"no adapter_model\.safetensors"):
        made.read_flat(model)
    other = adapted(tmp_path / "model", "gqa", seed=3)
    with pytest.raises(CheckpointError, match="another architecture"):
        made.read_flat(other)


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")  # by peft
@pytest.mark.parametrize(
    ("kind", "modules"), [*((kind, ()) for kind in KINDS), ("gpt2", ("attn.c_proj", "c_fc"))]
)
def test_peft_opens_the_folder_and_answers_the_same(
    tmp_path: Path, kind: str, modules: tuple[str, ...], record_property: Callable[[str, object], None]
) -> None:
    peft = pytest.importorskip("peft", reason="needs the extra adapters (peft)")
    from transformers import AutoModelForCausalLM

    model = adapted(tmp_path / "model", kind, modules)
    flat = random_factors(model)
    save_checkpoint(tmp_path / "branch", model, flat)
    module = AutoModelForCausalLM.from_pretrained(tmp_path / "model", dtype=torch.float32)
    theirs = peft.PeftModel.from_pretrained(module, tmp_path / "branch").eval()
    inputs, _ = batch(2, 12)
    with torch.no_grad():
        logits = theirs(input_ids=inputs, use_cache=False).logits
    last = torch.full((2,), 11)
    expected = logits[:, 11].log_softmax(-1)
    ours_said = model.next_log_probs(flat, inputs, last)
    torch.testing.assert_close(ours_said, expected, rtol=1e-4, atol=1e-4)
    record_property("measured", f"{kind}: differ by {float((ours_said - expected).abs().max()):.1g} at most")
    # It knows by itself what is adapted.
    alone = peft.AutoPeftModelForCausalLM.from_pretrained(tmp_path / "branch", dtype=torch.float32).eval()
    with torch.no_grad():
        torch.testing.assert_close(alone(input_ids=inputs, use_cache=False).logits, logits)
    # And back: what peft saves is what was read.
    theirs.save_pretrained(tmp_path / "theirs")
    assert torch.equal(model.read_flat(tmp_path / "theirs"), flat)
    saved = json.loads((tmp_path / "theirs" / "adapter_config.json").read_text())
    ours = json.loads((tmp_path / "branch" / "adapter_config.json").read_text())
    same = ("peft_type", "r", "lora_alpha", "fan_in_fan_out", "bias", "task_type", "base_model_name_or_path")
    assert {key: saved[key] for key in same} == {key: ours[key] for key in same}
    assert set(load_file(tmp_path / "theirs" / "adapter_model.safetensors")) == set(model.layout.views(flat))
