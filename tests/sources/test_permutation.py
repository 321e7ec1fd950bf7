"""The table-free permutation is a bijection and looks random."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cuvee.sources.permutation import UInt64Array, mix64, permute, subkeys
from cuvee.types import IntArray


def keys_of(master: int, indices: IntArray) -> UInt64Array:
    return subkeys(np.full(len(indices), master, dtype=np.uint64), indices)


def image(size: int, key: int) -> list[int]:
    keys = keys_of(key, np.zeros(size, dtype=np.int64))
    return permute(np.arange(size), np.full(size, size), keys).tolist()


@given(st.integers(1, 3000), st.integers(0, 2**64 - 1))
def test_every_size_and_key_gives_a_bijection(size: int, key: int) -> None:
    assert sorted(image(size, key)) == list(range(size))


def test_sizes_and_keys_are_taken_entry_by_entry() -> None:
    positions, sizes = np.array([3, 3, 5, 5, 0]), np.array([100, 100, 7, 100, 1])
    keys = keys_of(9, np.array([0, 1, 0, 1, 0]))
    mixed = permute(positions, sizes, keys)
    single = [permute(positions[i : i + 1], sizes[i : i + 1], keys[i : i + 1])[0] for i in range(5)]
    assert mixed.tolist() == single
    assert mixed[0] != mixed[1]
    assert mixed[4] == 0


@pytest.mark.parametrize("size", [2, 3, 5, 24])
def test_images_of_one_position_are_uniform_over_keys(size: int) -> None:
    trials = 20_000
    keys = keys_of(1, np.arange(trials))
    for position in (0, size - 1):
        counts = np.bincount(permute(np.full(trials, position), np.full(trials, size), keys), minlength=size)
        expected = trials / size
        chi_square = float(((counts - expected) ** 2 / expected).sum())
        assert chi_square < size - 1 + 6 * np.sqrt(2 * size)


def test_all_orders_of_three_things_occur_about_equally() -> None:
    trials = 6000
    keys = keys_of(4, np.arange(trials))
    orders = np.stack([permute(np.full(trials, p), np.full(trials, 3), keys) for p in range(3)], axis=1)
    _, counts = np.unique(orders, axis=0, return_counts=True)
    assert len(counts) == 6
    assert counts.min() > 850
    assert counts.max() < 1150


def test_neighbours_are_scattered() -> None:
    order = np.array(image(10_000, 5))
    assert abs(np.corrcoef(np.arange(10_000), order)[0, 1]) < 0.05
    assert abs(np.corrcoef(order[:-1], order[1:])[0, 1]) < 0.05


def test_large_domains_cost_nothing() -> None:
    size = 2**45 + 7
    positions = np.arange(1000) * (2**35)
    images = permute(positions, np.full(1000, size), keys_of(0, np.zeros(1000, dtype=np.int64)))
    assert len(set(images.tolist())) == 1000
    assert images.min() >= 0
    assert images.max() < size


def test_mix64_is_the_published_function() -> None:
    # First outputs of SplitMix64 from state 0 (its state is advanced by the golden ratio).
    golden = 0x9E3779B97F4A7C15
    states = np.array([golden, 2 * golden & (2**64 - 1)], dtype=np.uint64)
    assert mix64(states).tolist() == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4]
