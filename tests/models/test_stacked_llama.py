"""Models in a stack: each with the numbers of the single model, whoever stands beside it."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from cuvee.models.config import ModelConfig
from cuvee.models.llama import Llama, compiled_whole
from cuvee.models.stacked_llama import StackedLlama

CONFIG = ModelConfig(vocabulary_size=50, context_length=16, width=32, layers=2, heads=2, hidden=48)
K = 3


def given(seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Parameters [K, N], and tokens and targets [K, B, T]."""
    generator = torch.Generator().manual_seed(seed)
    flat = torch.stack([Llama(CONFIG).initial(seed + 10 * k) for k in range(K)])
    flat += 0.05 * torch.randn(flat.shape, generator=generator)
    tokens = torch.randint(CONFIG.vocabulary_size, (K, 4, 17), generator=generator)
    return flat, tokens[..., :-1], tokens[..., 1:]


def gradients(model: StackedLlama, flat: Tensor, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    flat = flat.detach().requires_grad_()
    losses = model.mean_losses(flat, inputs, targets)
    return losses.detach(), torch.autograd.grad(losses.sum(), flat)[0]


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 3e-2)])
def test_losses_and_gradients_are_those_of_single_models(dtype: torch.dtype, tolerance: float) -> None:
    flat, inputs, targets = given()
    losses, found = gradients(StackedLlama(CONFIG, K, dtype), flat, inputs, targets)
    for k in range(K):
        one = flat[k].clone().requires_grad_()
        loss = Llama(CONFIG).mean_loss(one, inputs[k], targets[k])
        loss.backward()
        assert one.grad is not None
        assert float(losses[k]) == pytest.approx(float(loss.detach()), rel=tolerance)
        assert float((found[k] - one.grad).norm() / one.grad.norm()) < tolerance


def test_a_member_does_not_depend_on_the_others() -> None:
    flat, inputs, targets = given()
    losses, found = gradients(StackedLlama(CONFIG, K), flat, inputs, targets)
    others, more, goals = given(5)
    others[1], more[1], goals[1] = flat[1], inputs[1], targets[1]
    again, gradient = gradients(StackedLlama(CONFIG, K), others, more, goals)
    assert torch.equal(again[1], losses[1]) and torch.equal(gradient[1], found[1])
    assert not torch.equal(again[0], losses[0])
    turned = [2, 0, 1]
    there, moved = gradients(StackedLlama(CONFIG, K), flat[turned], inputs[turned], targets[turned])
    assert torch.equal(there, losses[turned]) and torch.equal(moved, found[turned])


def test_a_member_that_is_not_finite_leaves_the_others_as_they_are() -> None:
    flat, inputs, targets = given()
    losses, found = gradients(StackedLlama(CONFIG, K), flat, inputs, targets)
    flat[0] = float("nan")
    again, gradient = gradients(StackedLlama(CONFIG, K), flat, inputs, targets)
    assert torch.equal(again[1:], losses[1:]) and torch.equal(gradient[1:], found[1:])
    assert not again[0].isfinite()


def test_a_stack_can_be_compiled_shape_after_shape() -> None:
    """By the compiler's front end alone; what it makes of a stack is called as it is."""
    for shape in range(10):  # torch stops at eight of one function
        config = replace(CONFIG, vocabulary_size=50 + shape)
        model = StackedLlama(config, K)
        flat = torch.stack([Llama(config).initial(k) for k in range(K)])
        _, inputs, targets = given()
        fused = torch.compile(model.mean_losses, dynamic=False, fullgraph=True, backend="eager")
        if not shape:
            compiled_whole(model.mean_losses)  # raises the limit
        assert torch.equal(fused(flat, inputs, targets), model.mean_losses(flat, inputs, targets))
