"""The best mixture of a region under a fitted law, with a certificate.

A smooth objective without guards is lowered by mirror descent. Guards and the worst case make it

    min over (w, t) of t,   f_k(w) <= t,   h_j(w) <= 0,   w in the region

which sequential quadratic programming solves (SLSQP; Kraft 1988). If the law is convex, the same problem with
f and h replaced by their tangents at the answer is a linear programme whose value is a lower bound for every
mixture: ``gap`` is how far the answer lies above that bound. If the law is not convex there is no such
bound; the descent then begins at several places and ``gap`` is NaN.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import LinearConstraint, NonlinearConstraint, linprog, minimize

from cuvee.errors import ConfigError, InfeasibleRegion
from cuvee.laws.interface import FittedLaw
from cuvee.mixture.distance import total_variation
from cuvee.mixture.mirror_descent import mirror_descent
from cuvee.mixture.mixture import Mixture
from cuvee.mixture.region import Region
from cuvee.search.objective import BoundObjective, Objective
from cuvee.search.spread import Spreads
from cuvee.types import FloatArray

TOLERANCE = 1e-5
"""Of the gap, as a part of the spread of the objective (``search/spread.py``)."""
_STARTS = 6
_DRAWN = 2048
_STEPS = 300
_APART = 0.1  # of starts, in total variation
_INSIDE = 1e-3
_GAP = 1e-3  # of a programme that needs no second attempt, as a part of the spread
_SHARPNESS = 50.0  # of the smooth function near the largest violation
_GUARD_TOLERANCE = 1e-5
"""Of the gap, as a part of the spread of the objective (``search/spread.py``)."""


@dataclass(frozen=True, eq=False)
class Best:
    """The best mixture found."""

    mixture: Mixture
    value: float
    """Of the objective, under the law."""
    gap: float
    """No mixture of the region is better by more than this; NaN where the law is not convex."""


def descend(
    objective: Objective, law: FittedLaw, region: Region, start: Mixture, *, tolerance: float = TOLERANCE
) -> Best:
    """The optimum that a descent from a mixture of the region comes to; it may be one of several.

    Arguments, errors and cost as for ``minimise``; ``gap`` is NaN where the law is not convex.
    """
    spreads = Spreads(objective.of(law))
    found = _lowered(spreads, region, start.reindexed(region.names).shares, tolerance)
    return found if law.convex else Best(found.mixture, found.value, math.nan)


def minimise(
    objective: Objective,
    law: FittedLaw,
    region: Region,
    start: Mixture | None = None,
    *,
    tolerance: float = TOLERANCE,
    seed: int = 0,
) -> Best:
    """The mixture of the region with the lowest objective.

    Args:
        objective: what is to be low.
        law: predicts the metrics.
        region: its sources are those of the law, in the same order.
        start: where to begin, for example the optimum under a similar law.
        tolerance: of the gap, as a part of the spread of the objective.
        seed: of the starts, where the law is not convex.

    Raises:
        InfeasibleRegion: no mixture keeps all guards (the message names the closest).
        ConfigError: a metric is unknown, or the sources are not those of the law.

    Cost: some hundred predictions of one mixture; six times that where the law is not convex.
    """
    if region.names != law.sources:
        raise ConfigError(f"the region is over {region.names}, the law over {law.sources}")
    bound = objective.of(law)
    uniform = np.full(len(region.names), 1.0 / len(region.names))
    begin = region.project(uniform if start is None else start.reindexed(region.names).shares).shares
    spreads = Spreads(bound)
    if law.convex:
        return _lowered(spreads, region, begin, tolerance)
    found = [_lowered(spreads, region, one, tolerance) for one in _starts(bound, region, begin, seed)]
    best = min(found, key=lambda one: one.value)
    return Best(best.mixture, best.value, math.nan)


def _starts(bound: BoundObjective, region: Region, begin: FloatArray, seed: int) -> list[FloatArray]:
    """The given start and the best of many draws, each some way from the others."""
    drawn = np.stack([one.shares for one in region.sample(_DRAWN, np.random.default_rng(seed))])
    costs = bound.law.costs(drawn, bound.objective.scale) @ bound.weights
    chosen = [begin]
    for index in np.argsort(costs, kind="stable").tolist():
        apart = float(total_variation(drawn[index], np.stack(chosen)).min())
        if apart > _APART or len(chosen) == 1:
            chosen.append(drawn[index])
        if len(chosen) == _STARTS:
            break
    return chosen


def _lowered(spreads: Spreads, region: Region, begin: FloatArray, tolerance: float) -> Best:
    if spreads.bound.objective.guards or spreads.bound.objective.aim == "worst":
        return _guarded(spreads, region, begin)
    # A share of zero would stay there: the descent multiplies.
    inside = Mixture(region.names, (1.0 - _INSIDE) * begin + _INSIDE / len(begin))
    found = mirror_descent(
        lambda shares: (spreads.value(shares), spreads.part_slopes(shares)[0]),
        region,
        inside,
        tolerance=tolerance,
        max_evaluations=_STEPS,
    )
    return Best(found.mixture, spreads.bound.value(found.mixture.shares), spreads.unit * found.gap)


def _guarded(spreads: Spreads, region: Region, begin: FloatArray) -> Best:
    programme, bound = _Programme.of(region), spreads.bound
    safe = begin
    if bound.objective.guards and bound.violations(begin).max() > 0:
        safe = _feasible(spreads, programme, begin)

    def rows(x: FloatArray) -> FloatArray:
        return np.concatenate([spreads.parts(x[:-1]) - x[-1], spreads.violations(x[:-1])])

    def slopes(x: FloatArray) -> FloatArray:
        return _with_last(spreads.part_slopes(x[:-1]), spreads.violation_slopes(x[:-1]))

    # With slopes as steep as near a share of zero a programme ends anywhere; another start may do better.
    middle = 0.5 * (safe + region.project(np.full(len(safe), 1.0 / len(safe))).shares)
    best, gap = safe, math.nan
    for start in (safe, middle):
        found = programme.solve(rows, slopes, start, spreads.value(start))
        if bound.objective.guards:
            found = _pulled_inside(spreads, safe, found)
        best = min(best, found, key=bound.value)
        gap = programme.gap(spreads, best) if bound.law.convex else math.nan
        if not gap > _GAP:
            break
    return Best(Mixture(region.names, best), bound.value(best), spreads.unit * gap)


def _with_last(less_last: FloatArray, free: FloatArray) -> FloatArray:
    """Derivatives in (shares, t) of rows that t is subtracted from, and of rows without it."""
    column = np.r_[-np.ones(len(less_last)), np.zeros(len(free))]
    result: FloatArray = np.column_stack([np.vstack([less_last, free]), column])
    return result


def _pulled_inside(spreads: Spreads, safe: FloatArray, found: FloatArray) -> FloatArray:
    """The point nearest to ``found``, on the way there from ``safe``, that keeps all guards."""
    low, high = 0.0, 1.0
    if spreads.violations(found).max() <= _GUARD_TOLERANCE:
        return found
    for _ in range(50):
        middle = (low + high) / 2.0
        inside = spreads.violations(safe + middle * (found - safe)).max() <= _GUARD_TOLERANCE
        low, high = (middle, high) if inside else (low, middle)
    result: FloatArray = safe + low * (found - safe)
    return result


def _feasible(spreads: Spreads, programme: "_Programme", begin: FloatArray) -> FloatArray:
    """Shares that keep all guards, by lowering the largest violation."""
    nothing = np.zeros((0, len(begin)))
    found = begin
    for start in (
        begin,
        *_likely(spreads, programme.region),
        _smoothly_lowered(spreads, programme.region, begin),
    ):
        if spreads.violations(start).max() <= _GUARD_TOLERANCE:
            return start
        found = programme.solve(
            lambda x: spreads.violations(x[:-1]) - x[-1],
            lambda x: _with_last(spreads.violation_slopes(x[:-1]), nothing),
            start,
            float(spreads.violations(start).max()),
        )
        if spreads.violations(found).max() <= _GUARD_TOLERANCE:
            return found
    broken = spreads.violations(found)
    if broken.max() > _GUARD_TOLERANCE:
        place = int(broken.argmax())
        metric, missed = spreads.bound.objective.guards[place].metric, broken[place] * spreads.units[place]
        raise InfeasibleRegion(
            f"no mixture found keeps all guards: the closest misses the one on {metric!r} by {missed:.4g}; "
            "allow more slack there, or wider bounds on the sources"
        )
    return found


def _likely(spreads: Spreads, region: Region) -> tuple[FloatArray, ...]:
    """The baseline, where it is allowed: it keeps its guards unless they want more than it has."""
    baseline = spreads.bound.objective.baseline
    if baseline is None or not region.contains(baseline):
        return ()
    return (baseline.reindexed(region.names).shares,)


def _smoothly_lowered(spreads: Spreads, region: Region, begin: FloatArray) -> FloatArray:
    """Where mirror descent ends on a smooth function near the largest violation."""

    def largest(shares: FloatArray) -> tuple[float, FloatArray]:
        broken, slopes = spreads.violations(shares), spreads.violation_slopes(shares)
        parts = np.exp(_SHARPNESS * (broken - broken.max()))
        value = float(broken.max()) + float(np.log(parts.sum())) / _SHARPNESS
        return value, parts @ slopes / parts.sum()

    inside = Mixture(region.names, (1.0 - _INSIDE) * begin + _INSIDE / len(begin))
    return mirror_descent(largest, region, inside, max_evaluations=_STEPS).mixture.shares


@dataclass(frozen=True, eq=False)
class _Programme:
    """min t over (shares [S], t), shares in a region, under rows of further conditions."""

    region: Region
    equal: FloatArray
    """[rows, S + 1]: the first sums the shares, the others keep ratios."""
    right: FloatArray

    @classmethod
    def of(cls, region: Region) -> "_Programme":
        names = region.names
        rows, right = [np.r_[np.ones(len(names)), 0.0]], [1.0]
        for group in region.ratios:
            (head, weight), *others = group.items()
            for name, other in others:
                row = np.zeros(len(names) + 1)
                row[names.index(name)], row[names.index(head)] = 1.0 / other, -1.0 / weight
                rows.append(row)
                right.append(0.0)
        return cls(region, np.stack(rows), np.array(right))

    @property
    def bounds(self) -> list[tuple[float | None, float | None]]:
        return [*zip(self.region.lower.tolist(), self.region.upper.tolist(), strict=True), (None, None)]

    def solve(
        self,
        rows: Callable[[FloatArray], FloatArray],
        slopes: Callable[[FloatArray], FloatArray],
        begin: FloatArray,
        last: float,
    ) -> FloatArray:
        """Shares [S] of the region at the end of SLSQP, which keeps ``rows`` at most zero."""
        down = np.r_[np.zeros(len(begin)), 1.0]
        found = minimize(
            lambda x: float(x[-1]),
            np.r_[begin, last],
            jac=lambda x: down,
            constraints=[
                LinearConstraint(self.equal, self.right, self.right),
                NonlinearConstraint(rows, -np.inf, 0.0, jac=slopes),
            ],
            bounds=self.bounds,
            method="SLSQP",
            options={"maxiter": _STEPS, "ftol": 1e-10},
        )
        shares = found.x[:-1]
        return self.region.project(shares if np.isfinite(shares).all() else begin).shares

    def gap(self, spreads: Spreads, shares: FloatArray) -> float:
        """The objective at ``shares`` less the lowest value of its tangents within the guards' tangents."""
        parts, broken = spreads.parts(shares), spreads.violations(shares)
        slopes, guards = spreads.part_slopes(shares), spreads.violation_slopes(shares)
        above = _with_last(slopes, guards)
        limit = np.r_[slopes @ shares - parts, guards @ shares - broken]
        # Slopes at shares near zero are larger than others by orders: rows are scaled to one size.
        size = np.maximum(np.abs(above).max(axis=1), 1e-12)
        found = linprog(
            np.r_[np.zeros(len(shares)), 1.0],
            A_ub=above / size[:, None],
            b_ub=limit / size,
            A_eq=self.equal,
            b_eq=self.right,
            bounds=self.bounds,
            method="highs",
        )
        return max(0.0, float(parts.max()) - float(found.fun)) if found.status == 0 else math.nan
