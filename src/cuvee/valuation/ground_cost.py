"""Ground costs: what it costs to move mass from a document of the pool to one of the target, pair by pair.

Made block by block, so that no matrix of all pairs is ever needed.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from cuvee.errors import ConfigError
from cuvee.types import AnyArray, FloatArray, IntArray

_BLOCK = 4096  # vectors looked at together
_ROUNDING = 1e-12  # of squares: vectors no further apart than this are one


class GroundCost(Protocol):
    """What it costs to move mass from a row to a column; made block by block."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns, n and m."""
        ...

    @property
    def mean(self) -> float:
        """Over all pairs."""
        ...

    def block(self, rows: IntArray, columns: IntArray) -> FloatArray:
        """Costs [rows, columns]."""
        ...


@dataclass(frozen=True, eq=False)
class SquaredDistances:
    """|x - y|^2 between two sets of vectors.

    Raises:
        ConfigError: a set is empty, widths differ, or a number is not finite.
    """

    x: AnyArray = field(repr=False)
    """[n, d]; may be memory-mapped."""
    y: AnyArray = field(repr=False)
    """[m, d]."""

    def __post_init__(self) -> None:
        if self.x.ndim != 2 or self.y.ndim != 2 or self.x.shape[1] != self.y.shape[1]:
            raise ConfigError(
                f"transport: vectors of shapes {self.x.shape} and {self.y.shape}; widths must agree"
            )
        for name, vectors in (("pool", self.x), ("target", self.y)):
            if not len(vectors):
                raise ConfigError(f"transport: the {name} is empty; give at least one vector")
            if (wrong := _not_finite(vectors)) is not None:
                raise ConfigError(f"transport: vector {wrong} of the {name} is not finite; leave it out")

    @property
    def shape(self) -> tuple[int, int]:
        """See ``GroundCost.shape``."""
        return len(self.x), len(self.y)

    @property
    def mean(self) -> float:
        """See ``GroundCost.mean``; from means, in O((n + m) d)."""
        squares = _mean_square(self.x) + _mean_square(self.y)
        means = self.x.mean(axis=0, dtype=np.float64) @ self.y.mean(axis=0, dtype=np.float64)
        mean = float(squares - 2.0 * means)
        return mean if mean > _ROUNDING * squares else 0.0

    def block(self, rows: IntArray, columns: IntArray) -> FloatArray:
        """See ``GroundCost.block``."""
        x, y = self.x[rows].astype(np.float64), self.y[columns].astype(np.float64)
        squares = (x**2).sum(axis=1)[:, None] + (y**2).sum(axis=1)
        result: FloatArray = np.maximum(squares - 2.0 * x @ y.T, 0.0)
        return result


def _mean_square(vectors: AnyArray) -> float:
    return sum(float((block.astype(np.float64) ** 2).sum()) for block in _blocks(vectors)) / len(vectors)


def _not_finite(vectors: AnyArray) -> int | None:
    for number, block in enumerate(_blocks(vectors)):
        if len(wrong := np.flatnonzero(~np.isfinite(block).all(axis=1))):
            return number * _BLOCK + int(wrong[0])
    return None


def _blocks(vectors: AnyArray) -> Iterator[AnyArray]:
    """They may be memory-mapped."""
    for first in range(0, len(vectors), _BLOCK):
        yield vectors[first : first + _BLOCK]
