"""DiSF: the Gram form against correlations themselves, and spread documents among collapsed ones."""

import numpy as np
import pytest

from cuvee.errors import ConfigError
from cuvee.types import AnyArray, Float32Array
from cuvee.valuation.methods.disf import Disf, added_energies, correlation_energy, diversified
from cuvee.valuation.neighbours import unit_vectors


def naive_energy(vectors: AnyArray) -> float:
    correlations = np.asarray(np.corrcoef(vectors.astype(np.float64).T))
    return float(((correlations - np.eye(vectors.shape[1])) ** 2).sum())


def planted(seed: int) -> Float32Array:
    """950 documents near a plane, then 50 in all directions; 64 features."""
    rng = np.random.default_rng(seed)
    axes = unit_vectors(rng.normal(size=(3, 64)))
    collapsed = axes[0] + 0.3 * rng.normal(size=(950, 2)) @ axes[1:] + 0.02 * rng.normal(size=(950, 64))
    return unit_vectors(np.concatenate([collapsed, unit_vectors(rng.normal(size=(50, 64)))]))


def effective_rank(vectors: AnyArray) -> float:
    spectrum = np.linalg.svd(vectors.astype(np.float64) - vectors.mean(axis=0), compute_uv=False) ** 2
    shares = spectrum[spectrum > 1e-12 * spectrum.sum()] / spectrum.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


@pytest.mark.parametrize(("documents", "features"), [(3, 40), (16, 40), (16, 5)])
def test_grams_give_the_energy_of_correlations(documents: int, features: int) -> None:
    """Within 1e-4: k x k products against the d x d matrix of correlations."""
    vectors = np.random.default_rng(documents).normal(size=(documents, features)).astype(np.float32)
    assert correlation_energy(vectors) == pytest.approx(naive_energy(vectors), rel=1e-4)
    others = np.random.default_rng(1).normal(size=(7, features))
    found = added_energies(vectors.astype(np.float64), others)
    expected = [naive_energy(np.concatenate([vectors, one[None]])) for one in others]
    assert found == pytest.approx(expected, rel=1e-9)


def test_features_that_do_not_vary_count_for_nothing() -> None:
    vectors = np.random.default_rng(0).normal(size=(6, 5))
    with_constant = np.concatenate([vectors, np.full((6, 2), 0.3)], axis=1)
    assert correlation_energy(with_constant) == pytest.approx(naive_energy(vectors), rel=1e-9)
    found = added_energies(with_constant[:5], with_constant[5:])
    assert found == pytest.approx([naive_energy(vectors)], rel=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_spread_documents_are_picked_among_collapsed_ones(seed: int) -> None:
    """Effective rank of 16 picks of 1000 at least thrice that of random ones."""
    vectors = planted(seed)
    rows = diversified(vectors, 16, seed)
    draws = [np.random.default_rng(one).permutation(1000)[:16] for one in range(50)]
    random = float(np.mean([effective_rank(vectors[one]) for one in draws]))
    assert effective_rank(vectors[rows]) >= 3.0 * random
    assert (rows >= 950).mean() > 0.7


def test_early_places_go_to_spread_documents() -> None:
    vectors = planted(5)[600:]
    values = Disf().of_embeddings(vectors, 0)
    assert values[350:].mean() > 0.75
    assert np.array_equal(np.sort(values), np.arange(1, 401) / 400)


def test_every_document_has_a_place_in_its_batch() -> None:
    """1030 documents are two batches of 515, and none is left out."""
    vectors = np.random.default_rng(0).normal(size=(1030, 4))
    values = Disf().of_embeddings(vectors, 0)
    assert np.allclose(np.sort(values), np.repeat(np.arange(1, 516) / 515, 2), atol=1e-12)


@pytest.mark.parametrize("count", [1, 17, 100, 399, 400])
def test_as_many_are_picked_as_are_wanted(count: int) -> None:
    vectors = np.random.default_rng(0).normal(size=(400, 4))
    rows = diversified(vectors, count, 3)
    assert len(np.unique(rows)) == count and rows.min() >= 0 and rows.max() < 400
    assert np.array_equal(rows, diversified(vectors, count, 3))


def test_more_than_there_are_cannot_be_picked() -> None:
    for count in (0, 4):
        with pytest.raises(ConfigError, match=f"disf: {count} of 3 documents"):
            diversified(np.ones((3, 2)), count, 0)


def test_a_set_begins_with_two_that_are_unlike() -> None:
    """Seven copies and one other document: the other one is first or second."""
    vectors = np.concatenate([np.tile([1.0, 0.0, 0.0], (7, 1)), [[0.0, 1.0, 0.0]]])
    for seed in range(4):
        assert Disf().of_embeddings(vectors, seed)[7] >= 7 / 8


def test_copies_alone_and_one_document_have_places() -> None:
    assert np.isfinite(Disf().of_embeddings(np.ones((40, 3)), 0)).all()
    assert Disf().of_embeddings(np.ones((1, 3)), 0).tolist() == [1.0]
