"""Several laws as one: the mean of their predictions, weighted by what they did on held-out runs.

    f(w) = sum_k a_k f_k(w),   a on the simplex, minimising the held-out squares of all metrics together

which is stacking (Wolpert 1992; Breiman 1996) with a pull towards equal weights. The members are a formula
that extrapolates and two Gaussian processes that interpolate; the mean is better than each. Deviations are
those of the mixture of the members: their own and their disagreement.
"""

from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import minimize

from cuvee.execution.interface import Executor
from cuvee.laws.asked import CheckedQuestions
from cuvee.laws.effective_data import EffectiveData
from cuvee.laws.gaussian_process import GaussianProcess
from cuvee.laws.interface import UNKNOWN_SCALE, FittedLaw, Law, LawData, Refittable, Scale
from cuvee.laws.validation import HeldOut, Validated, validate
from cuvee.types import FloatArray, Json

_PULL = 0.02  # towards equal weights, in units of the members' mean squared error


@dataclass(frozen=True, eq=False)
class FittedEnsemble(CheckedQuestions):
    """Fitted members and their weights."""

    members: tuple[FittedLaw, ...]
    weights: FloatArray
    """[K], at least zero, sum one."""
    law: str = "ensemble"
    convex: bool = False

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the sources."""
        return self.members[0].sources

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics."""
        return self.members[0].metrics

    def costs(self, shares: FloatArray, scale: Scale = UNKNOWN_SCALE) -> FloatArray:
        """See ``FittedLaw.costs``."""
        return _weighted(self.weights, [member.costs(shares, scale) for member in self.members])

    def slopes(self, shares: FloatArray, scale: Scale = UNKNOWN_SCALE) -> FloatArray:
        """See ``FittedLaw.slopes``."""
        return _weighted(self.weights, [member.slopes(shares, scale) for member in self.members])

    def uncertainty(self, shares: FloatArray, scale: Scale = UNKNOWN_SCALE) -> FloatArray:
        """See ``FittedLaw.uncertainty``."""
        means = [member.costs(shares, scale) for member in self.members]
        return _mixed_deviation(
            self.weights, means, [member.uncertainty(shares, scale) for member in self.members]
        )

    def as_json(self) -> Json:
        """See ``FittedLaw.as_json``."""
        return {
            "law": self.law,
            "formula": "sum_k weights[k] * members[k]",
            "sources": list(self.sources),
            "weights": self.weights.tolist(),
            "members": [member.as_json() for member in self.members],
        }


@dataclass(frozen=True)
class LawEnsemble:
    """The law, ready to be fitted."""

    members: tuple[Law, ...] = field(
        default_factory=lambda: (EffectiveData(), GaussianProcess("sqrt"), GaussianProcess("log"))
    )
    name: str = "ensemble"
    paper: str = "https://doi.org/10.1016/S0893-6080(05)80023-1"
    needs: str = "mixtures at one scale"
    cost: str = "that of its members, six times (five folds)"
    deviations: str = "Weights are shared by all metrics and drawn towards equal ones."

    def parameters(self, sources: int) -> int:
        """See ``Law.parameters``: those of the first member."""
        return self.members[0].parameters(sources)

    def fit(self, data: LawData, seed: int = 0) -> FittedEnsemble:
        """See ``Law.fit``."""
        fitted = self.validate(data, seed=seed).fitted
        assert isinstance(fitted, FittedEnsemble)
        return fitted

    def refit(self, data: LawData, near: FittedEnsemble, seed: int = 0) -> FittedEnsemble:
        """See ``Refittable.refit``: the members, under the weights they have."""
        members = tuple(
            law.refit(data, one, seed) if isinstance(law, Refittable) else law.fit(data, seed)
            for law, one in zip(self.members, near.members, strict=True)
        )
        return FittedEnsemble(members, near.weights)

    def validate(self, data: LawData, *, seed: int = 0, executor: Executor | None = None) -> Validated:
        """Fit and cross-validate the members, then weight them.

        The weights with which a fold is predicted come from the other folds.
        """
        return combine([validate(law, data, seed=seed, executor=executor) for law in self.members])


def combine(members: list[Validated]) -> Validated:
    """The ensemble of laws that were validated on the same folds."""
    first = members[0].held_out
    means = [member.held_out.predicted for member in members]
    deviations = [member.held_out.deviation for member in members]
    scale = np.nanstd(first.costs, axis=0)
    errors = np.stack([(first.costs - mean) / np.where(scale > 0, scale, 1.0) for mean in means])
    predicted, deviation = np.empty_like(first.costs), np.empty_like(first.costs)
    for left_out in range(int(first.fold.max()) + 1):
        asked = first.fold == left_out
        weights = _stacked(errors[:, ~asked])
        predicted[asked] = _weighted(weights, [mean[asked] for mean in means])
        deviation[asked] = _mixed_deviation(
            weights, [mean[asked] for mean in means], [part[asked] for part in deviations]
        )
    fitted = FittedEnsemble(tuple(member.fitted for member in members), _stacked(errors))
    return Validated(fitted, HeldOut(predicted, deviation, first.costs, first.fold))


def _stacked(errors: FloatArray) -> FloatArray:
    """Weights [K] from held-out errors [K, R, E]."""
    flat = errors.reshape(len(errors), -1)
    flat = flat[:, np.isfinite(flat).all(axis=0)]
    count = len(flat)
    products = flat @ flat.T / max(flat.shape[1], 1)
    products += np.eye(count) * (_PULL * np.trace(products) / count)
    products /= max(np.trace(products), 1e-300)
    found = minimize(
        lambda a: float(a @ products @ a),
        np.full(count, 1.0 / count),
        jac=lambda a: 2.0 * products @ a,
        bounds=[(0.0, 1.0)] * count,
        constraints={"type": "eq", "fun": lambda a: a.sum() - 1.0, "jac": lambda a: np.ones_like(a)},
        method="SLSQP",
    )
    weights = np.clip(found.x, 0.0, 1.0)
    result: FloatArray = weights / weights.sum()
    return result


def _weighted(weights: FloatArray, parts: list[FloatArray]) -> FloatArray:
    result: FloatArray = np.tensordot(weights, np.stack(parts), axes=1)
    return result


def _mixed_deviation(
    weights: FloatArray, means: list[FloatArray], deviations: list[FloatArray]
) -> FloatArray:
    centre = _weighted(weights, means)
    variances = [d**2 + (m - centre) ** 2 for m, d in zip(means, deviations, strict=True)]
    return np.sqrt(_weighted(weights, variances))
