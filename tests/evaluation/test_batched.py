"""Windows on a device: batches, sums of documents, and how many tokens a pass takes."""

import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch

from cuvee.errors import NonFiniteLoss
from cuvee.evaluation.batch_size import BATCH_TOKENS, GPU_BATCH_TOKENS, batch_tokens, gpu_batch_tokens
from cuvee.evaluation.batched import document_sums
from cuvee.evaluation.captured import Captured
from cuvee.evaluation.scoring import score_merges
from cuvee.merging.linear import LinearMerge
from cuvee.merging.pool import FlatPool
from tests.evaluation.tiny_language import evaluator, pool
from tests.training.helpers import tiny_model

CPU = torch.device("cpu")
GIB = 2**30


@pytest.mark.parametrize(
    ("tokens", "lengths"),
    [(131_072, 400), (5000, 37), (70_000, 1), (12, 12)],
    ids=["many", "few", "one giant document", "one token each"],
)
def test_sums_of_documents_are_those_of_bincount_to_the_bit(tokens: int, lengths: int) -> None:
    rng = np.random.default_rng(tokens)
    owner = np.sort(rng.integers(0, lengths, tokens))
    log_probs = -rng.gamma(2.0, 2.0, tokens).astype(np.float32) * 10.0 ** rng.integers(-6, 1, tokens)
    log_probs = log_probs.astype(np.float32)
    expected = np.bincount(owner, weights=-log_probs.astype(np.float64), minlength=lengths + 2)
    counted = torch.from_numpy(np.bincount(owner, minlength=lengths + 2))
    found = document_sums(torch.from_numpy(log_probs), counted).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert found.tobytes() == expected.tobytes(), "also of documents without tokens: 0.0 and not -0.0"


def test_scores_are_sums_of_the_tokens_that_come_back() -> None:
    one, flat = evaluator(), pool().branch("code/0")
    again = one.scores_of(one.token_log_probs(flat))
    assert one.score(flat).nats.tobytes() == again.nats.tobytes()


def test_windows_are_sent_once_and_copies_are_not_scored() -> None:
    one = evaluator(batch_windows=9)
    batched = one.batched(CPU)
    assert batched is one.batched(CPU, backward=True)
    assert batched.windows == len(one.inputs) and len(one.inputs) % len(batched.inputs[0])
    parts = [(part, inputs[: part.stop - part.start]) for part, inputs, _ in batched.batches()]
    assert torch.equal(torch.cat([inputs for _, inputs in parts]), one.inputs)
    assert parts[-1][0].stop == len(one.inputs)
    scored = batched.targets.view(-1)[batched.scored]
    assert torch.equal(scored, one.targets.view(-1)[torch.from_numpy(one.scored)])


def test_a_pass_on_a_processor_is_what_was_fastest_there() -> None:
    assert batch_tokens(CPU, low=False, vocabulary=50_000) == BATCH_TOKENS[False]
    assert batch_tokens(CPU, low=True, vocabulary=50_000, backward=True) == BATCH_TOKENS[True]


def test_a_pass_on_a_gpu_leaves_room_for_its_logits() -> None:
    assert gpu_batch_tokens(16_384, 80 * GIB) == GPU_BATCH_TOKENS == 32_768
    small = gpu_batch_tokens(128_000, 16 * GIB)
    assert small == 3355
    assert small * 128_000 * 10 <= 4 * GIB < (small + 1) * 128_000 * 10
    assert gpu_batch_tokens(10**9, GIB) == 1


def test_merges_alone_or_in_company_have_the_same_bytes() -> None:
    one, weights = evaluator(), np.random.default_rng(3).dirichlet(np.ones(6), 6)
    together = score_merges(one, pool(), LinearMerge(), weights).nats
    alone = [score_merges(one, pool(), LinearMerge(), weights[row : row + 1]).nats[0] for row in range(6)]
    assert together.tobytes() == np.array(alone).tobytes()


def test_a_merge_without_a_finite_loss_is_said_of_the_whole_block() -> None:
    broken = pool().bank.clone()
    broken[2, -1] = torch.inf
    merges = FlatPool(pool().roster, broken)
    weights = np.eye(6)[:3]
    with pytest.raises(NonFiniteLoss, match=r"evaluation '\w+': the loss is not finite"):
        score_merges(evaluator(), merges, LinearMerge(), weights)
    assert np.isfinite(score_merges(evaluator(), merges, LinearMerge(), weights[:1]).nats).all()


def test_a_pass_that_is_left_frees_its_buffer_at_once() -> None:
    captured = Captured(lambda flat: flat.cumsum(0), 3, CPU)
    captured()
    buffer = weakref.ref(captured.buffer)
    del captured
    assert buffer() is None


def test_a_captured_pass_is_called_where_there_is_no_gpu() -> None:
    captured = Captured(lambda flat: flat.cumsum(0), 3, CPU)
    for one in (torch.ones(3), torch.arange(3.0)):
        captured.buffer.copy_(one)
        assert torch.equal(captured(), one.cumsum(0))
    windows = evaluator().batched(CPU)
    native = replace(windows, model=tiny_model())
    assert native.scorer(capture=True) is native.scorer(capture=True), "it is captured once"
    assert windows.scorer(capture=True) is not windows.scorer(capture=True), "others are not"
    weights = np.eye(6)[:2]
    plain, replayed = (
        score_merges(evaluator(), pool(), LinearMerge(), weights, capture=capture).nats
        for capture in (False, True)
    )
    assert plain.tobytes() == replayed.tobytes()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_merges_are_the_same_bytes_twice_alone_and_captured() -> None:
    one, weights = evaluator(), np.random.default_rng(3).dirichlet(np.ones(6), 6)
    here, there = pool(), pool().to("cuda")
    near = score_merges(one, here, LinearMerge(), weights).nats
    found = [score_merges(one, there, LinearMerge(), weights, capture=c).nats for c in (False, False, True)]
    assert len({nats.tobytes() for nats in found}) == 1
    np.testing.assert_allclose(found[0], near, rtol=1e-5)
    alone = score_merges(one, there, LinearMerge(), weights[4:5]).nats[0]
    assert alone.tobytes() == found[0][4].tobytes()
