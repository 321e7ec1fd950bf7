"""TokenWorth: what a token of each seller is worth for the target, from its sample alone, with an interval.

    q_s = token-weighted mean over the sample of  max(v_i - m, 0)

v_i is the value of a document by any method, m the median of all documents that sellers show: a document
like most on offer adds nothing that cheaper ones do not. Small samples are shrunk to the mean of all sellers
by the usual rule of random effects,

    q_s' = q + T / (T + e_s) (q_s - q),     e_s = V sum_i w_i^2

w_i are the shares of tokens, V is the variance of one document within a seller and T that between sellers, by
moments (DerSimonian & Laird 1986): a single lucky document must not spend the budget.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cuvee.errors import ConfigError
from cuvee.types import FloatArray, IntArray
from cuvee.valuation.document_table import DocumentTable

CONFIDENCE = 0.9
"""Of intervals."""

RESAMPLES = 1000
"""Bootstrap samples behind an interval: its ends move by some 3 % of its width from seed to seed."""


@dataclass(frozen=True)
class TokenWorth:
    """Of a token of one seller."""

    documents: int
    """Of its sample that have a value."""
    mean: float
    """After shrinking; zero where no document has a value."""
    interval: tuple[float, float]
    """What other documents of the same seller would change; infinite where one is all there is."""


def worths_of(samples: DocumentTable, values: FloatArray, seed: int) -> tuple[TokenWorth, ...]:
    """The worth of each source of a table, in order.

    Args:
        samples: what sellers show, a source a seller.
        values: of its documents [n], NaN where there is none.
        seed: of the bootstrap.

    Raises:
        ConfigError: no document has a value, or one is infinite.
    """
    known = np.isfinite(values)
    if np.isinf(values).any() or not known.any():
        raise ConfigError("offers: no document of any sample has a finite value; take another method")
    excess = np.where(known, np.maximum(values - np.median(values[known]), 0.0), 0.0)
    rows = [np.flatnonzero((samples.source == place) & known) for place in range(len(samples.sources))]
    raw = np.array([_mean(excess, samples.length, one) for one in rows])
    factor, centre = _shrinkage(excess, samples.length, rows, raw)
    found = []
    for place, one in enumerate(rows):
        rng = np.random.default_rng([seed, place])
        ends = _interval(excess, samples.length, one, rng)
        moved = [float(centre + factor[place] * (end - centre)) for end in ends]
        mean = float(centre + factor[place] * (raw[place] - centre)) if len(one) else 0.0
        low, high = (max(moved[0], 0.0), moved[1]) if len(one) > 1 else (0.0, np.inf)
        found.append(TokenWorth(len(one), mean, (low, high)))
    return tuple(found)


def _mean(excess: FloatArray, length: IntArray, rows: IntArray) -> float:
    return float(excess[rows] @ length[rows] / length[rows].sum()) if len(rows) else 0.0


def _shrinkage(
    excess: FloatArray, length: IntArray, rows: Sequence[IntArray], raw: FloatArray
) -> tuple[FloatArray, float]:
    """How far each seller's own mean counts [S], and the mean of all."""
    shown = [place for place, one in enumerate(rows) if len(one)]
    centre = float(raw[shown].mean())
    spare = sum(len(rows[place]) - 1 for place in shown)
    if not spare or len(shown) < 2:  # nothing says how documents of one seller differ
        return np.ones(len(rows)), centre
    within = sum(float(np.square(excess[rows[place]] - excess[rows[place]].mean()).sum()) for place in shown)
    error = np.zeros(len(rows))
    for place in shown:
        share = length[rows[place]] / length[rows[place]].sum()
        error[place] = within / spare * float(share @ share)
    between = max(0.0, float(raw[shown].var(ddof=1) - error[shown].mean()))
    total = between + error
    return np.where(total > 0, between / np.where(total > 0, total, 1.0), 1.0), centre


def _interval(
    excess: FloatArray, length: IntArray, rows: IntArray, rng: np.random.Generator
) -> tuple[float, float]:
    """Ends of a percentile bootstrap over the documents of a sample, before shrinking."""
    if len(rows) < 2:
        return 0.0, 0.0
    counts = rng.multinomial(len(rows), np.full(len(rows), 1.0 / len(rows)), size=RESAMPLES)
    weights = counts * length[rows]
    means = weights @ excess[rows] / weights.sum(axis=1)
    tail = (1.0 - CONFIDENCE) / 2.0
    low, high = np.quantile(means, [tail, 1.0 - tail])
    return float(low), float(high)
