"""Paired bootstrap over references, as counts.

A draw takes n rows with replacement out of n; it is kept as how often each row was taken, so that
``cuvee.honesty.statistics`` computes all draws at once, and so that all proxies meet the same draws
and can be compared draw by draw. Percentile intervals after Efron & Tibshirani (1993), chapter 13.
"""

import numpy as np

from cuvee.types import FloatArray, IntArray

DRAWS = 2000
LEVEL = 0.95
_FEWEST_DRAWS = 0.5  # share of the draws in which a statistic must exist to have an interval


def bootstrap_counts(groups: IntArray, seed: int, draws: int = DRAWS) -> FloatArray:
    """[draws, n] counts of each row; every group [n] is resampled within itself and keeps its size."""
    generator = np.random.default_rng(seed)
    counts = np.zeros((draws, len(groups)))
    for group in range(int(groups.max(initial=-1)) + 1):
        rows = np.flatnonzero(groups == group)
        size = len(rows)
        if size:
            counts[:, rows] = generator.multinomial(size, np.full(size, 1.0 / size), size=draws)
    return counts


def percentile_interval(samples: FloatArray, level: float = LEVEL) -> tuple[float, float]:
    """The middle ``level`` of the samples [draws] that exist; NaN where fewer than half of them do."""
    kept = samples[np.isfinite(samples)]
    if len(kept) == 0 or len(kept) < _FEWEST_DRAWS * len(samples):
        return float("nan"), float("nan")
    tail = 50.0 * (1.0 - level)
    low, high = np.percentile(kept, [tail, 100.0 - tail])
    return float(low), float(high)
