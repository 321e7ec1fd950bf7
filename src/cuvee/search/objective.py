"""Objective: what is asked of a mixture, as weights of metrics, guards and a pull towards a prior.

All metrics are costs here (``laws/interface.py``): lower is better.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from cuvee.errors import ConfigError
from cuvee.laws.interface import UNKNOWN_SCALE, FittedLaw, Scale
from cuvee.mixture.mixture import Mixture
from cuvee.types import BoolArray, FloatArray

Aim = Literal["mean", "worst"]
"""``mean``: the weighted sum of the metrics. ``worst``: the largest weighted rise over the baseline."""

_SMALLEST = 1e-300
_AT_ONCE = 256


@dataclass(frozen=True)
class Guard:
    """A metric that may not get worse than at the baseline by more than a slack.

    Raises:
        ConfigError: the slack is not finite.
    """

    metric: str
    slack: float = 0.0
    """In the unit of the metric. Negative: it must get better by that much."""

    def __post_init__(self) -> None:
        if not math.isfinite(self.slack):
            raise ConfigError(f"guard on {self.metric!r}: the slack is {self.slack}; give a finite number")


@dataclass(frozen=True)
class Objective:
    """What is to be low.

    Raises:
        ConfigError: weights that are negative, not finite or all zero; a baseline is needed and missing.
    """

    weights: Mapping[str, float]
    """Of metrics, at least zero; a metric that is not named weighs nothing."""
    guards: tuple[Guard, ...] = ()
    aim: Aim = "mean"
    baseline: Mixture | None = None
    """What guards and ``worst`` compare with."""
    prior: Mixture | None = None
    """Where ``prior_strength`` pulls to; positive shares."""
    prior_strength: float = 0.0
    """In the unit of the objective, for each nat of KL(mixture || prior)."""
    scale: Scale = field(default=UNKNOWN_SCALE, repr=False)
    """At which the law is asked."""

    def __post_init__(self) -> None:
        values = list(self.weights.values())
        if any(not math.isfinite(value) or value < 0 for value in values) or not sum(values) > 0:
            raise ConfigError(
                f"weights of metrics must be finite, at least 0 and not all 0; found {dict(self.weights)}"
            )
        if self.baseline is None and (self.guards or self.aim == "worst"):
            raise ConfigError("guards and the worst case compare with a baseline; give one")
        if self.prior_strength > 0 and (self.prior is None or self.prior.shares.min() <= 0):
            raise ConfigError("a pull towards a prior needs a prior with a positive share of every source")

    def of(self, law: FittedLaw) -> "BoundObjective":
        """The objective as functions of shares, under a law."""
        return BoundObjective(self, law)


class BoundObjective:
    """An objective under one law: values and derivatives at shares [S] of ``law.sources``.

    Raises:
        ConfigError: the law does not know a metric.
    """

    def __init__(self, objective: Objective, law: FittedLaw) -> None:
        named = [*objective.weights, *(guard.metric for guard in objective.guards)]
        if unknown := [name for name in named if name not in law.metrics]:
            raise ConfigError(f"no metric {unknown[0]!r}; there are: {', '.join(law.metrics)}")
        self.law, self.objective = law, objective
        self.weights = np.array([objective.weights.get(name, 0.0) for name in law.metrics])
        self._guarded = np.array([law.metrics.index(g.metric) for g in objective.guards], dtype=np.int64)
        self._at_baseline = np.zeros(len(law.metrics))
        if objective.baseline is not None:
            self._at_baseline = self.costs(objective.baseline.reindexed(law.sources).shares)
        self._limits = self._at_baseline[self._guarded] + np.array([g.slack for g in objective.guards])
        self._prior = None
        if objective.prior is not None and objective.prior_strength > 0:
            self._prior = objective.prior.reindexed(law.sources).shares

    def costs(self, shares: FloatArray) -> FloatArray:
        """All metrics [E]."""
        result: FloatArray = self.law.costs(shares[None], self.objective.scale)[0]
        return result

    def slopes(self, shares: FloatArray) -> FloatArray:
        """Their derivatives [E, S]."""
        result: FloatArray = self.law.slopes(shares[None], self.objective.scale)[0]
        return result

    def parts(self, shares: FloatArray) -> FloatArray:
        """What the aim takes the largest of: one number for ``mean``, one a weighted metric for ``worst``."""
        costs = self.costs(shares)
        pull = self._pull(shares)
        if self.objective.aim == "mean":
            return np.array([costs @ self.weights + pull])
        used = self.weights > 0
        result: FloatArray = (self.weights * (costs - self._at_baseline))[used] + pull
        return result

    def part_slopes(self, shares: FloatArray) -> FloatArray:
        """Derivatives [parts, S]."""
        slopes = self.slopes(shares)
        if self.objective.aim == "mean":
            result = (self.weights @ slopes)[None]
        else:
            used = self.weights > 0
            result = self.weights[used, None] * slopes[used]
        if self._prior is not None:
            ratio = np.log(np.maximum(shares, _SMALLEST) / self._prior)
            result = result + self.objective.prior_strength * (ratio + 1.0)
        return result

    def value(self, shares: FloatArray) -> float:
        """The objective, without guards."""
        return float(self.parts(shares).max())

    def values(self, shares: FloatArray) -> FloatArray:
        """``value`` of many mixtures [M, S] at once."""
        costs = self._all_costs(shares)
        pull = np.array([self._pull(row) for row in shares])
        if self.objective.aim == "mean":
            mean: FloatArray = costs @ self.weights + pull
            return mean
        used = self.weights > 0
        worst: FloatArray = (self.weights * (costs - self._at_baseline))[:, used].max(axis=1) + pull
        return worst

    def keeps_guards(self, shares: FloatArray) -> BoolArray:
        """Which of many mixtures [M, S] keep all guards."""
        if not len(self._guarded):
            return np.ones(len(shares), dtype=np.bool_)
        costs = self._all_costs(shares)
        result: BoolArray = (costs[:, self._guarded] <= self._limits).all(axis=1)
        return result

    def violations(self, shares: FloatArray) -> FloatArray:
        """By how much each guard is broken [guards]; at most zero where all hold."""
        result: FloatArray = self.costs(shares)[self._guarded] - self._limits
        return result

    def violation_slopes(self, shares: FloatArray) -> FloatArray:
        """Derivatives [guards, S]."""
        result: FloatArray = self.slopes(shares)[self._guarded]
        return result

    def _all_costs(self, shares: FloatArray) -> FloatArray:
        """Some at a time: laws make numbers of metrics, mixtures and sources at once."""
        parts = np.array_split(shares, max(1, len(shares) // _AT_ONCE))
        result: FloatArray = np.concatenate([self.law.costs(part, self.objective.scale) for part in parts])
        return result

    def _pull(self, shares: FloatArray) -> float:
        if self._prior is None:
            return 0.0
        used = shares > 0
        divergence = (shares[used] * np.log(shares[used] / self._prior[used])).sum()
        return float(self.objective.prior_strength * divergence)
