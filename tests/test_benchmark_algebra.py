"""The checks that the control benchmark makes, on a tiny pool where they must pass, and can fail."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import algebra, economy, naive, plain_evaluation
from benchmarks.speed import Blend, subset_weights
from cuvee.evaluation.likelihood import Evaluator
from cuvee.evaluation.scores import Scores
from cuvee.merging.linear import LinearMerge
from cuvee.merging.pool import FlatPool
from cuvee.merging.roster import Member, Roster
from cuvee.models.config import ModelConfig
from cuvee.models.llama import Llama
from cuvee.sources.evaluation_set import HALVES, EvaluationSet, Half
from cuvee.sources.shards import TokenShard

CONFIG = ModelConfig(vocabulary_size=64, context_length=16, width=32, layers=2, heads=2, hidden=32)
WEIGHTS = np.random.default_rng(0).dirichlet(np.ones(3), 4)


@pytest.fixture(scope="module")
def pool() -> FlatPool:
    seed = Llama(CONFIG).initial(0)
    noise = torch.randn(3, len(seed), generator=torch.Generator().manual_seed(1))
    members = tuple(Member(name, name, 10, name) for name in ("a", "b", "c"))
    return FlatPool(Roster("seed", members), torch.cat([seed[None], seed + 0.03 * noise]))


@pytest.fixture(scope="module")
def shard() -> TokenShard:
    lengths = np.random.default_rng(2).integers(3, 30, size=12)
    offsets = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
    tokens = np.random.default_rng(3).integers(1, 64, size=int(offsets[-1])).astype(np.uint16)
    tokens[offsets[1:] - 1] = 0
    return TokenShard(Path(), "a", "eval", "t", "c", 0, tokens, offsets, (3 * lengths).astype(np.int64))


@pytest.fixture(scope="module")
def evaluator(shard: TokenShard) -> Evaluator:
    one = EvaluationSet.from_shard("a", shard, context_length=16, max_tokens=150)
    return Evaluator.of(Llama(CONFIG), [one])


def test_merges_are_exact_products(pool: FlatPool) -> None:
    error = algebra.product_error(pool, WEIGHTS)
    assert error.by_magnitude < 1e-6 and error.by_norm < 1e-6
    assert algebra.inexact_vertices(pool) == 0
    assert algebra.merge_of_merges_error(pool, seed=0) < 1e-6


def test_plain_merging_is_the_same_merge(pool: FlatPool) -> None:
    layout = Llama(CONFIG).layout
    states = [dict(layout.views(row)) for row in pool.branches]
    plain = layout.gather(naive.merge(states, WEIGHTS[0].tolist()))
    torch.testing.assert_close(plain, LinearMerge().merge(pool, WEIGHTS[0]))


def test_derivatives_agree_with_differences(pool: FlatPool, evaluator: Evaluator) -> None:
    found = algebra.slopes(evaluator, pool, 0.9 * WEIGHTS[0])
    assert [one.name for one in found] == ["a", "b", "c"]
    assert max(one.error for one in found) < 1e-2
    assert algebra.Slope("x", 1.0, 1.25).error == pytest.approx(0.2)


def test_transformers_and_a_scorer_of_its_own_agree(
    pool: FlatPool, evaluator: Evaluator, shard: TokenShard
) -> None:
    again = algebra.reloaded(evaluator, pool, WEIGHTS[1])
    assert again.same_bytes and again.token_difference < 1e-4 and again.loss_difference < 1e-5
    flat = LinearMerge().merge(pool, WEIGHTS[1])
    # Part of every document; short pieces; of one half, all text; of the other, some documents whole.
    kinds: tuple[tuple[int, Half | None], ...]
    kinds = (150, None), (100, "choosing"), (1000, "checking"), (90, "checking")
    for budget, half in kinds:
        sets = EvaluationSet.from_shard("a", shard, context_length=16, max_tokens=budget, half=half)
        scores = Evaluator.of(Llama(CONFIG), [sets]).score(flat)
        plain = algebra.plain_score(evaluator.model, flat, shard, budget, half)
        agrees(plain, scores)


def agrees(plain: algebra.PlainScore, scores: Scores) -> None:
    assert plain.nats_per_token == pytest.approx(float(scores.nats_per_token[0]), abs=1e-5)
    assert plain.bits_per_byte == pytest.approx(float(scores.bits_per_byte[0]), abs=1e-5)


@given(
    st.lists(st.integers(1, 12) | st.integers(1, 500), min_size=1, max_size=12),
    st.integers(1, 20) | st.integers(100, 150),
    st.integers(1, 60) | st.integers(1, 3000),
    st.sampled_from((None, *HALVES)),
)
def test_evaluation_sets_score_the_pieces_that_loops_find(
    lengths: list[int], window: int, budget: int, half: Half | None
) -> None:
    offsets = np.concatenate(([0], np.cumsum(lengths)))
    tokens = np.arange(1, offsets[-1] + 1, dtype=np.uint32)
    shard = TokenShard(Path(), "a", "eval", "t", "c", 0, tokens, offsets, 3 * np.array(lengths))
    one = EvaluationSet.from_shard("a", shard, context_length=window, max_tokens=budget, half=half)
    found = plain_evaluation.pieces(shard, window, budget, half)
    scored = [shard.document(piece.document)[piece.start : piece.start + piece.length] for piece in found]
    assert one.targets[one.scored].tolist() == np.concatenate(scored).tolist()


def test_the_pool_that_is_timed_has_all_subsets() -> None:
    weights = subset_weights()
    assert weights.shape == (255, 8) and len(np.unique(weights, axis=0)) == 255
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    blend = Blend.random(150_000, windows=2, length=8)
    assert blend.evaluator("float32", compiled=False).tokens == 16


def test_a_changed_byte_is_seen() -> None:
    one = economy.Print(b"a\nb\n", {"checkpoints/x/y": "1"}, {"pools/x": "1"}, 0)
    assert one.differences(one) == (0, 0, 0)
    other = economy.Print(b"b\na\n", {"checkpoints/x/y": "2"}, {}, 3)
    assert one.differences(other) == (1, 2, 1)
