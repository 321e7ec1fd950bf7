"""Leaves: every document in one, none too large, like with like."""

import numpy as np

from cuvee.types import Float32Array
from cuvee.valuation.bm25 import BM25
from cuvee.valuation.leaves import leaves_of, typical_words


def unit(vectors: np.ndarray) -> Float32Array:
    found: Float32Array = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return found


def test_every_document_is_in_one_small_leaf() -> None:
    vectors = unit(np.random.default_rng(0).standard_normal((300, 8)))
    leaves = leaves_of(vectors, 16, seed=1)
    assert sorted(np.concatenate(leaves).tolist()) == list(range(300))
    assert max(map(len, leaves)) <= 16
    again = leaves_of(vectors, 16, seed=1)
    assert all(np.array_equal(one, other) for one, other in zip(leaves, again, strict=True))


def test_groups_that_are_apart_stay_apart() -> None:
    rng = np.random.default_rng(2)
    group = np.repeat(np.arange(6), 10)
    vectors = unit(np.eye(6)[group] + 0.01 * rng.standard_normal((60, 6)))
    assert all(len(set(group[rows].tolist())) == 1 for rows in leaves_of(vectors, 10, seed=0))


def test_documents_that_are_all_alike_are_divided_too() -> None:
    leaves = leaves_of(unit(np.ones((50, 4))), 8, seed=0)
    assert max(map(len, leaves)) <= 8 and sum(map(len, leaves)) == 50
    assert [one.tolist() for one in leaves_of(np.ones((1, 1), dtype=np.float32), 8, 0)] == [[0]]


def test_typical_words_are_frequent_here_and_rare_elsewhere() -> None:
    index = BM25.of(["the cat purrs", "the cat naps", "the dog barks", "the dog naps"])
    assert typical_words(index, np.array([0, 1]), 1) == ("cat",)
    assert "the" not in typical_words(index, np.array([0, 1]), 3)
    assert typical_words(BM25.of(["", "!"]), np.array([0]), 3) == ()
