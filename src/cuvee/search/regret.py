"""Regret: what a search could still gain, and so which mixture it ends with.

From draws from the posterior at the target fidelity.
"""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from cuvee.search.candidates import candidates
from cuvee.search.checkpoints import without_checkpoints
from cuvee.search.proposer import History
from cuvee.search.surrogate import Surrogate
from cuvee.types import FloatArray

DRAWS = 512
_FINALISTS = 256
_JITTER = 1e-10


@dataclass(frozen=True, eq=False)
class Regret:
    """Of holding a mixture for the best. Made by ``of``."""

    pick: FloatArray
    """The mixture that is held for the best [S]."""
    tested: bool
    """It was run at the target."""
    cost: FloatArray
    """Its expected target cost in each draw [K]."""
    lost: FloatArray
    """How much lower the best of all mixtures is in each draw [K], at least zero."""
    winners: FloatArray
    """The best mixture of each draw [K, S]."""

    @classmethod
    def of(cls, history: History, surrogate: Surrogate, seed: int, tested_only: bool = True) -> Self:
        """After a history.

        The pick is the mixture of the lowest posterior mean of those that were run at the target (with
        ``tested_only``, where there are any), else of all. The posterior mean, not what was measured: the
        lowest of many noisy measurements flatters itself.

        Args:
            history: what was tried.
            surrogate: fitted to it.
            seed: of mixtures and draws.
            tested_only: see above.

        Cost: covariances of 256 mixtures, a fraction of a second.
        """
        space, weights = history.space, history.weights[surrogate.metrics]
        rng = np.random.default_rng([seed, history.asked, 1])
        shares = candidates(history, surrogate, rng)
        run, _ = history.target_costs()
        shares = np.concatenate([run, shares])
        places = surrogate.places(shares, np.full(len(shares), space.target))
        mean = surrogate.mean(places) @ weights
        allowed = len(run) if tested_only and len(run) else len(shares)
        pick = int(np.argmin(mean[:allowed]))
        rows = np.unique(np.r_[pick, np.argsort(mean, kind="stable")[:_FINALISTS]])
        few = places.select(rows)
        between, _, _ = surrogate.covariances(few, few)
        shared, common = rng.normal(size=(len(rows), DRAWS)), surrogate.together
        draws = np.tile(mean[rows][:, None], DRAWS)
        for weight, covariance in zip(weights, between, strict=True):
            noise = np.sqrt(1.0 - common) * rng.normal(size=shared.shape) + np.sqrt(common) * shared
            draws += weight * (_root(covariance) @ noise)
        cost = draws[int(np.searchsorted(rows, pick))]
        return cls(
            shares[pick],
            pick < len(run),
            cost,
            np.maximum(cost - draws.min(axis=0), 0.0),
            shares[rows[draws.argmin(axis=0)]],
        )

    @property
    def expected(self) -> float:
        """Mean of what is lost."""
        return float(self.lost.mean())

    def probability(self, tolerance: float) -> float:
        """That more than ``tolerance`` is lost."""
        return float((self.lost > tolerance).mean())

    def interval(self, level: float) -> tuple[FloatArray, FloatArray]:
        """Ends [S] of the central interval of every share of the best mixture."""
        low, high = np.quantile(self.winners, [0.5 - level / 2, 0.5 + level / 2], axis=0)
        return np.minimum(low, self.pick), np.maximum(high, self.pick)


def _root(covariance: FloatArray) -> FloatArray:
    """Its symmetric square root: the same noise moves the same mixture, whatever the metric."""
    values, vectors = np.linalg.eigh(0.5 * (covariance + covariance.T))
    values = np.maximum(values, _JITTER * max(float(values[-1]), 1e-300))
    result: FloatArray = (vectors * np.sqrt(values)) @ vectors.T
    return result


def believed(history: History, seed: int, tested_only: bool = True) -> Regret:
    """The expected regret after a history, of the metrics that count.

    Cost: a fit of the surrogate, about a second at 100 experiments.
    """
    known = replace(history, trials=without_checkpoints(history.trials, history.space), running=())
    return Regret.of(known, Surrogate.of_target(history, seed), seed, tested_only)
