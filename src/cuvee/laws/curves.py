"""Learning curves among the rows of laws: one mixture, one size, several lengths."""

from dataclasses import dataclass

import numpy as np

from cuvee.errors import ConfigError
from cuvee.laws.interface import LawData
from cuvee.types import FloatArray, IntArray

LEAST = 3
"""Lengths of a curve, or sizes of a mixture, that identify an exponent."""
EARLY = 1 / 3
"""Part of a curve that is left out as far as ``LEAST`` other lengths remain."""

_DIGITS = 9  # in which shares of one mixture agree


@dataclass(frozen=True, eq=False)
class Curves:
    """Rows of equal shares and parameters, one curve each, of at least three lengths."""

    mixtures: FloatArray
    """[M, S]."""
    sizes: FloatArray
    """Parameters [Z], ascending."""
    mixture: IntArray
    """Of each curve [G]."""
    size: IntArray
    """Of each curve [G]."""
    tokens: FloatArray
    """[G, P], ones where a curve has fewer points."""
    costs: FloatArray
    """[G, P, E], NaN where a curve has fewer points or the metric fewer than three lengths."""

    @classmethod
    def of(cls, data: LawData) -> "Curves":
        """Collect the curves.

        Raises:
            ConfigError: the scale of a row is unknown, or no curve has three lengths.
        """
        params, tokens = (
            _known(data, *axis) for axis in ((data.scale.params, "parameters"), (data.scale.tokens, "tokens"))
        )
        _, first, kind = np.unique(data.shares.round(_DIGITS), axis=0, return_index=True, return_inverse=True)
        sizes, size = np.unique(params, return_inverse=True)
        curve = kind.ravel() * len(sizes) + size
        found, longest = [], 0
        for place in np.unique(curve):
            rows = np.flatnonzero(curve == place)
            lengths = np.unique(tokens[rows])
            longest = max(longest, len(lengths))
            if len(lengths) >= LEAST:
                begin = min(EARLY * lengths[-1], lengths[-LEAST])
                found.append((place, rows[tokens[rows] >= begin]))
        if not found:
            raise ConfigError(
                f"{len(data)} runs are too few for curves: they are rows of one mixture and size at {LEAST} "
                f"or more different tokens, and the longest here has {longest}"
            )
        points = max(len(rows) for _, rows in found)
        length = np.ones((len(found), points))
        costs = np.full((len(found), points, len(data.metrics)), np.nan)
        for index, (_, rows) in enumerate(found):
            length[index, : len(rows)], costs[index, : len(rows)] = tokens[rows], data.costs[rows]
            for metric, measured in enumerate(np.isfinite(data.costs[rows]).T):
                if len(np.unique(tokens[rows][measured])) < LEAST:
                    costs[index, :, metric] = np.nan
        places = np.array([place for place, _ in found])
        kinds, mixture = np.unique(places // len(sizes), return_inverse=True)
        kept, size = np.unique(places % len(sizes), return_inverse=True)
        return cls(data.shares[first[kinds]], sizes[kept], mixture, size, length, costs)

    def table(self, values: FloatArray) -> FloatArray:
        """Values [G, E] of the curves by size [Z, M, E], NaN where there is no curve."""
        result = np.full((len(self.sizes), len(self.mixtures), values.shape[1]), np.nan)
        result[self.size, self.mixture] = values
        return result


def _known(data: LawData, sizes: FloatArray | float, what: str) -> FloatArray:
    known = np.broadcast_to(np.asarray(sizes, dtype=np.float64), (len(data),))
    if not (np.isfinite(known).all() and (known > 0).all()):
        raise ConfigError(f"a law of curves needs the {what} of every run; some are unknown or zero")
    return known
