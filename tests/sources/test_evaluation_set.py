"""Evaluation sets score short pieces of many documents, and no token twice."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cuvee.errors import ConfigError
from cuvee.sources.evaluation_set import HALVES, PADDING, SHORTEST_PIECE, EvaluationSet, Half
from cuvee.sources.shards import TokenShard
from tests.sources.helpers import END, make_shard


def test_windows_by_hand(tmp_path: Path) -> None:
    shard = make_shard(tmp_path / "x", ["abcde"])
    a = ord("a") + 1
    one = EvaluationSet.from_shard("e", shard, context_length=4)
    assert one.inputs.tolist() == [[END, a, a + 1, a + 2], [a + 3, a + 4, END, END]]
    assert one.targets.tolist() == [[a, a + 1, a + 2, a + 3], [a + 4, END, END, END]]
    assert one.document.tolist() == [[0, 0, 0, 0], [0, 0, PADDING, PADDING]]
    assert (one.tokens, one.bytes, one.documents, one.windows, one.context_length) == (6, 5, 1, 2, 4)
    assert (one.inputs.dtype, one.targets.dtype, one.document.dtype) == (np.int64, np.int64, np.int32)


def test_pieces_by_hand(tmp_path: Path) -> None:
    """Two of three windows of a long document, each in its own half; a short document behind them."""
    shard = make_shard(tmp_path / "x", ["abcdefghijk", "xy"])
    long = 0 if len(shard.document(0)) == 12 else 1
    one = EvaluationSet.from_shard("e", shard, context_length=4, max_tokens=11)
    scored = [one.targets[one.scored & (one.document == index)].tolist() for index in (long, 1 - long)]
    letters = {chr(token - 1) if token else "end" for token in scored[0]}
    assert len(scored[0]) == len(letters) == 8 and scored[1] == [ord("x") + 1, ord("y") + 1, END]
    assert one.document.tolist()[:2] == [[long] * 4, [long] * 4], "whole windows come first"
    assert one.document_bytes.tolist()[long] == pytest.approx(11 * 8 / 12)
    assert one.bytes == pytest.approx(11 * 8 / 12 + 2)


# Properties. The tokens of these shards are their own places, counted from one.


def shard_of(lengths: list[int]) -> TokenShard:
    """Documents in which token n stands at place n - 1, and is no end of a text but for its name."""
    offsets = np.concatenate(([0], np.cumsum(lengths)))
    tokens = np.arange(1, offsets[-1] + 1, dtype=np.uint32)
    sizes = np.array([3 * length + index for index, length in enumerate(lengths)])
    return TokenShard(Path(), "s", "eval", "t", f"content {lengths}", END, tokens, offsets, sizes)


LENGTHS = st.lists(st.integers(1, 12) | st.integers(1, 500), min_size=1, max_size=12)
CONTEXTS = st.integers(1, 20) | st.integers(100, 150)
BUDGETS = st.none() | st.integers(1, 60) | st.integers(1, 3000)
HALF = st.sampled_from((None, *HALVES))


def taking_part(lengths: list[int], half: Half | None) -> list[int]:
    """The documents of a half, by place in the shard."""
    every = range(len(lengths))
    return list(every if half is None or len(lengths) == 1 else every[HALVES.index(half) :: 2])


@given(LENGTHS, CONTEXTS, BUDGETS, HALF)
def test_no_token_is_scored_twice_and_each_after_the_one_before_it(
    lengths: list[int], context: int, budget: int | None, half: Half | None
) -> None:
    shard = shard_of(lengths)
    one = EvaluationSet.from_shard("e", shard, context_length=context, max_tokens=budget, half=half)
    targets = one.targets[one.scored]
    assert len(set(targets.tolist())) == len(targets) == one.tokens
    assert (one.inputs[one.scored] == targets - 1).all()
    owner = np.searchsorted(shard.document_offsets, targets - 1, side="right") - 1
    assert owner.tolist() == [taking_part(lengths, half)[index] for index in one.document[one.scored]]
    assert one.windows == -(-one.tokens // context)
    assert one.scored.ravel().tolist() == [True] * one.tokens + [False] * (one.scored.size - one.tokens)


@given(LENGTHS, CONTEXTS, BUDGETS, HALF)
def test_a_budget_is_kept_and_used_up_to_a_window_a_document(
    lengths: list[int], context: int, budget: int | None, half: Half | None
) -> None:
    one = EvaluationSet.from_shard(
        "e", shard_of(lengths), context_length=context, max_tokens=budget, half=half
    )
    there = sum(lengths[index] for index in taking_part(lengths, half))
    if budget is None or budget >= there:
        assert one.tokens == there
        assert one.documents == len(taking_part(lengths, half))
    else:
        assert budget - context * one.documents < one.tokens <= budget


@given(LENGTHS, CONTEXTS, st.integers(1, 3000), HALF)
def test_documents_give_the_same_as_far_as_they_are_long_enough(
    lengths: list[int], context: int, budget: int, half: Half | None
) -> None:
    """None gives a window more than another that has a window left; bytes go by tokens."""
    shard = shard_of(lengths)
    one = EvaluationSet.from_shard("e", shard, context_length=context, max_tokens=budget, half=half)
    counts = np.bincount(one.document[one.scored], minlength=one.documents)
    chosen = taking_part(lengths, half)[: one.documents]
    whole = np.array(lengths)[chosen]
    assert (counts > 0).all()
    left = whole - counts >= context
    assert not left.any() or counts.max() - counts[left].min() <= context
    np.testing.assert_allclose(one.document_bytes, shard.document_bytes[chosen] * counts / whole)


@given(st.lists(st.integers(0, 300), min_size=1, max_size=12), CONTEXTS, st.integers(0, 500))
def test_a_window_of_every_long_document_takes_part_where_the_budget_has_one_for_each(
    more: list[int], context: int, spare: int
) -> None:
    lengths = [context + one for one in more]
    budget = context * len(lengths) + spare
    one = EvaluationSet.from_shard("e", shard_of(lengths), context_length=context, max_tokens=budget)
    assert one.documents == len(lengths)
    assert np.bincount(one.document[one.scored]).min() >= context


def test_a_small_budget_takes_a_shortest_piece_of_as_many_documents_as_it_has_tokens_for() -> None:
    sets = [
        EvaluationSet.from_shard("e", shard_of([1000] * 20), context_length=256, max_tokens=budget)
        for budget in (SHORTEST_PIECE - 1, SHORTEST_PIECE, 5 * SHORTEST_PIECE + 3, 20 * 256)
    ]
    assert [one.documents for one in sets] == [1, 1, 5, 20]
    assert [one.tokens for one in sets] == [SHORTEST_PIECE - 1, SHORTEST_PIECE, 5 * SHORTEST_PIECE, 20 * 256]


def test_windows_of_a_long_document_lie_each_in_a_stretch_of_its_own() -> None:
    one = EvaluationSet.from_shard("e", shard_of([1000] * 3), context_length=10, max_tokens=150)
    assert one.windows == 15
    offsets = []
    for index in range(3):
        rows = one.targets[(one.document == index).all(axis=1)] - 1 - 1000 * index
        assert (np.diff(rows, axis=1) == 1).all(), "a window is one piece"
        assert (rows // 200 == np.arange(5)[:, None]).all()
        offsets.append(set((rows[:, 0] % 200).tolist()))
    assert offsets[0] == {0}
    assert not offsets[0] & offsets[1] & offsets[2], "not at one place in all documents"


@given(LENGTHS, CONTEXTS, BUDGETS)
def test_halves_share_nothing_and_are_all_together(
    lengths: list[int], context: int, budget: int | None
) -> None:
    shard = shard_of(lengths)
    one, other = (
        EvaluationSet.from_shard("e", shard, context_length=context, max_tokens=budget, half=half)
        for half in HALVES
    )
    if len(lengths) == 1:
        assert one.key == other.key, "the one document is in both"
        return
    first, second = (set(half.targets[half.scored].tolist()) for half in (one, other))
    assert not first & second
    assert one.key != other.key
    if budget is None or budget >= sum(lengths):
        assert first | second == set(range(1, sum(lengths) + 1))
        assert one.documents + other.documents == len(lengths)


@given(LENGTHS, CONTEXTS, st.tuples(BUDGETS, BUDGETS), st.tuples(HALF, HALF))
def test_the_key_is_that_of_what_is_scored(
    lengths: list[int],
    context: int,
    budgets: tuple[int | None, int | None],
    halves: tuple[Half | None, Half | None],
) -> None:
    shard = shard_of(lengths)
    one, other = (
        EvaluationSet.from_shard("e", shard, context_length=context, max_tokens=budget, half=half)
        for budget, half in zip(budgets, halves, strict=True)
    )
    same = one.targets.shape == other.targets.shape and bool(
        (one.targets == other.targets).all() and (one.document == other.document).all()
    )
    assert (one.key == other.key) == same


@given(LENGTHS, CONTEXTS, BUDGETS, HALF)
def test_the_same_input_gives_the_same_bytes(
    lengths: list[int], context: int, budget: int | None, half: Half | None
) -> None:
    one, other = (
        EvaluationSet.from_shard("e", shard_of(lengths), context_length=context, max_tokens=budget, half=half)
        for _ in range(2)
    )
    for name in ("inputs", "targets", "document", "document_bytes"):
        assert getattr(one, name).tobytes() == getattr(other, name).tobytes()
    assert one.key == other.key


def test_the_key_covers_what_decides_the_windows(tmp_path: Path) -> None:
    shard = make_shard(tmp_path / "x", ["abcdef", "ghi"])
    other = make_shard(tmp_path / "y", ["abcdef", "ghj"])
    keys = {
        EvaluationSet.from_shard("e", shard, context_length=4).key,
        EvaluationSet.from_shard("e", shard, context_length=5).key,
        EvaluationSet.from_shard("e", shard, context_length=4, max_tokens=8).key,
        EvaluationSet.from_shard("e", shard, context_length=4, half="choosing").key,
        EvaluationSet.from_shard("e", shard, context_length=4, half="checking").key,
        EvaluationSet.from_shard("e", other, context_length=4).key,
    }
    assert len(keys) == 6
    renamed = EvaluationSet.from_shard("f", shard, context_length=4, max_tokens=1000)
    assert renamed.key in keys


def test_arrays_cannot_be_written_and_pickle(tmp_path: Path) -> None:
    one = EvaluationSet.from_shard("e", make_shard(tmp_path / "x", ["abc"]), context_length=2)
    with pytest.raises(ValueError, match="read-only"):
        one.inputs[0, 0] = 1
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(one)).targets, one.targets)


def test_sizes_must_be_positive(tmp_path: Path) -> None:
    shard = make_shard(tmp_path / "x", ["abc"])
    with pytest.raises(ConfigError, match="at least 1"):
        EvaluationSet.from_shard("e", shard, context_length=0)
    with pytest.raises(ConfigError, match="at least 1"):
        EvaluationSet.from_shard("e", shard, context_length=4, max_tokens=0)
