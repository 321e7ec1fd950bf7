"""The table of ways to turn proxies into predicted losses.

A *calibrator* is a row: which proxies it starts from, whether its prior is the proxy itself, and
which features of the mixture may explain what the proxy misses. All rows share one fit
(``cuvee.honesty.calibration``), a partly shared ridge regression over all evaluations.

Why these features: a merge of n branches understates what a source's own data does for its own
evaluation (``own share``, ``own curve``), averaging removes noise in proportion to one minus the
sum of squared shares (``concentration``), and with many references whatever is left can be learnt
from the shares (the discrepancy term of multi-fidelity models: Kennedy & O'Hagan 2000, Biometrika
87, eq. 1).

Shapes: M mixtures, E evaluations, S sources, q columns of a feature.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from cuvee.honesty.evidence import effective_number
from cuvee.types import FloatArray, IntArray

Feature = Callable[[FloatArray, IntArray], FloatArray]


@dataclass(frozen=True)
class Calibrator:
    """One way to predict losses of mixtures."""

    proxies: tuple[str, ...] = ()
    """Proxies or baselines it reads; several are averaged, and their differences are features."""
    features: tuple[str, ...] = ()
    """Keys of ``FEATURES``."""
    anchored: bool = True
    """Whether slopes are drawn to one (the proxy is a loss) or to zero (it is only a number)."""
    fitted: bool = True
    """False: the prediction is the mean of the proxies, as it is."""


def own_share(shares: FloatArray, own: IntArray) -> FloatArray:
    """[M, E, 1] share of the source that an evaluation was held out from; 0 out of pool."""
    return np.asarray(np.where(own >= 0, shares[:, own], 0.0)[:, :, None])


def own_curve(shares: FloatArray, own: IntArray) -> FloatArray:
    """[M, E, 2] that share and its square root: the first tokens of a source matter most."""
    share = own_share(shares, own)
    return np.concatenate([share, np.sqrt(share)], axis=2)


def concentration(shares: FloatArray, own: IntArray) -> FloatArray:
    """[M, E, 1] sum of squared shares, what is left of the branches' noise after averaging."""
    return np.repeat(np.square(shares).sum(axis=1)[:, None, None], len(own), axis=1)


def log_parts(shares: FloatArray, own: IntArray) -> FloatArray:
    """[M, E, 1] logarithm of the effective number of parts."""
    return np.repeat(np.log(effective_number(shares))[:, None, None], len(own), axis=1)


def linear_shares(shares: FloatArray, own: IntArray) -> FloatArray:
    """[M, E, S] the shares."""
    return np.repeat(shares[:, None, :], len(own), axis=1)


def root_shares(shares: FloatArray, own: IntArray) -> FloatArray:
    """[M, E, S] square roots of the shares (Hellinger coordinates: returns diminish)."""
    return np.sqrt(linear_shares(shares, own))


FEATURES: dict[str, Feature] = {
    "own share": own_share,
    "own curve": own_curve,
    "concentration": concentration,
    "log parts": log_parts,
    "shares": linear_shares,
    "root shares": root_shares,
}


OWN_CURVE = ", own curve"
"""Ends the name of a proxy in which learning curves stand for what a source does for its own evaluation."""


def calibrators_for(proxies: Sequence[str]) -> dict[str, Calibrator]:
    """The rows for the given proxies: each as it is, all of them learnt together, and what needs no proxy.

    As it is, a proxy with learning curves stands for the plain one. Rows that need no proxy have the same
    features, so that a proxy is believed for what it adds.
    """
    alone = tuple(name for name in proxies if name.endswith(OWN_CURVE)) or tuple(proxies)
    table = {f"{name}, as it is": Calibrator((name,), fitted=False) for name in alone}
    if proxies:
        table[ALL_LEARNT] = Calibrator(tuple(proxies), LEARNT)
    return table | BASELINES


ALL_LEARNT = "all proxies, learnt"
LEARNT = ("own curve", "root shares", "log parts")
"""What the references may add to proxies: how far a source helps its own evaluation, what is left by shares,
and the number of parts. Chosen on nine studies of the development set of ``make bench-trust``: without the
number of parts the error on left-out references was .60 of the spread of the truth, with it .57, and with
plain proxies beside those with learning curves .55."""
PARTS_ALONE = "number of parts alone"
SHARES_ALONE = "shares alone"
BASELINES: dict[str, Calibrator] = {
    PARTS_ALONE: Calibrator(features=("log parts",)),
    SHARES_ALONE: Calibrator(features=LEARNT),
}
"""The rows that read no proxy."""
