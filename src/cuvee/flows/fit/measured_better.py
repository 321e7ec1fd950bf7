"""Runs whose measured target is lower than the prediction for the pick can explain.

A law is smooth: a run far below it is either wrong or something that the law does not know. Which of the two,
the table does not show, so such runs are reported. A run is far below where its distance from what is
expected of the pick is too large for the error of a prediction: left-out residuals without its own, Student's
t, and a chance of 5 % that any of the runs is named without reason (Bonferroni).
"""

import numpy as np
from scipy.stats import t

from cuvee.laws.validation import HeldOut
from cuvee.types import BoolArray, IntArray

CHANCE = 0.05
_FEWEST = 4
"""Runs, from which on a residual can be distinguished from the others."""


def measured_better(held_out: HeldOut, allowed: BoolArray, expected: float) -> IntArray:
    """Rows of the runs that were measured better than a mixture can be expected to be, the best first.

    Args:
        held_out: one cost, the target, with the prediction for each run without it.
        allowed: the runs [R] that could be chosen.
        expected: the target of the mixture that was chosen.
    """
    costs, residuals = held_out.costs[:, 0], held_out.residuals[:, 0]
    there = np.isfinite(residuals)
    count = int(there.sum())
    if count < _FEWEST:
        return np.zeros(0, dtype=np.int64)
    squares = np.where(there, np.square(residuals), 0.0)
    without = np.sqrt((squares.sum() - squares) / (count - 1))
    far = float(t.isf(CHANCE / count, count - 1)) * without
    rows = np.flatnonzero(there & allowed & (costs + far < expected))
    return np.asarray(rows[np.argsort(costs[rows], kind="stable")])


def measured_lower(held_out: HeldOut, allowed: BoolArray, expected: float) -> IntArray:
    """Rows of the runs that were measured lower than is expected of a mixture, by whatever, the best first.

    Args:
        held_out: one cost, the target.
        allowed: the runs [R] that could be chosen.
        expected: the target of the mixture that was chosen.
    """
    costs = held_out.costs[:, 0]
    rows = np.flatnonzero(np.isfinite(costs) & allowed & (costs < expected))
    return np.asarray(rows[np.argsort(costs[rows], kind="stable")])
