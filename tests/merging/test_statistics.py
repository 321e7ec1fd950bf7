"""Statistics of members: what is measured of real models, and how it lies on disk."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from cuvee.errors import CheckpointError, ConfigError
from cuvee.merging.activations import gram_matrices
from cuvee.merging.information import fisher_diagonal
from cuvee.merging.statistics import GRAM, MemberStatistics, Statistics, numbers_of
from cuvee.models.hugging_face import HuggingFaceModel, open_model, save_llama
from cuvee.models.interface import CausalModel
from cuvee.models.llama import Llama
from tests.merging.measured_pools import INPUTS, layered
from tests.models.tiny_models import batch, save_random, tiny_config, wide_parameters

NATIVE = Llama(tiny_config())


def grams_by_hand(module: Any, names: list[str], inputs: Tensor) -> Tensor:
    """By hooks of our own on a module of transformers, one sequence after the other."""
    found: dict[str, list[Tensor]] = {name: [] for name in names}
    for name in names:
        module.get_submodule(name).register_forward_pre_hook(
            lambda _, given, name=name: found[name].append(given[0].reshape(-1, given[0].shape[-1]))
        )
    with torch.no_grad():
        module(input_ids=inputs, use_cache=False)
    states = [torch.cat(found[name]).double() for name in names]
    return torch.cat([(x.T @ x / inputs.numel()).flatten() for x in states])


def names_of(model: CausalModel) -> list[str]:
    return [one.weights[0].name.removesuffix(".weight") for one in model.linear_inputs]


def test_gram_matrices_of_the_native_model_are_those_of_transformers(tmp_path: Path) -> None:
    flat, (inputs, _) = wide_parameters(NATIVE), batch(3, 20)
    save_llama(tmp_path, NATIVE.config, flat)
    import transformers

    module = transformers.AutoModelForCausalLM.from_pretrained(tmp_path)
    wanted = grams_by_hand(module, names_of(NATIVE), inputs)
    found = gram_matrices(NATIVE, flat, inputs)
    assert len(found) == numbers_of(GRAM, NATIVE) == 2 * (3 * 32**2 + 96**2)
    torch.testing.assert_close(found.double(), wanted, rtol=1e-4, atol=1e-4)
    through = HuggingFaceModel(tmp_path)
    assert names_of(through) == names_of(NATIVE)
    assert [[w.shape for w in one.weights] for one in through.linear_inputs] == [
        [w.shape for w in one.weights] for one in NATIVE.linear_inputs
    ]
    torch.testing.assert_close(
        gram_matrices(through, through.initial(0), inputs), found, rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("kind", ["gpt2", "qwen3", "gqa"])
def test_gram_matrices_of_any_model_are_those_of_its_modules(tmp_path: Path, kind: str) -> None:
    module = save_random(tmp_path, kind)
    model, (inputs, _) = open_model(tmp_path), batch(2, 12)
    assert isinstance(model, HuggingFaceModel)
    wanted = grams_by_hand(module, names_of(model), inputs)
    torch.testing.assert_close(
        gram_matrices(model, model.initial(0), inputs).double(), wanted, rtol=1e-4, atol=1e-5
    )
    heads = [one for one in names_of(model) if "lm_head" in one]
    assert heads == ([] if kind == "gpt2" else ["lm_head"]), "a tied head is an embedding"
    assert all(one.transposed == (kind == "gpt2") for one in model.linear_inputs)
    for one in model.linear_inputs:
        for entry in one.weights:
            assert one.matrix(model.initial(0), entry).shape[0] == one.width
            assert entry in model.layout.entries


def test_the_information_is_the_mean_of_squared_gradients_of_windows() -> None:
    flat, (inputs, targets) = wide_parameters(NATIVE), batch(3, 20)
    found = fisher_diagonal(NATIVE, flat, inputs, targets)
    total = torch.zeros(NATIVE.layout.size, dtype=torch.float64)
    for one, goal in zip(inputs, targets, strict=True):
        parameters = flat.clone().requires_grad_()
        NATIVE.mean_loss(parameters, one[None], goal[None]).backward()
        assert parameters.grad is not None
        total += parameters.grad.double() ** 2
    torch.testing.assert_close(found.double(), total / total.mean(), rtol=1e-3, atol=1e-6)
    assert float(found.double().mean()) == pytest.approx(1.0)


@pytest.mark.parametrize("repeat", ["gram", "fisher"])
def test_the_same_windows_give_the_same_bytes(repeat: str) -> None:
    flat, (inputs, targets) = wide_parameters(NATIVE), batch(2, 8)
    made = [
        gram_matrices(NATIVE, flat, inputs)
        if repeat == "gram"
        else fisher_diagonal(NATIVE, flat, inputs, targets)
        for _ in range(2)
    ]
    assert made[0].numpy().tobytes() == made[1].numpy().tobytes()


def of(member: str, fill: float) -> MemberStatistics:
    return MemberStatistics(GRAM, member, INPUTS, torch.full((52,), fill))


def test_statistics_come_back_as_they_were_written(tmp_path: Path) -> None:
    paths = [tmp_path / f"{k}" for k in range(3)]
    for k, path in enumerate(paths):
        of(f"hash-{k}", float(k)).save(path)
    found = Statistics.open(layered().roster, paths)
    assert (found.kind, found.inputs) == (GRAM, INPUTS)
    assert float(found.gram(2, 1)[3, 3]) == 2.0
    assert found.gram(0, 0).shape == (6, 6) and found.gram(0, 1).shape == (4, 4)


def test_statistics_of_other_members_are_refused() -> None:
    with pytest.raises(ConfigError, match="not those of the members"):
        Statistics.of(layered().roster, [of("hash-0", 0.0), of("hash-2", 0.0), of("hash-1", 0.0)])


@pytest.mark.parametrize("broken", ["values.npy", "statistics.json"])
def test_damage_is_found(tmp_path: Path, broken: str) -> None:
    of("hash-0", 1.0).save(tmp_path / "one")
    file = tmp_path / "one" / broken
    content = bytearray(file.read_bytes())
    content[-20] ^= 1
    file.write_bytes(content)
    with pytest.raises(CheckpointError, match="delete the folder to have them made again"):
        MemberStatistics.open(tmp_path / "one")
