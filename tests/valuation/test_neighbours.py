"""Neighbours by blocks and spherical k-means, against plain loops and planted clusters."""

import numpy as np
import pytest

from cuvee.errors import ConfigError
from cuvee.types import Float32Array
from cuvee.valuation import neighbours
from cuvee.valuation.neighbours import most_similar, spherical_kmeans, unit_vectors


def random_units(count: int, width: int, seed: int) -> Float32Array:
    return unit_vectors(np.random.default_rng(seed).normal(size=(count, width)))


def test_nearest_by_blocks_is_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    queries, keys = random_units(37, 5, 1), random_units(50, 5, 2)
    monkeypatch.setattr(neighbours, "BLOCK_COSINES", 64)
    cosines, rows = most_similar(queries, keys, 3)
    full = queries.astype(np.float64) @ keys.T.astype(np.float64)
    assert np.array_equal(rows, np.argsort(-full, axis=1)[:, :3])
    assert np.allclose(cosines, -np.sort(-full, axis=1)[:, :3], atol=1e-6)
    assert np.array_equal(most_similar(queries, keys, 1)[1][:, 0], rows[:, 0])
    assert most_similar(queries, keys[:2], 5)[1].shape == (37, 2)


def test_planted_clusters_are_found() -> None:
    """Eight directions at right angles, one of them rare."""
    rng = np.random.default_rng(4)
    topic = np.repeat(np.arange(8), [200, 200, 200, 200, 200, 200, 200, 20])
    vectors = unit_vectors(np.eye(16)[topic] + 0.1 * rng.normal(size=(len(topic), 16)))
    centroids = spherical_kmeans(vectors, 8, seed=0)
    cosines, nearest = most_similar(vectors, centroids, 1)
    assert np.allclose(np.linalg.norm(centroids, axis=1), 1.0, atol=1e-6)
    assert np.unique(np.stack([topic, nearest[:, 0]]), axis=1).shape[1] <= 10
    assert cosines.mean() > 0.9


def test_lloyd_does_not_worsen_and_repeats_itself() -> None:
    vectors = random_units(600, 8, 5)
    first = spherical_kmeans(vectors, 12, seed=3)
    assert np.array_equal(first, spherical_kmeans(vectors, 12, seed=3))
    assert not np.array_equal(first, spherical_kmeans(vectors, 12, seed=4))
    drawn = vectors[:12]
    assert most_similar(vectors, first, 1)[0].mean() > most_similar(vectors, drawn, 1)[0].mean() + 0.05


def test_clusters_without_vectors_begin_again() -> None:
    """All but three of 100 vectors are one: centroids are drawn from copies, and must not stay empty."""
    vectors = np.zeros((100, 4), dtype=np.float32)
    vectors[:, 0] = 1.0
    vectors[-3:] = np.eye(4, dtype=np.float32)[1:]
    for seed in range(5):
        assert most_similar(vectors, spherical_kmeans(vectors, 4, seed), 1)[0].min() > 0.999


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_vectors_have_few_clusters(count: int) -> None:
    vectors = random_units(count, 4, 1)
    assert spherical_kmeans(vectors, 3, 0).shape == (count, 4)


def test_opposite_vectors_have_a_centroid_all_the_same() -> None:
    """Their sum is zero, which has no direction."""
    vectors = np.array([[1, 0], [-1, 0]], dtype=np.float32)
    centroids = spherical_kmeans(vectors, 1, 0)
    assert np.allclose(np.linalg.norm(centroids, axis=1), 1.0)


def test_vectors_that_are_none_are_refused() -> None:
    vectors = np.ones((3, 2))
    vectors[1, 0] = np.nan
    with pytest.raises(ConfigError, match="that of document 1 is not finite or has no length"):
        unit_vectors(vectors)
    with pytest.raises(ConfigError, match="that of document 0"):
        unit_vectors(np.zeros((2, 2)))
    with pytest.raises(ConfigError, match="a vector for each document"):
        unit_vectors(np.zeros((0, 2)))
