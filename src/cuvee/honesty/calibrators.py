"""The table of ways to turn proxies into predicted losses (floor 5).

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

from cuvee.honesty.evidence import BEST_SINGLE, NEGATIVE_LOG_PARTS, WEIGHTED_SINGLE, effective_number
from cuvee.types import FloatArray, IntArray

NO_DIFFERENCE = "no difference"

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
    """[M, E, 2] that share and its square root: the first tokens of a source tell the most."""
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


def proxy_calibrators(proxy: str) -> dict[str, Calibrator]:
    """The rows of one proxy."""
    one = (proxy,)
    return {
        f"raw {proxy}": Calibrator(one, fitted=False),
        f"affine {proxy}": Calibrator(one),
        f"affine {proxy} + own share": Calibrator(one, ("own curve",)),
        f"affine {proxy} + own share + concentration": Calibrator(one, ("own curve", "concentration")),
        f"affine {proxy} + shares": Calibrator(one, ("own curve", "root shares")),
    }


def blend_calibrators(proxies: Sequence[str]) -> dict[str, Calibrator]:
    """The rows that read several proxies together; none for fewer than two proxies."""
    if len(proxies) < 2:
        return {}
    name = "blend of " + " and ".join(proxies)
    return {
        name: Calibrator(tuple(proxies)),
        f"{name} + own share": Calibrator(tuple(proxies), ("own curve",)),
        f"{name} + shares": Calibrator(tuple(proxies), ("own curve", "root shares")),
    }


def baseline_calibrators(baselines: Sequence[str]) -> dict[str, Calibrator]:
    """The rows that read no proxy: what one can say from the shares and the single-unit losses.

    They get the same features as the proxies, so that a proxy is believed for what it adds.
    """
    return {
        NO_DIFFERENCE: Calibrator(),
        "own share only": Calibrator(features=("own curve",)),
        "own share + concentration only": Calibrator(features=("own curve", "concentration")),
        "weights only": Calibrator(features=("shares",)),
        "weights only, root": Calibrator(features=("own curve", "root shares")),
        "weights only, root + parts": Calibrator(features=("own curve", "root shares", "log parts")),
        **{f"affine {name}": Calibrator((name,), anchored=False) for name in baselines},
        **{
            f"affine {name} + own share": Calibrator((name,), ("own curve",), anchored=False)
            for name in baselines
        },
    }


def calibrators_for(proxies: Sequence[str], baselines: Sequence[str] = ()) -> dict[str, Calibrator]:
    """All rows for the given proxies and baselines, the simplest first."""
    rows = [proxy_calibrators(name) for name in proxies]
    table = {name: row for rows_of_one in rows for name, row in rows_of_one.items()}
    return {**table, **blend_calibrators(proxies), **baseline_calibrators(baselines)}


CALIBRATORS: dict[str, Calibrator] = calibrators_for(
    ("merge", "ensemble"), (WEIGHTED_SINGLE, BEST_SINGLE, NEGATIVE_LOG_PARTS)
)
"""The rows of the two standard proxies and the standard baselines."""
