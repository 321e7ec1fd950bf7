"""The hyperparameters of a surrogate's process, and what is known of them before any run (floor 5).

theta = (log l, log s, log s_N, log s_D, log noise of the target's kind; then rho, log w, log o and log noise
of each further kind), as in ``search/surrogate.py``; variances in that of a metric.
"""

import numpy as np

from cuvee.laws.hierarchical import HierarchicalFit
from cuvee.types import FloatArray, IntArray

SINGLE = ("log l", "log s", "log s_N", "log s_D", "log noise")
OF_KIND = ("rho", "log w", "log o", "log noise")
LEAST_NOISE = 1e-5
_DRIFT = 0.1  # variance a decade


def prior_of(law: HierarchicalFit, metric: int, kinds: int) -> tuple[FloatArray, FloatArray]:
    """Means and deviations of hyperparameters; the residual's size begins at what the law leaves."""
    left = np.log(np.clip(law.variance[metric], 1e-3, 0.5))
    length = np.log(0.35) + 0.5 * np.log(len(law.sources))
    mean = np.array([length, left, np.log(_DRIFT), np.log(_DRIFT), left])
    wide = np.array([1.0, 1.0, 1.5, 1.5, 1.0])
    further = np.tile([0.9, np.log(0.1), np.log(1.0), left], kinds - 1)
    further_wide = np.tile([0.5, 1.0, 1.5, 1.0], kinds - 1)
    return np.r_[mean, further], np.r_[wide, further_wide]


def table_of(theta: FloatArray, kinds: int) -> FloatArray:
    """(rho, w, o, noise) of every kind [kinds, 4]."""
    table = np.zeros((kinds, len(OF_KIND)))
    table[0] = 1.0, 0.0, 0.0, np.exp(theta[4])
    further = theta[len(SINGLE) :].reshape(kinds - 1, len(OF_KIND))
    table[1:, 0] = further[:, 0]
    table[1:, 1:] = np.exp(further[:, 1:])
    return table


def noise_of(theta: FloatArray, kind: IntArray, kinds: int) -> FloatArray:
    """Variance of a single experiment of each kind told [n]."""
    result: FloatArray = table_of(theta, kinds)[kind, 3] + LEAST_NOISE
    return result
