"""Directional derivatives: three ways to the same number, also with tied weights and foreign models."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from cuvee.errors import ConfigError
from cuvee.models.config import ModelConfig
from cuvee.models.hugging_face import HuggingFaceModel
from cuvee.models.interface import CausalModel
from cuvee.models.llama import Llama
from cuvee.valuation.derivatives import BACK_ENDS, back_end_named, finite_difference, forward_mode, hooks

VOCABULARY, LENGTH = 300, 32


def batch(windows: int = 4) -> tuple[Tensor, Tensor]:
    """Repeated tokens, so that a model can learn something of them."""
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randint(0, 30, (windows, LENGTH), generator=generator)
    return inputs, torch.roll(inputs, -1, dims=1)


def trained(model: CausalModel, steps: int = 30) -> Tensor:
    """Parameters after some steps of Adam."""
    flat = model.initial(0).requires_grad_()
    optimizer = torch.optim.Adam([flat], 1e-2)
    for _ in range(steps):
        optimizer.zero_grad()
        model.mean_loss(flat, *batch(8)).backward()
        optimizer.step()
    return flat.detach()


def by_autograd(
    model: CausalModel, flat: Tensor, direction: Tensor, inputs: Tensor, targets: Tensor
) -> Tensor:
    """Of each window, one gradient at a time [B]."""
    found = []
    for row in range(len(inputs)):
        leaf = flat.clone().requires_grad_()
        (-model.token_log_probs(leaf, inputs[row : row + 1], targets[row : row + 1]).sum()).backward()
        assert leaf.grad is not None
        found.append(leaf.grad.double() @ direction.double())
    return torch.stack(found)


@pytest.fixture(scope="module")
def config() -> ModelConfig:
    return ModelConfig.for_parameters(100_000, VOCABULARY, LENGTH)


@pytest.mark.parametrize("name", ["forward", "hooks"])
def test_derivatives_are_those_of_autograd_to_the_last_digits(name: str, config: ModelConfig) -> None:
    model = Llama(config, torch.float64)  # its embedding is its head, too
    flat = model.initial(0).double()
    direction = torch.randn(flat.shape, generator=torch.Generator().manual_seed(2)).double()
    found = BACK_ENDS[name](model, flat, direction, *batch()).double().sum(dim=1)
    true = by_autograd(model, flat, direction, *batch())
    assert float(((found - true).abs() / true.abs()).max()) <= 1e-10


@pytest.mark.parametrize("kind", ["gradient", "adam"])
def test_differences_in_single_precision_are_a_thousandth_off_at_most(kind: str, config: ModelConfig) -> None:
    model = Llama(config)
    flat = trained(model).requires_grad_()
    model.mean_loss(flat, *batch()).backward()
    assert flat.grad is not None
    direction = flat.grad if kind == "gradient" else flat.grad / (flat.grad.abs() + 1e-8)
    flat = flat.detach()
    true = forward_mode(model, flat, direction, *batch()).double().sum(dim=1)
    found = finite_difference(model, flat, direction, *batch()).sum(dim=1)
    assert float(((found - true).abs() / true.abs().median()).max()) <= 1e-3


def test_the_part_of_a_token_is_that_of_its_own_loss(config: ModelConfig) -> None:
    model = Llama(config, torch.float64)
    flat = model.initial(0).double()
    direction = torch.randn(flat.shape, generator=torch.Generator().manual_seed(2)).double()
    inputs, targets = batch(2)
    leaf = flat.clone().requires_grad_()
    (-model.token_log_probs(leaf, inputs, targets)[1, 5]).backward()
    assert leaf.grad is not None
    found = forward_mode(model, flat, direction, inputs, targets)
    assert float(found[1, 5]) == pytest.approx(float(leaf.grad @ direction), rel=1e-10)


@pytest.mark.parametrize("tied", [True, False])
def test_a_foreign_architecture_has_them_by_tangents(tmp_path: Path, tied: bool) -> None:
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    given = GPT2Config(
        vocab_size=VOCABULARY, n_positions=LENGTH, n_embd=32, n_layer=2, n_head=2, tie_word_embeddings=tied,
        bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    GPT2LMHeadModel(given).save_pretrained(tmp_path)
    model = HuggingFaceModel(tmp_path)
    flat = model.initial(0)
    direction = torch.randn(flat.shape, generator=torch.Generator().manual_seed(2))
    true = by_autograd(model, flat, direction, *batch())
    found = forward_mode(model, flat, direction, *batch()).double().sum(dim=1)
    assert float(((found - true).abs() / true.abs().max()).max()) <= 1e-4
    with pytest.raises(ConfigError, match="take 'forward'"):  # its positions are shared by the windows
        hooks(model, flat, direction, *batch())


def test_an_unknown_back_end_is_refused_with_all_names() -> None:
    with pytest.raises(ConfigError, match=r"forward.*hooks.*finite"):
        back_end_named("backward")
