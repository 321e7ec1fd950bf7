"""RegMix: boosted trees from shares to metrics.

One gradient-boosted regression for each metric, with the published settings: 1000 trees, learning rate 0.01
and LightGBM's defaults otherwise (Liu et al. 2025, https://arxiv.org/abs/2407.01492, and their notebook). The
paper stops adding trees by looking at the test runs; a fit here never sees them.

Trees interpolate well among many runs and do not extrapolate. LightGBM comes with the extra ``trees``.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from cuvee.errors import ConfigError
from cuvee.laws.asked import CheckedQuestions
from cuvee.laws.interface import UNKNOWN_SCALE, LawData, Scale
from cuvee.types import FloatArray, Json

TREES = 1000
LEARNING_RATE = 0.01
SEED = 42
_STEP = 0.01  # of a share, in differences that stand in for derivatives
_LEAST_RUNS = 4


@dataclass(frozen=True, eq=False)
class FittedTrees(CheckedQuestions):
    """One booster for each metric."""

    sources: tuple[str, ...]
    metrics: tuple[str, ...]
    boosters: tuple[Any, ...]
    law: str = "regmix"
    convex: bool = False

    def costs(self, shares: FloatArray, scale: Scale = UNKNOWN_SCALE) -> FloatArray:
        """See ``FittedLaw.costs``."""
        shares = np.atleast_2d(shares)
        return np.stack([np.asarray(one.predict(shares, num_threads=1)) for one in self.boosters], axis=1)

    def slopes(self, shares: FloatArray, scale: Scale = UNKNOWN_SCALE) -> FloatArray:
        """See ``FittedLaw.slopes``; trees are steps: differences over two hundredths of a share."""
        shares = np.atleast_2d(shares)
        slopes = []
        for source in range(shares.shape[1]):
            moved = np.zeros(shares.shape[1])
            moved[source] = _STEP
            slopes.append((self.costs(shares + moved) - self.costs(shares - moved)) / (2 * _STEP))
        return np.stack(slopes, axis=2)

    def uncertainty(self, shares: FloatArray, scale: Scale = UNKNOWN_SCALE) -> FloatArray:
        """See ``FittedLaw.uncertainty``; nothing is known of it."""
        return np.zeros((len(np.atleast_2d(shares)), len(self.metrics)))

    def as_json(self) -> Json:
        """See ``FittedLaw.as_json``; trees as LightGBM dumps them."""
        return {
            "law": self.law,
            "formula": "sum of the leaves reached; left where the share is at most the threshold",
            "sources": list(self.sources),
            "metrics": {
                name: {"trees": [tree["tree_structure"] for tree in one.dump_model()["tree_info"]]}
                for name, one in zip(self.metrics, self.boosters, strict=True)
            },
        }


@dataclass(frozen=True)
class RegMix:
    """The law, ready to be fitted."""

    name: str = "regmix"
    paper: str = "https://arxiv.org/abs/2407.01492"
    needs: str = "mixtures at one scale, 40 at the least: a leaf holds 20 runs; the extra 'trees'"
    cost: str = "about a second a metric"
    deviations: str = "All 1000 trees are kept: the runs to be predicted do not say when to stop."

    def parameters(self, sources: int) -> int:
        """See ``Law.parameters``: trees grow with the runs; none are fixed."""
        return 1

    def fit(self, data: LawData, seed: int = SEED) -> FittedTrees:
        """See ``Law.fit``; with all runs and all sources in every tree, nothing is random."""
        parts = [data.metric(index) for index in range(len(data.metrics))]
        for one in parts:
            if len(one) < _LEAST_RUNS:
                raise ConfigError(f"metric {one.metrics[0]!r}: {len(one)} runs are too few for regmix")
        return FittedTrees(
            data.sources, data.metrics, tuple(boosted(one.shares, one.costs[:, 0]) for one in parts)
        )


def boosted(
    shares: FloatArray, costs: FloatArray, stop_on: tuple[FloatArray, FloatArray] | None = None
) -> Any:
    """A LightGBM booster from shares [R, S] to costs [R].

    Args:
        shares: of the runs.
        costs: of one metric.
        stop_on: shares and costs of other runs; trees are added until their mean absolute or mean squared
            error has not fallen for three trees. The published protocol gives the test runs here, and so
            reports on runs it has seen.

    Raises:
        ConfigError: LightGBM is not there.
    """
    try:
        import lightgbm
    except ImportError as error:
        raise ConfigError("regmix needs LightGBM; pip install 'cuvee[trees]'") from error
    settings = {
        "objective": "regression",
        "metric": ["l1", "l2"],
        "learning_rate": LEARNING_RATE,
        "seed": SEED,
        "verbosity": -1,
        "num_threads": 1,
        "deterministic": True,
        "force_row_wise": True,
    }
    training = lightgbm.Dataset(shares, costs, params={"verbosity": -1}, free_raw_data=True)
    if stop_on is None:
        return lightgbm.train(settings, training, TREES)
    valid = lightgbm.Dataset(stop_on[0], stop_on[1], reference=training, params={"verbosity": -1})
    callbacks: list[Any] = [lightgbm.early_stopping(3, verbose=False)]
    return lightgbm.train(settings, training, TREES, valid_sets=[valid], callbacks=callbacks)
