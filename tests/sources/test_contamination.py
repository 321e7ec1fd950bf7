"""Overlap of evaluation and training text in n-grams."""

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cuvee.sources.contamination import (
    NGRAM_WORDS,
    Contamination,
    OverlapCounter,
    ngram_hashes,
    overlap_sentence,
    sample_ngrams,
)

words = st.lists(st.sampled_from(["a", "b", "bb", "É", "word", "x1"]), max_size=40)


def ngrams(text: str) -> list[tuple[str, ...]]:
    """The definition, in plain Python."""
    found = re.findall(rb"[a-z0-9\x80-\xff]+", text.lower().encode())
    return [tuple(found[i : i + NGRAM_WORDS]) for i in range(len(found) - NGRAM_WORDS + 1)]


@settings(max_examples=50)
@given(words, words)
def test_equal_ngrams_and_only_those_have_equal_hashes(left: list[str], right: list[str]) -> None:
    one, two = " ".join(left), ", ".join(right).upper()
    table: dict[int, tuple[str, ...]] = {}
    for text in (one, two):
        hashes = ngram_hashes([text]).tolist()
        assert len(hashes) == len(ngrams(text))
        for hashed, ngram in zip(hashes, ngrams(text), strict=True):
            assert table.setdefault(hashed, ngram) == ngram
    assert len(table) == len({*ngrams(one), *ngrams(two)})


def test_hashes_do_not_depend_on_the_place_in_a_long_text() -> None:
    phrase = " ".join(f"w{i}" for i in range(20))
    filler = "lorem ipsum " * 30_000
    alone = ngram_hashes([phrase])
    for offset in (0, 1, 7):
        text = "z" * offset + " " + filler + phrase + " " + filler
        long = ngram_hashes([text])
        assert np.isin(alone, long).all()
        assert len(long) == len(ngrams(text))


def test_a_word_longer_than_a_block() -> None:
    text = "x" * 600_000 + " " + " ".join(f"w{i}" for i in range(13))
    assert len(ngram_hashes([text])) == 2
    assert ngram_hashes([text])[-1] == ngram_hashes([text[600_000:]])[0]


@settings(max_examples=50)
@given(st.lists(words.map(" ".join), max_size=6))
def test_many_texts_at_once_are_the_same_as_one_by_one(texts: list[str]) -> None:
    single = [hashed for text in texts for hashed in ngram_hashes([text]).tolist()]
    assert ngram_hashes(texts).tolist() == single


def test_no_collisions_among_many() -> None:
    text = " ".join(str(i) for i in range(200_000))
    assert len(np.unique(ngram_hashes([text]))) == 200_000 - 12


def test_the_sample_is_the_smallest_hashes_whatever_the_order() -> None:
    rng = np.random.default_rng(0)
    texts = [" ".join(map(str, rng.integers(0, 50, 60))) for _ in range(50)]
    everything = np.unique(np.concatenate([ngram_hashes([text]) for text in texts]))
    np.testing.assert_array_equal(sample_ngrams(texts), everything)
    np.testing.assert_array_equal(sample_ngrams(texts, 100), everything[:100])
    np.testing.assert_array_equal(sample_ngrams(reversed(texts), 100), everything[:100])
    assert len(sample_ngrams([])) == 0
    assert len(sample_ngrams(["too short"])) == 0


def test_overlap_is_counted_for_each_evaluation() -> None:
    numbers = [str(i) for i in range(100)]
    first, second = " ".join(numbers[:50]), " ".join(numbers[40:])
    counter = OverlapCounter(
        {"a": sample_ngrams([first]), "b": sample_ngrams([second]), "c": sample_ngrams([])}
    )
    assert counter.found() == {"a": 0, "b": 0, "c": 0}
    counter.show([" ".join(numbers[30:53])])  # 38 n-grams of a begin at 0..37, those from 30 are shown
    counter.show(["nothing to see"])
    assert counter.found() == {"a": 8, "b": 1, "c": 0}
    counter.show([first])
    assert counter.found()["a"] == 38


def test_nothing_to_look_for() -> None:
    counter = OverlapCounter({})
    counter.show(["a b c"])
    assert counter.found() == {}


@pytest.mark.parametrize("text", ["", "   ", "one two", " ".join("abcdefghijkl")])
def test_short_texts_have_no_ngrams(text: str) -> None:
    assert len(ngram_hashes([text])) == 0


def test_an_overlap_is_explained_in_a_sentence() -> None:
    found = Contamination("exam", "web", exact_removed=0, ngrams=1000, ngrams_found=408)
    assert found.harmful and not replace(found, ngrams_found=49).harmful
    assert overlap_sentence(found) == (
        "40.8% of the passages of 13 words in evaluation 'exam' also stand in source 'web': its loss is "
        "partly memory and speaks too well of source 'web', which matters from about 5% on; "
        "remove those texts from source 'web' or from the evaluation"
    )
    own = overlap_sentence(replace(found, evaluation="web", held_out=True))
    assert "stand in the rest of its source" in own
    assert own.endswith("; remove near-duplicates from source 'web'")
