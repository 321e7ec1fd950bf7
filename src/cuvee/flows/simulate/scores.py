"""Scores: what trajectories come to, method by method and fidelity by fidelity."""

import math
from collections.abc import Sequence

import numpy as np
from scipy.stats import mannwhitneyu, rankdata

from cuvee.decisions.simulate.decision import (
    ADAPTIVE,
    SIMPLE,
    Adaptivity,
    CostToReach,
    CurvePoint,
    MethodComparison,
    MethodRow,
    RegretAt,
    SimulatedFidelity,
)
from cuvee.flows.simulate.benchmark import Benchmark
from cuvee.flows.simulate.names import fidelity_names
from cuvee.flows.simulate.trajectories import Trajectories
from cuvee.search.methods.registry import method_named
from cuvee.search.trajectory import Trajectory
from cuvee.types import FloatArray

GAPS = (0.1, 0.01)
"""That are good enough, the easier first."""
_BUDGETS = (1.25, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)
_POINTS = 60
_ROUNDING = 1e-9
_SURE = 0.05


def method_row(made: Trajectories, budget: float) -> MethodRow:
    """What the trajectories of a method come to."""
    budgets = (*(one for one in _BUDGETS if one < budget), budget)
    return MethodRow(
        name=made.method,
        needs=method_named(made.method).needs,
        experiments=quantile([len(one.experiments) for one in made.trajectories], 0.5),
        reach=tuple(_reach([one.cost_to(gap) for one in made.trajectories], gap) for gap in GAPS),
        regret=tuple(
            RegretAt(at, quantile([one.regret(at) for one in made.trajectories], 0.5)) for at in budgets
        ),
        curve=_curve(made.trajectories, budget),
    )


def fidelity_rows(benchmark: Benchmark) -> tuple[SimulatedFidelity, ...]:
    """The fidelities in the order of their prices, and how they rank the mixtures of the target fidelity."""
    replay, space = benchmark.replay, benchmark.replay.space
    mixtures = replay.reference()
    at_target = replay.truth(mixtures) @ benchmark.weights
    rows = []
    for place, fidelity in enumerate(space.fidelities):
        here = replay.answers(mixtures, place) @ benchmark.weights
        common = np.isfinite(here) & np.isfinite(at_target)
        unknown = dict.fromkeys(benchmark.unknown, math.nan)
        rows.append(
            SimulatedFidelity(
                name=fidelity_names(space.fidelities)[place],
                kind=fidelity.kind,
                parameters=unknown.get("params", fidelity.params),
                tokens=unknown.get("tokens", fidelity.tokens),
                flops=math.nan if unknown else fidelity.flops,
                price=float(replay.prices[place]),
                mixtures=benchmark.counts[place],
                common=int(common.sum()),
                rank=_spearman(here[common], at_target[common]),
                is_target=place == space.target,
            )
        )
    return tuple(rows)


def comparisons(trajectories: Sequence[Trajectories]) -> tuple[MethodComparison, ...]:
    """The adaptive method beside the simple one, gap by gap; nothing where one was not played."""
    by_name = {one.method: one.trajectories for one in trajectories}
    if ADAPTIVE not in by_name or SIMPLE not in by_name:
        return ()
    return tuple(_compared(by_name[ADAPTIVE], by_name[SIMPLE], gap) for gap in GAPS)


def verdict(found: Sequence[MethodComparison]) -> Adaptivity:
    """Whether one method costs less for some gap, beyond chance, and more for none."""
    if not found:
        return "not compared"
    sure = [one.chance > 0.5 for one in found if one.p_value < _SURE]
    if sure and all(sure):
        return "pays"
    return "costs" if sure and not any(sure) else "not clear"


def quantile(values: Sequence[float], part: float) -> float:
    """The smallest value that this part of the values does not exceed; infinities may be among them."""
    return float(sorted(values)[max(0, math.ceil(part * len(values) - _ROUNDING) - 1)])


def _reach(costs: Sequence[float], gap: float) -> CostToReach:
    failed = sum(math.isinf(cost) for cost in costs) / len(costs)
    return CostToReach(gap, quantile(costs, 0.5), quantile(costs, 0.9), failed)


def _curve(trajectories: Sequence[Trajectory], budget: float) -> tuple[CurvePoint, ...]:
    """From the first run at the target to the budget, on a logarithmic scale."""
    grid = np.unique(np.geomspace(1.0, budget, _POINTS))
    gaps = np.stack([_gaps(one, grid) for one in trajectories])
    return tuple(
        CurvePoint(float(spent), *(quantile(column, part) for part in (0.5, 0.1, 0.9)))
        for spent, column in zip(grid, gaps.T.tolist(), strict=True)
    )


def _gaps(one: Trajectory, grid: FloatArray) -> FloatArray:
    """Of the best completed run when so much is spent [G]; infinity before the first."""
    known = np.r_[np.nan, one.best]
    best = known[np.searchsorted(one.spent, grid * (1.0 + _ROUNDING), side="right")]
    gap = (best - one.optimum) / (one.median - one.optimum)
    result: FloatArray = np.where(np.isnan(gap), np.inf, gap)
    return result


def _compared(adaptive: Sequence[Trajectory], simple: Sequence[Trajectory], gap: float) -> MethodComparison:
    ours, theirs = ([one.cost_to(gap) for one in trajectories] for trajectories in (adaptive, simple))
    ranks = rankdata([*ours, *theirs])  # infinities are all alike
    mine, other = ranks[: len(ours)], ranks[len(ours) :]
    chance, p_value = 0.5, 1.0
    if np.ptp(ranks) > 0:
        test = mannwhitneyu(mine, other, method="asymptotic")
        chance, p_value = 1.0 - float(test.statistic) / (len(mine) * len(other)), float(test.pvalue)
    return MethodComparison(gap, quantile(ours, 0.5), quantile(theirs, 0.5), chance, p_value)


def _spearman(left: FloatArray, right: FloatArray) -> float:
    """NaN for fewer than three, or where one side does not vary."""
    if len(left) < 3 or not (np.ptp(left) > 0 and np.ptp(right) > 0):
        return math.nan
    return float(np.corrcoef(rankdata(left), rankdata(right))[0, 1])
