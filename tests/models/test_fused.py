"""Fused passes against the operations that they stand for; as plain functions, and once compiled."""

import pytest
import torch
import torch.nn.functional as F

from cuvee.models.fused import FusedHead, causal_probabilities, chunk_tokens
from cuvee.models.llama import Llama, plain_probabilities
from tests.models.test_llama import batch, tiny_config, wide_parameters

HEAD = FusedHead.compiled(lambda function: function)
"""Not compiled: the same numbers up to rounding, at once."""


def head_case(tokens: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(tokens)
    states = torch.randn(tokens, 8, generator=generator)
    embedding = 3 * torch.randn(50, 8, generator=generator)
    return states, embedding, torch.randint(50, (tokens,), generator=generator)


@pytest.mark.parametrize("tokens", [1, 7, 512, 1300])
def test_the_head_is_cross_entropy_with_its_gradient(tokens: int) -> None:
    states, embedding, targets = head_case(tokens)
    found = states.clone().requires_grad_(), embedding.clone().requires_grad_()
    exact = states.double().requires_grad_(), embedding.double().requires_grad_()
    loss = HEAD.mean_loss(*found, targets)
    wanted = F.cross_entropy(exact[0] @ exact[1].T, targets)
    (2 * loss).backward()
    (2 * wanted).backward()
    assert loss.item() == pytest.approx(wanted.item(), rel=1e-6)
    for one, other in zip(found, exact, strict=True):
        assert one.grad is not None and other.grad is not None
        torch.testing.assert_close(one.grad.double(), other.grad, rtol=1e-4, atol=1e-6)


def test_log_probabilities_of_tokens() -> None:
    states, embedding, targets = head_case(1300)
    wanted = (states.double() @ embedding.double().T).log_softmax(-1).gather(1, targets[:, None]).squeeze(1)
    found = HEAD.token_log_probs(states, embedding, targets)
    torch.testing.assert_close(found.double(), wanted, rtol=1e-5, atol=1e-5)


def test_large_logits_stay_finite() -> None:
    states, embedding, targets = head_case(7)
    assert torch.isfinite(HEAD.mean_loss(1e4 * states, embedding, targets))
    assert torch.isfinite(HEAD.token_log_probs(1e4 * states, embedding, targets)).all()


def test_chunks_have_one_size_or_nearly() -> None:
    assert [chunk_tokens(tokens) for tokens in (1, 512, 513, 1024, 1100)] == [1, 512, 257, 512, 367]


def test_probabilities_see_no_future_and_have_the_gradient_of_a_softmax() -> None:
    scores = 4 * torch.randn(2, 3, 9, 9, generator=torch.Generator().manual_seed(0))
    upstream = torch.randn(2, 3, 9, 9, generator=torch.Generator().manual_seed(1))
    results = []
    for function in (causal_probabilities, plain_probabilities):
        leaf = scores.clone().requires_grad_()
        found = function(leaf, 0.5)
        found.backward(upstream)
        assert leaf.grad is not None
        results.append((found.detach(), leaf.grad))
    assert torch.equal(results[0][0].triu(1), torch.zeros_like(scores))
    torch.testing.assert_close(results[0], results[1])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # torch's own compiler says so
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # and does it
def test_a_model_of_the_new_version_gives_the_numbers_of_the_old_and_the_old_keeps_its_bytes() -> None:
    inputs, targets = batch(4, 24)
    models = [Llama(tiny_config(), torch.bfloat16, True, kernels=version) for version in (0, 2, 3)]
    flat = wide_parameters(models[0])
    losses, gradients, log_probs = [], [], []
    for model in models:
        leaf = flat.to(torch.bfloat16).requires_grad_()
        loss = model.mean_loss(leaf, inputs, targets)
        loss.backward()
        assert leaf.grad is not None
        losses.append(loss.item())
        gradients.append(leaf.grad.float())
        with torch.no_grad():
            log_probs.append(model.token_log_probs(leaf.detach(), inputs, targets))
    assert losses[0] == losses[1] and torch.equal(gradients[0], gradients[1])
    assert torch.equal(log_probs[0], log_probs[1])
    assert losses[2] == pytest.approx(losses[0], rel=2e-3)
    assert F.cosine_similarity(gradients[0], gradients[2], dim=0) > 0.999
    torch.testing.assert_close(log_probs[2], log_probs[0], rtol=0.02, atol=0.05)
