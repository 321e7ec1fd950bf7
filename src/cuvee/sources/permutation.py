"""Seeded permutations that are computed entry by entry, without a table (sources, lowest file).

``permute`` is a generalised Feistel network with modular additions on rows x columns, followed by
cycle walking (Black and Rogaway, "Ciphers with Arbitrary Finite Domains", 2002, method 3). One entry
costs O(1) time and no memory, so an epoch over a billion windows needs no shuffle buffer and any
position can be asked for directly. It is for shuffling, not for secrets.
"""

import numpy as np
import numpy.typing as npt

from cuvee.types import IntArray

UInt64Array = npt.NDArray[np.uint64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_ROUNDS = 8


def mix64(values: UInt64Array) -> UInt64Array:
    """The finaliser of SplitMix64 (Steele, Lea and Flood 2014): a bijection of 64-bit words.

    Args:
        values: uint64 array of at least one dimension (so that arithmetic wraps silently).

    Returns:
        An array of the same shape.
    """
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def subkeys(masters: UInt64Array, indices: IntArray) -> UInt64Array:
    """One 64-bit key for each master key and index (an epoch, say).

    Args:
        masters: uint64 [n].
        indices: non-negative integers [n].

    Returns:
        Keys, uint64 [n].
    """
    return mix64(mix64(indices.astype(np.uint64) * _GOLDEN) ^ masters)


def permute(positions: IntArray, sizes: IntArray, keys: UInt64Array) -> IntArray:
    """Where each position goes under the permutation of ``range(size)`` that its key names.

    Args:
        positions: integers [n], each in ``range(size)``.
        sizes: the number of things permuted, for each position, int64 [n], at least 1.
        keys: the key of the permutation to use for each position, uint64 [n].

    Returns:
        Images int64 [n]; for a fixed size and key the map is a bijection of ``range(size)``.
    """
    roots = np.ceil(np.sqrt(sizes)).astype(
        np.int64
    )  # any number would do; near the root the domain is smallest
    columns = (-(-sizes // roots)).astype(np.uint64)
    rows, limits = roots.astype(np.uint64), sizes.astype(np.uint64)
    images = positions.astype(np.uint64)
    outside = np.arange(len(images))
    # rows * columns may exceed the size by less than one row: walk on along the cycle until inside.
    while len(outside):
        images[outside] = _feistel(images[outside], rows[outside], columns[outside], keys[outside])
        outside = outside[images[outside] >= limits[outside]]
    return images.astype(np.int64)


def _feistel(values: UInt64Array, rows: UInt64Array, columns: UInt64Array, keys: UInt64Array) -> UInt64Array:
    row, column = values // columns, values % columns
    for _ in range(_ROUNDS // 2):
        keys = mix64(keys + _GOLDEN)
        row = (row + mix64(column ^ keys) % rows) % rows
        keys = mix64(keys + _GOLDEN)
        column = (column + mix64(row ^ keys) % columns) % columns
    return row * columns + column
