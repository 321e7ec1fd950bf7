"""What ways to search cost until a good mixture is trained, what the surrogate predicts, how long asks take.

The plays (``search_plays.py``, about an hour on two cores) and the real searches (``search_study.py``,
another hour) lie under ``.bench``: a stopped benchmark goes on where it was.
"""

import math
import time
from collections.abc import Mapping, Sequence

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.harness import Cell, Table, write
from benchmarks.laws import RUNS
from benchmarks.search_kinds import kinds
from benchmarks.search_plays import (
    BUDGETS,
    MARKS,
    RESAMPLED,
    SETTINGS,
    Play,
    Setting,
    everything,
    scale_of,
    true_costs,
)
from benchmarks.search_study import compared
from benchmarks.search_tables import random_costs, simulator, tables
from cuvee.cli.progress_display import progress_display
from cuvee.laws.effective_data import EffectiveData
from cuvee.laws.interface import UNKNOWN_SCALE, LawData, own_sources
from cuvee.search.initial_design import InitialDesign
from cuvee.search.methods.cost_aware import CostAware
from cuvee.search.proposer import History
from cuvee.search.replay import Replay
from cuvee.search.space import Experiment, Space
from cuvee.search.surrogate import Surrogate
from cuvee.search.trajectory import Trajectory
from cuvee.search.trials import Trials
from cuvee.types import FloatArray

ORDERS = 1000
"""Random orders of the pool for each objective."""
SPLITS = 10
NORMAL_90 = 1.645
OBSERVED = (100, 500)
BATCH = 4
SHOWN = ("cost_aware", "transfer", "expected_improvement", "mfms")
"""Whose figures are listed by objective."""

Plays = Mapping[Play, Trajectory]


def of_setting(setting: Setting, plays: Plays) -> Table:
    """Every method, over all objectives and seeds."""
    rows: list[tuple[Cell, ...]] = []
    names = list(setting.objectives())
    for method in setting.methods:
        scores = [_scores(setting, name, method, plays) for name in names]
        costs = [np.concatenate([one[0][mark] for one in scores]) for mark in range(len(MARKS))]
        regrets = [np.concatenate([one[1][place] for one in scores]) for place in range(len(BUDGETS))]
        cells: list[Cell] = [method, len(costs[0]) if method != RESAMPLED else f"{len(names)} x {ORDERS}"]
        for cost in costs:
            cells += [_cost(cost, 0.5), _cost(cost, 0.9), f"{np.isinf(cost).mean():.0%}"]
        cells += [f"{_quantile(one, 0.5):.2f} [{_quantile(one, 0.9):.2f}]" for one in regrets]
        rows.append(tuple(cells))
    return Table(
        setting.title,
        (
            "method", "plays", "cost to 10 %", "90th pct", "never", "cost to 1 %", "90th pct", "never",
            *(f"regret at {budget:g}" for budget in BUDGETS),
        ),
        tuple(rows),
        (
            f"{len(names)} objectives ({', '.join(names)}), {len(setting.seeds)} seeds each; at most "
            f"{setting.budget:g} target runs are spent. Never: not within that budget. A regret of inf: "
            f"nothing could be trained within that.{setting.note}",
        ),
    )  # fmt: skip


def by_objective(plays: Plays) -> Table:
    """Medians of some methods, one objective at a time."""
    rows: list[tuple[Cell, ...]] = []
    for setting in SETTINGS.values():
        for name in setting.objectives():
            cells: list[Cell] = [setting.name, name]
            for method in SHOWN:
                if method not in setting.methods:
                    cells.append(None)
                    continue
                costs, _ = _scores(setting, name, method, plays)
                lost = np.isinf(costs[-1]).mean()
                cells.append(" / ".join(_cost(one, 0.5) for one in costs) + (f" ({lost:.0%})" * bool(lost)))
            rows.append(tuple(cells))
    return Table(
        "By objective: median cost to 10 % / 1 % (share that never came to 1 %)",
        ("benchmark", "objective", *SHOWN),
        tuple(rows),
    )


def _scores(
    setting: Setting, objective: str, method: str, plays: Plays
) -> tuple[list[FloatArray], list[FloatArray]]:
    """Costs to each mark [marks][n], and regrets at each budget [budgets][n]."""
    if method == RESAMPLED:
        return _of_random_orders(setting, objective)
    mine = [plays[Play(setting.name, objective, method, seed)] for seed in setting.seeds]
    costs = [np.array([one.cost_to(mark) for one in mine]) for mark in MARKS]
    return costs, [np.array([one.regret(budget) for one in mine]) for budget in BUDGETS]


def _of_random_orders(setting: Setting, objective: str) -> tuple[list[FloatArray], list[FloatArray]]:
    weights, costs, scale = (
        setting.objectives()[objective],
        true_costs(setting.name, objective),
        scale_of(setting, objective),
    )
    found = []
    for mark in MARKS:
        runs = random_costs(setting.benchmark(), weights, mark, ORDERS, 0).astype(np.float64)
        found.append(np.where(runs <= setting.budget, runs, math.inf))
    rng = np.random.default_rng(0)
    drawn = [
        np.array([costs[rng.permutation(len(costs))[: int(budget)]].min() for _ in range(ORDERS)])
        for budget in BUDGETS
    ]
    return found, [(one - scale.best) / (scale.median - scale.best) for one in drawn]


def _quantile(values: FloatArray, part: float) -> float:
    """One of the values, the higher of two; infinity stays."""
    return float(np.quantile(values, part, method="higher"))


