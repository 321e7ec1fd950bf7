"""The native model: transformers' numbers, its own gradient, and the same in every way of computing."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from cuvee.models.hugging_face import save_llama
from cuvee.models.llama import HEAD_CHUNK_TOKENS, KERNELS, Llama, head_chunk_tokens
from tests.models.tiny_models import VOCABULARY, batch, log_probs_of, tiny_config, wide_parameters


@pytest.mark.parametrize("length", [24, 17, 1])
def test_the_same_numbers_as_transformers(tmp_path: Path, length: int) -> None:
    from transformers import AutoModelForCausalLM, LlamaForCausalLM

    model = Llama(tiny_config())
    flat = wide_parameters(model)
    save_llama(tmp_path, model.config, flat)
    module = AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    assert isinstance(module, LlamaForCausalLM)
    inputs, targets = batch(3, length)
    torch.testing.assert_close(
        model.token_log_probs(flat, inputs, targets),
        log_probs_of(module, inputs, targets),
        rtol=1e-5,
        atol=1e-6,
    )


def test_the_fused_attention_of_long_contexts_gives_the_same_numbers() -> None:
    # At 512 positions the kernel changes; a prefix of a long sequence must not notice.
    model = Llama(tiny_config(512))
    flat = wide_parameters(model)
    inputs, targets = batch(1, 512)
    long = model.token_log_probs(flat, inputs, targets)[:, :500]
    short = model.token_log_probs(flat, inputs[:, :500], targets[:, :500])
    torch.testing.assert_close(long, short, rtol=1e-4, atol=2e-5)


def test_no_position_sees_what_comes_after_it() -> None:
    model = Llama(tiny_config())
    flat = wide_parameters(model)
    inputs, targets = batch(2, 24)
    changed = inputs.clone()
    changed[:, 10:] = (changed[:, 10:] + 1) % VOCABULARY
    before, after = (model.token_log_probs(flat, one, targets)[:, :10] for one in (inputs, changed))
    assert torch.equal(before, after)


def test_probabilities_sum_to_one() -> None:
    model = Llama(tiny_config())
    flat = wide_parameters(model)
    inputs, _ = batch(1, 5)
    every = [model.token_log_probs(flat, inputs, torch.full_like(inputs, t)) for t in range(VOCABULARY)]
    total = torch.stack(every).exp().sum(0)
    torch.testing.assert_close(total, torch.ones_like(total), rtol=1e-5, atol=1e-5)


# The head works in chunks: fewer tokens than a chunk, whole chunks, and a remainder.
@pytest.mark.parametrize("sequences", [2, 2 * HEAD_CHUNK_TOKENS // 16, 37])
def test_the_mean_loss_is_the_mean_of_the_tokens(sequences: int) -> None:
    model = Llama(tiny_config())
    flat = wide_parameters(model)
    inputs, targets = batch(sequences, 16)
    torch.testing.assert_close(
        model.mean_loss(flat, inputs, targets),
        -model.token_log_probs(flat, inputs, targets).mean(),
        rtol=1e-6,
        atol=1e-6,
    )


@pytest.mark.parametrize("sequences", [2, 37])
def test_the_chunked_head_has_the_gradient_of_a_plain_loss(sequences: int) -> None:
    model = Llama(tiny_config())
    flat = wide_parameters(model)
    inputs, targets = batch(sequences, 16)

    def plain(values: Tensor) -> Tensor:
        return -model.token_log_probs(values, inputs, targets).mean()

    def chunked(values: Tensor) -> Tensor:
        return model.mean_loss(values, inputs, targets)

    gradients = []
    for loss in (plain, chunked):
        leaf = flat.clone().requires_grad_()
        (3 * loss(leaf)).backward()  # the factor stands for an accumulated batch
        assert leaf.grad is not None
        gradients.append(leaf.grad)
    expected, found = gradients
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)
    assert (found - expected).norm() <= 1e-6 * expected.norm()


def test_the_gradient_is_that_of_finite_differences() -> None:
    model = Llama(tiny_config())
    flat = wide_parameters(model).requires_grad_()
    inputs, targets = batch(4, 8)
    model.mean_loss(flat, inputs, targets).backward()
    assert flat.grad is not None
    direction = torch.randn(flat.shape, generator=torch.Generator().manual_seed(3))
    step = 1e-3 * direction
    with torch.no_grad():
        ahead, behind = (model.mean_loss(flat + s * step, inputs, targets).item() for s in (1, -1))
    slope = (flat.grad @ direction).item()
    assert (ahead - behind) / 2e-3 == pytest.approx(slope, rel=0.01)


def test_a_loss_without_gradient_is_the_same_number() -> None:
    model = Llama(tiny_config())
    flat = wide_parameters(model)
    inputs, targets = batch(3, 16)
    with torch.no_grad():
        without = model.mean_loss(flat, inputs, targets)
    assert torch.equal(without, model.mean_loss(flat.clone().requires_grad_(), inputs, targets).detach())


def test_bfloat16_is_close() -> None:
    model, low = Llama(tiny_config()), Llama(tiny_config(), torch.bfloat16)
    flat = wide_parameters(model)
    inputs, targets = batch(8, 24)
    exact, rough = (one.mean_loss(flat, inputs, targets) for one in (model, low))
    assert rough.dtype == torch.float32
    assert rough.item() == pytest.approx(exact.item(), rel=0.02)
    gradients = []
    for one in (model, low):
        leaf = flat.clone().requires_grad_()
        one.mean_loss(leaf, inputs, targets).backward()
        assert leaf.grad is not None
        gradients.append(leaf.grad)
    assert F.cosine_similarity(gradients[0], gradients[1], dim=0) > 0.99


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # torch's own compiler says so
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")  # and reads it of what is no leaf
@pytest.mark.parametrize("kernels", [0, KERNELS])
def test_compiled_gives_the_numbers_of_eager(kernels: int) -> None:
    eager, compiled = Llama(tiny_config()), Llama(tiny_config(), compiled=True, kernels=kernels)
    flat = wide_parameters(eager)
    inputs, targets = batch(4, 24)
    values, gradients = [], []
    for one in (eager, compiled):
        leaf = flat.clone().requires_grad_()
        loss = one.mean_loss(leaf, inputs, targets)
        loss.backward()
        assert leaf.grad is not None
        values.append(loss.detach())
        gradients.append(leaf.grad)
    torch.testing.assert_close(values[1], values[0], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-4, atol=1e-5)


def test_initial_parameters() -> None:
    model = Llama(tiny_config())
    flat = model.initial(4)
    assert torch.equal(flat, model.initial(4))
    assert not torch.equal(flat, model.initial(5))
    assert torch.equal(flat[model.layout.decayed :], torch.ones(model.layout.size - model.layout.decayed))
    views = model.layout.views(flat)
    assert views["model.embed_tokens.weight"].std().item() == pytest.approx(0.02, rel=0.1)
    # Projections into the residual stream start smaller by the root of their number.
    out = torch.cat(
        [v.flatten() for n, v in views.items() if n.endswith(("o_proj.weight", "down_proj.weight"))]
    )
    assert out.std().item() == pytest.approx(0.02 / (2 * model.config.layers) ** 0.5, rel=0.1)
    # Fresh parameters know nothing.
    inputs, targets = batch(8, 24)
    uniform = torch.tensor(float(VOCABULARY)).log().item()
    assert model.mean_loss(flat, inputs, targets).item() == pytest.approx(uniform, rel=0.01)


@pytest.mark.parametrize(
    ("vocabulary", "gigabytes", "tokens"),
    [(4096, 80, 16_384), (16_384, 80, 16_384), (128_256, 80, 4096), (16_384, 8, 2048), (128_256, 8, 1024)],
)
def test_on_a_device_the_head_takes_as_many_tokens_as_memory_allows(
    vocabulary: int, gigabytes: int, tokens: int
) -> None:
    assert head_chunk_tokens(vocabulary, gigabytes * 2**30) == tokens
