"""Evaluation sets score every token of every document exactly once."""

import pickle
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cuvee.errors import ConfigError
from cuvee.sources.evaluation_set import PADDING, EvaluationSet
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


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.text(st.characters(codec="utf-8"), min_size=1, max_size=12), min_size=1, max_size=8, unique=True
    ),
    st.integers(1, 20),
    st.none() | st.integers(1, 80),
)
def test_every_token_is_scored_once_after_the_token_before_it(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], context_length: int, max_tokens: int | None
) -> None:
    shard = make_shard(tmp_path_factory.mktemp("shard") / "x", texts)
    one = EvaluationSet.from_shard("e", shard, context_length=context_length, max_tokens=max_tokens)
    scored = one.scored
    kept = shard.tokens[: one.tokens].tolist()
    assert one.targets[scored].tolist() == kept
    assert one.inputs[scored].tolist() == [END, *kept][:-1]
    lengths = Counter(one.document[scored].tolist())
    assert [lengths[i] for i in range(one.documents)] == [
        len(shard.document(i)) for i in range(one.documents)
    ]
    assert one.document_bytes.tolist() == shard.document_bytes[: one.documents].tolist()
    assert one.windows == -(-one.tokens // context_length)
    if max_tokens is None:
        assert one.documents == shard.documents
    else:
        assert one.tokens <= max_tokens or one.documents == 1
        if one.documents < shard.documents:
            assert int(shard.document_offsets[one.documents + 1]) > max_tokens


def test_the_key_covers_what_decides_the_windows(tmp_path: Path) -> None:
    shard = make_shard(tmp_path / "x", ["abcdef", "ghi"])
    other = make_shard(tmp_path / "y", ["abcdef", "ghj"])
    keys = {
        EvaluationSet.from_shard("e", shard, context_length=4).key,
        EvaluationSet.from_shard("e", shard, context_length=5).key,
        EvaluationSet.from_shard("e", shard, context_length=4, max_tokens=8).key,
        EvaluationSet.from_shard("e", other, context_length=4).key,
    }
    assert len(keys) == 4
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
