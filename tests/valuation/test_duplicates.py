"""Near-duplicates: chains, order, cells and the share that is dropped, against a plain greedy loop."""

import numpy as np
import pytest

from cuvee.errors import ConfigError
from cuvee.types import AnyArray, BoolArray, Float32Array
from cuvee.valuation import duplicates as duplicates_file
from cuvee.valuation.duplicates import NearCopies, duplicates
from cuvee.valuation.neighbours import unit_vectors


def greedy(vectors: AnyArray, similarity: float, order: AnyArray) -> BoolArray:
    """Drop what is near one that stays, one document after the other."""
    cosines = vectors.astype(np.float64) @ vectors.T.astype(np.float64)
    dropped = np.zeros(len(vectors), dtype=np.bool_)
    stays: list[int] = []
    for row in order:
        dropped[row] = any(cosines[row, one] > similarity for one in stays)
        if not dropped[row]:
            stays.append(int(row))
    return dropped


def at_angles(*degrees: float) -> Float32Array:
    radians = np.deg2rad(degrees)
    return np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)


def test_a_chain_loses_only_its_middle() -> None:
    """A ~ B ~ C with A not near C; SemDeDup's rule drops C for the sake of B, which is gone."""
    near = float(np.cos(np.deg2rad(12.0)))
    chain = at_angles(0, 10, 20)
    assert duplicates(chain, near).tolist() == [False, True, False]
    assert (NearCopies.of(chain).nearest > near).tolist() == [False, True, True]
    assert duplicates(at_angles(0, 10, 20, 30, 40, 50), near).tolist() == [False, True] * 3


def test_the_order_says_who_stays() -> None:
    near = float(np.cos(np.deg2rad(12.0)))
    assert duplicates(at_angles(0, 10, 20), near, np.array([1, 0, 2])).tolist() == [True, False, True]
    with pytest.raises(ConfigError, match="the order must name each of 3 documents once"):
        duplicates(at_angles(0, 10, 20), near, np.array([1, 1, 2]))


@pytest.mark.parametrize("seed", range(4))
def test_rounds_are_the_greedy_loop(seed: int) -> None:
    rng = np.random.default_rng(seed)
    vectors = unit_vectors(rng.normal(size=(300, 4)))
    order = rng.permutation(300)
    for similarity in (0.5, 0.8, 0.95):
        dropped = duplicates(vectors, similarity, order)
        assert np.array_equal(dropped, greedy(vectors, similarity, order))
        stays = vectors[~dropped]
        assert (stays @ stays.T - 2 * np.eye(len(stays))).max() <= similarity
        assert ((vectors[dropped] @ stays.T).max(axis=1) > similarity).all()


def test_copies_of_one_document_leave_one() -> None:
    vectors = np.ones((500, 3), dtype=np.float32)
    assert duplicates(vectors, 0.99).sum() == 499
    assert not duplicates(vectors[:1], 0.99).any()


def test_the_share_that_is_dropped_finds_the_threshold() -> None:
    """A tenth are near copies, the rest is far: the threshold falls between, for any embedder."""
    rng = np.random.default_rng(0)
    originals = rng.normal(size=(900, 32))
    copies = originals[:100] + 0.2 * rng.normal(size=(100, 32))
    near = NearCopies.of(np.concatenate([originals, copies]))
    dropped = near.dropped(near.similarity_for(0.1))
    assert dropped[:900].sum() == 0 and dropped[900:].sum() == 100
    assert near.dropped(near.similarity_for(0.0)).sum() == 0
    assert 0.45 < near.dropped(near.similarity_for(0.5)).mean() <= 0.5
    with pytest.raises(ConfigError, match=r"must be in \[0, 1\), not 1.0"):
        near.similarity_for(1.0)


def test_cells_find_nearly_all_that_all_pairs_find(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    topics = rng.normal(size=(30, 16))[rng.integers(30, size=2000)]
    originals = topics + 0.5 * rng.normal(size=(2000, 16))
    vectors = np.concatenate([originals, originals[:200] + 0.1 * rng.normal(size=(200, 16))])
    exact = duplicates(vectors, 0.98)
    monkeypatch.setattr(duplicates_file, "EXACT", 100)
    celled = duplicates(vectors, 0.98, seed=1)
    assert not (celled & ~exact).any()
    assert celled.sum() >= 0.99 * exact.sum()
    assert np.array_equal(celled, duplicates(vectors, 0.98, seed=1))


def test_damaged_embeddings_are_refused() -> None:
    vectors = np.ones((3, 2))
    vectors[2] = np.inf
    with pytest.raises(ConfigError, match="that of document 2 is not finite"):
        duplicates(vectors, 0.9)
