"""Where and among which references a proxy is compared with the truth.

A *scope* says what is compared: one evaluation, the target, or the mean over the in-pool or the
out-of-pool evaluations. A *subset* says among which references: all, or only inside one size.
Here too is what retraining alone does to a scope, and the ceiling it puts on any correlation.
"""

import math
from dataclasses import dataclass

import numpy as np

from cuvee.honesty.evidence import Evidence
from cuvee.types import FloatArray, IntArray

TARGET = "target"
MACRO_IN_POOL = "macro in-pool"
MACRO_OUT_OF_POOL = "macro out-of-pool"
RESERVED = (TARGET, MACRO_IN_POOL, MACRO_OUT_OF_POOL)
"""Scopes that are no evaluation; no evaluation may have their names."""
ALL_REFERENCES = "all references"
WITHIN_SIZE = "within size"
SMALLEST_GROUP = 6

_EQUAL_SHARES = 1e-6


@dataclass(frozen=True)
class Subset:
    """References that are compared, in groups inside which they are compared."""

    name: str
    """``all references`` or ``within size``."""
    rows: IntArray
    """[n] rows of the evidence."""
    groups: IntArray
    """[n] group of each row, 0 to G - 1."""

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of references in each group."""
        return tuple(int(n) for n in np.bincount(self.groups)) if len(self.groups) else ()


@dataclass(frozen=True)
class ScopeNoise:
    """What retraining does to one scope."""

    deviation: float
    """Standard deviation of one training's loss about its mixture's mean; NaN without replicates."""
    freedom: int
    """Degrees of freedom behind it: trainings minus mixtures, over the replicated references."""
    mixtures: int
    """References that were trained twice or more."""


def scopes(evidence: Evidence) -> dict[str, FloatArray]:
    """Scope name -> [E] weights that turn losses per evaluation into that scope's loss."""
    table: dict[str, FloatArray] = {TARGET: evidence.target}
    for name, member in ((MACRO_IN_POOL, evidence.in_pool), (MACRO_OUT_OF_POOL, ~evidence.in_pool)):
        if member.any():
            table[name] = member / member.sum()
    for column, name in enumerate(evidence.evaluations):
        table[name] = np.eye(len(evidence.evaluations))[column]
    return table


def subsets(shares: FloatArray) -> tuple[Subset, ...]:
    """All references, then ``within size`` where a size has ``SMALLEST_GROUP`` references or more.

    A size is a number of parts with equal shares; references with unequal shares have none.
    """
    count = len(shares)
    everything = Subset(ALL_REFERENCES, np.arange(count), np.zeros(count, dtype=np.int64))
    parts = (shares > 0).sum(axis=1)
    equal = np.abs(shares - (shares > 0) / parts[:, None]).max(axis=1) <= _EQUAL_SHARES
    sizes = [size for size in np.unique(parts[equal]) if ((parts == size) & equal).sum() >= SMALLEST_GROUP]
    if not sizes:
        return (everything,)
    rows = np.flatnonzero(equal & np.isin(parts, sizes))
    return everything, Subset(WITHIN_SIZE, rows, np.searchsorted(np.array(sizes), parts[rows]))


def replicate_noise(evidence: Evidence, weights: FloatArray) -> ScopeNoise:
    """Standard deviation between trainings of one mixture in a scope, pooled over mixtures.

    Args:
        evidence: the references with their replicates.
        weights: [E] weights of the scope.
    """
    squares, freedom, mixtures = 0.0, 0, 0
    for _, losses in evidence.replicates:
        if len(losses) > 1:
            values = losses @ weights
            squares += float(np.square(values - values.mean()).sum())
            freedom += len(values) - 1
            mixtures += 1
    return ScopeNoise(math.sqrt(squares / freedom) if freedom else float("nan"), freedom, mixtures)


def correlation_ceiling(
    evidence: Evidence, subset: Subset, noise: ScopeNoise, variance: float
) -> tuple[float, float, float]:
    """sqrt(max(0, 1 - noise variance / variance of the truth)): what a perfect proxy would reach.

    With the ends of its 95 % interval: a few replicates know the noise badly (chi squared), so that a good
    proxy may well lie above. The noise of a reference trained n times counts 1/n. NaN without replicates or
    without variance.

    Args:
        evidence: the references with their replicates.
        subset: the references compared.
        noise: of the scope.
        variance: of the truth in the scope, pooled within the groups of the subset.
    """
    if math.isnan(noise.deviation) or not variance > 0:
        return math.nan, math.nan, math.nan
    from scipy.special import chdtri

    trainings = np.ones(evidence.references)
    for row, losses in evidence.replicates:
        trainings[row] = max(1, len(losses))
    share = noise.deviation**2 * float(np.mean(1.0 / trainings[subset.rows])) / variance
    most, least = (noise.freedom / float(chdtri(noise.freedom, tail)) for tail in (0.975, 0.025))
    ceiling, low, high = (math.sqrt(max(0.0, 1.0 - share * factor)) for factor in (1.0, most, least))
    return ceiling, low, high
