"""The hyperparameters of a surrogate's process, and their priors.

theta = (log l, log s, log s_N, log s_D, log noise of the target's kind; then rho, log w, log o and log noise
of each further kind), as in ``search/surrogate.py``; variances in that of a metric.

Merges and ensembles are made otherwise than trainings, and may be off by more than checkpoints, which are the
same trainings earlier: their discrepancies begin larger, and have the shape of the law besides.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from cuvee.laws.hierarchical import HierarchicalFit
from cuvee.search.space import PROXIES
from cuvee.types import FloatArray

SINGLE = ("log l", "log s", "log s_N", "log s_D", "log noise")
OF_KIND = ("rho", "log w", "log o", "log noise")
# These and the numbers of ``prior_of`` are chosen by hand: no table in ``benchmarks/`` compares others.
# ``search.md`` there has the errors of the surrogate with these.
LEAST_NOISE = 1e-5
_DRIFT = 0.1  # variance a decade
_LEAST_RHO = 0.01
_SHAPED = 4.0  # times w


def prior_of(law: HierarchicalFit, metric: int, kinds: Sequence[str]) -> tuple[FloatArray, FloatArray]:
    """Means and deviations of hyperparameters; the residual's size begins at what the law leaves."""
    left = np.log(np.clip(law.variance[metric], 1e-3, 0.5))
    length = np.log(0.35) + 0.5 * np.log(len(law.sources))
    mean = np.array([length, left, np.log(_DRIFT), np.log(_DRIFT), left])
    wide = np.array([1.0, 1.0, 1.5, 1.5, 1.0])
    for kind in kinds[1:]:
        off, off_wide = (0.5, 1.5) if kind in PROXIES else (0.1, 1.0)
        mean = np.r_[mean, 0.9, np.log(off), np.log(1.0), left]
        wide = np.r_[wide, 0.5, off_wide, 1.5, 1.0]
    return mean, wide


def least_of(kinds: Sequence[str]) -> FloatArray:
    """Lowest values: rho is not negative, as a kind that runs the other way is an accident of few runs."""
    further = np.tile([_LEAST_RHO, -np.inf, -np.inf, -np.inf], len(kinds) - 1)
    least: FloatArray = np.r_[np.full(len(SINGLE), -np.inf), further]
    return least


@dataclass(frozen=True, eq=False)
class Kinds:
    """What the hyperparameters say of every kind [kinds]; that of the target is first."""

    rho: FloatArray
    smooth: FloatArray
    """w, variance of the discrepancy that varies with the mixture."""
    shaped: FloatArray
    """Variance of that with the shape of the law, in units of the law's own: 4 w for proxies, else 0."""
    offset: FloatArray
    """o, variance of the discrepancy that all mixtures share."""
    noise: FloatArray
    """Variance of a single experiment."""

    @classmethod
    def of(cls, theta: FloatArray, kinds: Sequence[str]) -> Self:
        """Read them from theta."""
        rho, w, o, noise = theta[len(SINGLE) :].reshape(len(kinds) - 1, len(OF_KIND)).T
        proxies = np.array([kind in PROXIES for kind in kinds])
        smooth = np.r_[0.0, np.exp(w)]
        return cls(
            np.r_[1.0, rho],
            smooth,
            _SHAPED * smooth * proxies,
            np.r_[0.0, np.exp(o)],
            np.exp(np.r_[theta[4], noise]) + LEAST_NOISE,
        )
