"""Density: the sketch against its kernel in closed form, and planted copies that must not be kept."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from cuvee.errors import ConfigError
from cuvee.types import AnyArray, Float32Array
from cuvee.valuation.methods import density
from cuvee.valuation.methods.density import Density, kernel, neighbour_distance, race, relative_width
from cuvee.valuation.neighbours import unit_vectors


def uneven(count: int, seed: int) -> Float32Array:
    """Unit vectors in ten clusters of different size and spread."""
    rng = np.random.default_rng(seed)
    sizes = np.arange(1, 11) / 55
    centres = rng.normal(size=(10, 16))[rng.choice(10, p=sizes, size=count)]
    return unit_vectors(centres + 0.8 * rng.random((count, 1)) * rng.normal(size=(count, 16)))


def distances(vectors: AnyArray) -> AnyArray:
    squares = 2.0 - 2.0 * (vectors.astype(np.float64) @ vectors.T.astype(np.float64))
    np.fill_diagonal(squares, 0.0)
    return np.sqrt(np.maximum(squares, 0.0))


@pytest.mark.parametrize(("hashes", "agreement"), [(1, 0.1), (4, 0.01)])
def test_the_sketch_is_its_kernel(hashes: int, agreement: float) -> None:
    """R = 1000: Spearman >= .97 with the p-stable kernel in closed form, and no bias."""
    vectors = uneven(800, 0)
    width = neighbour_distance(vectors, 0) * relative_width(agreement, hashes)
    exact = kernel(distances(vectors), width, hashes).mean(axis=1)
    found = race(vectors, width, 1000, hashes, 0)
    assert spearmanr(found, exact).statistic >= 0.97
    assert float((found / exact).mean()) == pytest.approx(1.0, abs=0.02)


def test_buckets_shared_by_chance_are_taken_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """800 documents in 64 buckets: each shares one with a dozen others that it is not near to."""
    vectors = uneven(800, 0)
    width = neighbour_distance(vectors, 0) * relative_width(0.1, 4)
    exact = kernel(distances(vectors), width, 4).mean(axis=1)
    monkeypatch.setattr(density, "_BITS", 6)
    found = race(vectors, width, 1000, 4, 0)
    assert float((found / exact).mean()) == pytest.approx(1.0, abs=0.05)


def test_the_kernel_is_the_probability_that_hashes_agree() -> None:
    """Simulated from the definition, for one distance and width."""
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(200_000, 1)) * np.array([0.0, 0.7])[:, None, None]
    offset = rng.random((200_000, 1)) * 1.3
    agree = np.floor((first + offset) / 1.3) == np.floor((second + offset) / 1.3)
    assert float(kernel(np.array([0.7]), 1.3, 1)[0]) == pytest.approx(agree.mean(), abs=0.005)
    assert kernel(np.array([0.0, 1e9]), 1.0, 4) == pytest.approx([1.0, 0.0], abs=1e-9)


@pytest.mark.parametrize("agreement", [0.01, 0.1, 0.9])
def test_widths_give_the_agreement_that_is_asked_for(agreement: float) -> None:
    width = 0.3 * relative_width(agreement, 4)
    assert float(kernel(np.array([0.3]), width, 4)[0]) == pytest.approx(agreement, rel=1e-6)


def test_planted_copies_are_not_kept() -> None:
    """19 % of a pool are near copies of ten documents; of a quarter drawn by inverse propensity, <= 5 %."""
    rng = np.random.default_rng(1)
    base = uneven(2000, 2)
    copies = np.repeat(base[:10], 46, axis=0) + 0.005 * rng.normal(size=(460, 16))
    pool = np.concatenate([base, copies])
    planted = np.isin(np.arange(len(pool)), [*range(10), *range(2000, 2460)])
    assert planted.mean() == pytest.approx(0.19, abs=0.005)
    values = Density().of_embeddings(pool, 0)
    drawn = np.argsort(-(values - np.log(-np.log(rng.random(len(pool))))))[: len(pool) // 4]
    assert planted[drawn].mean() <= 0.05


def test_values_are_higher_where_few_are() -> None:
    vectors = uneven(500, 3)
    values = Density().of_embeddings(vectors, 0)
    near = np.sort(distances(vectors), axis=1)[:, 1:6].mean(axis=1)
    assert spearmanr(values, near).statistic > 0.7
    assert values.max() <= np.log(500) + 1e-9 and values.min() >= 0.0


def test_copies_of_one_document_have_no_inverse_density() -> None:
    assert np.array_equal(Density().of_embeddings(np.ones((50, 4)), 0), np.zeros(50))
    assert Density().of_embeddings(np.ones((1, 4)), 0).tolist() == [0.0]


def test_the_seed_decides_the_hashes() -> None:
    vectors = uneven(200, 4)
    method = Density(rows=60)
    assert np.array_equal(method.of_embeddings(vectors, 1), method.of_embeddings(vectors, 1))
    assert not np.array_equal(method.of_embeddings(vectors, 1), method.of_embeddings(vectors, 2))


def test_embeddings_that_are_not_finite_are_refused() -> None:
    vectors = np.ones((3, 4))
    vectors[1] = np.nan
    with pytest.raises(ConfigError, match="document 1 is not finite"):
        Density().of_embeddings(vectors, 0)