def _cost(values: FloatArray, part: float) -> str:
    found = _quantile(values, part)
    return "never" if math.isinf(found) else f"{found:.2f}"


def surrogate() -> Table:
    """Foretelling the 60M table from some of its runs."""
    replay = tables().replay
    pool, target = replay.reference(), replay.space.target
    true = replay.truth(pool)
    weights = np.full(len(replay.metrics), 1.0 / len(replay.metrics))
    one = replay.metrics.index("pile_cc")
    rows: list[tuple[Cell, ...]] = []
    for count in (24, 64):
        mean, single, inside = [], [], []
        for seed in range(SPLITS):
            order = np.random.default_rng(seed).permutation(len(pool))
            observed, rest = order[:count], order[count:]
            trials = Trials(replay.metrics, pool[observed], np.full(count, target), true[observed])
            believed = Surrogate.of(History(replay.space, weights, trials))
            places = believed.places(pool[rest], np.full(len(rest), target))
            missed = believed.mean(places) - true[rest]
            _, variance, _ = believed.covariances(places, places.select(np.arange(1)))
            deviation = np.sqrt(variance + believed.noise(places.kind)).T
            inside.append(np.mean(np.abs(missed) < NORMAL_90 * deviation))
            mean.append(_relative(missed @ weights, true[rest] @ weights))
            single.append(_relative(missed[:, one], true[rest][:, one]))
        rows.append((count, float(np.mean(mean)), float(np.mean(single)), f"{np.mean(inside):.0%}"))
    return Table(
        "The surrogate: RegMix's other 60M runs predicted",
        ("60M runs", "relative error, mean of 13", "relative error, Pile-CC", "in 90 % intervals"),
        tuple(rows),
        (
            f"Root mean squared errors in standard deviations of what is predicted; means over {SPLITS} "
            "splits. The intervals are those of all 13 metrics. Goals: .37, then .22; 85 to 95 %.",
        ),
    )


def _relative(missed: FloatArray, true: FloatArray) -> float:
    return float(np.sqrt((missed**2).mean()) / true.std())


def asks() -> Table:
    """Seconds for a batch, once many experiments are known."""
    rows: list[tuple[Cell, ...]] = []
    for name, replay, weights in _continuous():
        for count in OBSERVED:
            seconds = []
            for seed in range(3):
                history = _observed(replay, weights, count, seed)
                with threadpool_limits(limits=1):  # as in a study: more cost more in waking than they give
                    begin = time.perf_counter()
                    CostAware().ask(history, BATCH, seed)
                    seconds.append(time.perf_counter() - begin)
            rows.append((name, count, round(float(np.median(seconds)), 2), round(max(seconds), 2)))
    return Table(
        f"Seconds to ask for {BATCH} experiments",
        ("search", "observations", "median", "longest of 3"),
        tuple(rows),
        ("Every metric has a weight; one thread. Goals: 3 s at 100 observations, 15 s at 500.",),
    )


def _continuous() -> Sequence[tuple[str, Replay, FloatArray]]:
    """The two arenas with every mixture to choose from; the tables through a law fitted to them."""
    recipes, regmix = simulator().replay, tables().replay
    five, many = (
        Space(one.space.region, one.space.fidelities, one.space.target, None) for one in (recipes, regmix)
    )
    pool = regmix.reference()
    own = own_sources(regmix.metrics, many.sources)
    law = EffectiveData().fit(
        LawData(many.sources, regmix.metrics, pool, regmix.truth(pool), UNKNOWN_SCALE, own)
    )
    return (
        (
            "5 sources, 10 metrics, 21 fidelities",
            Replay(five, recipes.metrics, recipes.answers),
            np.full(10, 0.1),
        ),
        ("17 sources, 13 metrics, 2 fidelities", Replay.of_law(law, many, 0.01), np.full(13, 1 / 13)),
    )


def _observed(replay: Replay, weights: FloatArray, count: int, seed: int) -> History:
    """Random mixtures: a third at each fidelity of the initial design, which is then over; a third at any."""
    space, rng = replay.space, np.random.default_rng(seed)
    method = CostAware()
    design = InitialDesign.of(space, method.first, method.second, method.opening)
    fidelities = rng.integers(len(space.fidelities), size=count)
    fidelities[: count // 3], fidelities[count // 3 : 2 * count // 3] = design.far, design.near
    shares = space.drawn(count, rng).tolist()
    asked = [Experiment(tuple(row), int(fidelity)) for row, fidelity in zip(shares, fidelities, strict=True)]
    trials = Trials.none(space, replay.metrics).plus(asked, replay.measure(asked))
    return History(space, weights, trials)


def main() -> None:
    """Run all of it."""
    if not RUNS.is_dir():
        raise SystemExit(f"{RUNS} is not there; set CUVEE_SHARED to the folder that holds runs/")
    found = [surrogate(), asks()]
    with progress_display() as progress:
        plays = everything(progress)
        real, finals = compared(progress)
        found += [real, *kinds(finals, progress)]
    write(
        "search",
        "What does a search cost, in runs at the target, until a good mixture is trained? Every experiment "
        "is charged; a mixture is good when its completed target run is within 10 % or 1 % of (median - "
        "best) above the best of the pool. Regret is that of the mixture that would be trained if the "
        "budget ended there, with that run paid, in units of median - best.",
        [*(of_setting(one, plays) for one in SETTINGS.values()), by_objective(plays), *found],
    )


if __name__ == "__main__":
    main()
