"""What searches are played against: RegMix's published runs, and the simulator of the Data Recipes authors.

Both lie in the folder that ``CUVEE_SHARED`` names (default ``../shared``). Pools are finite: the best mixture
is the best of the pool. One unit of cost is one run at the target.

Tables (A): 256 mixtures of 17 sources, each run at 1M and at 60M parameters (Liu et al., arXiv 2407.01492).
Simulator (C): a network over 7 sizes and all steps, fitted to 472 runs (Yen et al., arXiv 2503.21023). Every
size reads 512 x 1024 tokens a step and 1B twice as many; costs are those of ``flops_dataset.csv``. Its best
mixtures lie near corners, so 300 of the 2,000 of its pool are sparse.
Study (D): one of our own, the only one here that has merges and ensembles.
"""

import csv
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
from scipy.stats import spearmanr

from benchmarks.ablation_study import OUTSIDE, POOL, REFERENCES, WORK, config
from benchmarks.laws import RUNS, table
from cuvee.flows.ablation import flow as ablation
from cuvee.flows.simulate.table import read_table
from cuvee.mixture.region import Region
from cuvee.runs.metric_names import NATS
from cuvee.runs.store import RunStore
from cuvee.search.replay import Replay
from cuvee.search.space import Fidelity, Space
from cuvee.study.file.folder import StudyFolder
from cuvee.types import FloatArray, IntArray

SMALL_COST = 0.144
"""Of a 1M run in 60M runs, with the head of the language model (RegMix's configurations)."""

SIZES = (20, 60, 150, 300, 500, 700, 1000)
"""Million parameters of the simulator's models."""
SHORT_STEPS = tuple(range(100, 1000, 100))
LONG_STEPS = (6_000, 12_000, 19_700)
DOMAINS = ("CommonCrawl", "C4", "Wikipedia", "StackExchange", "Github", "ArXiv", "Book")
TASKS = ("Hellaswag", "PIQA", "ARC-Easy")
TRAINED = ("Wikipedia", "StackExchange", "Github", "ArXiv", "Book")

_CONTEXT = 1024
_BATCH = 512  # twice as much at 1B
_LAYERS = (0, 3, 6, 9)
_EVEN, _SPARSE, _SPARSE_ALPHA = 1700, 300, 0.2

Objectives = Mapping[str, FloatArray]
"""Weights of the metrics [E] by name."""


@dataclass(frozen=True, eq=False)
class Benchmark:
    """A replay with what is to be minimised in it."""

    name: str
    replay: Replay
    development: Objectives
    """Methods may be tuned on these."""
    fresh: Callable[[int], Objectives]
    """Others, from a seed; where they are fixed it changes nothing."""


@cache
def tables() -> Benchmark:
    """A: 256 mixtures that were run at both sizes; Pile-CC, the mean of 13 losses, and weightings of them."""
    small = table("regmix_1m").where(split="test").observations
    large = table("regmix_60m").observations
    target = ("imported", float(large.params[0]), float(large.tokens[0]))
    cheap = ("imported", float(small.params[0]), float(small.tokens[0]))
    price = 6.0 * target[1] * target[2]
    replay = Replay.of_tables(small + large, target=target, flops={cheap: SMALL_COST * price, target: price})
    count = len(replay.metrics)
    fixed = {
        "Pile-CC": np.eye(count)[replay.metrics.index("pile_cc")],
        "mean of 13": np.full(count, 1.0 / count),
    }
    return Benchmark("tables", replay, fixed | _weightings(count, 3, 0), partial(_weightings, count, 5))


@cache
def simulator(
    steps: tuple[int, ...] = LONG_STEPS,
    sizes: tuple[int, ...] = SIZES,
    curves: bool = False,
    seed: int = 0,
) -> Benchmark:
    """C: 2,000 mixtures of 5 trained sources; losses of 7 domains and errors of 3 tasks.

    Args:
        steps: of the fidelities; 19,700 is the target's.
        sizes: of the fidelities, million parameters; 1000 is the target's.
        curves: runs also measure their checkpoints.
        seed: of the pool.
    """
    pairs = [(size, step) for size in sizes for step in steps]
    flops = _flops_per_step()
    fidelities = tuple(
        Fidelity("trained", size * 1e6, step * tokens_per_step(size), flops[size] * step)
        for size, step in pairs
    )
    rng = np.random.default_rng(seed)
    even = rng.dirichlet(np.ones(len(TRAINED)), _EVEN)
    sparse = rng.dirichlet(np.full(len(TRAINED), _SPARSE_ALPHA), _SPARSE)
    target = pairs.index((SIZES[-1], LONG_STEPS[-1]))
    space = Space(Region.simplex(TRAINED), fidelities, target, np.concatenate([even, sparse]), curves=curves)
    places = np.array(pairs, dtype=np.float64)
    replay = Replay(space, (*DOMAINS, *TASKS), partial(_simulated, places))
    one = dict(zip(replay.metrics, np.eye(len(replay.metrics)), strict=True))
    mean = np.array([1.0 / len(DOMAINS)] * len(DOMAINS) + [0.0] * len(TASKS))
    development = {name: one[name] for name in ("CommonCrawl", "StackExchange", *TASKS)} | {"mean of 7": mean}
    held_out = {name: one[name] for name in DOMAINS if name not in development}
    return Benchmark("simulator", replay, development, lambda _: held_out)


@cache
def study(proxies: bool) -> Benchmark:
    """D: the study of ``make bench-ablation``, its trained mixtures and, if so, their merges and ensembles.

    Only what was trained can be asked for at the target. The study is carried out, or gone on with, where its
    store does not have all references (35 minutes on two cores).
    """
    folder = StudyFolder(WORK)
    with RunStore(folder.store) as store:
        trained = store.runs(kind="trained", role="reference")
    if len(trained) < REFERENCES:
        ablation.run(config(), folder)
    runs = read_table([WORK], {}).observations
    kinds = ["trained", *(("merged", "ensembled") if proxies else ())]
    runs = runs.select(np.isin(runs.kind, kinds))
    sizes = zip(runs.kind, runs.params.tolist(), runs.tokens.tolist(), strict=True)
    replay = Replay.of_tables(runs, flops=dict(zip(sizes, runs.flops.tolist(), strict=True)))
    names = [name.removeprefix(NATS) for name in replay.metrics]

    def mean_of(chosen: tuple[str, ...]) -> FloatArray:
        return np.array([float(name in chosen) / len(chosen) for name in names])

    objectives = {
        "eight domains": mean_of((*POOL, *OUTSIDE)),
        "the six of the pool": mean_of(POOL),
        "the two others": mean_of(OUTSIDE),
    }
    return Benchmark("study", replay, {}, lambda _: objectives)


def tokens_per_step(size: int) -> float:
    """Of the simulator's runs."""
    return float(_BATCH * _CONTEXT * (2 if size == SIZES[-1] else 1))


def random_costs(
    benchmark: Benchmark, weights: FloatArray, fraction: float, draws: int, seed: int
) -> IntArray:
    """Target runs in random order until one is good enough, for each of many orders [draws]."""
    replay = benchmark.replay
    true = replay.truth(replay.reference()) @ weights
    good = true <= true.min() + fraction * (np.median(true) - true.min())
    rng = np.random.default_rng(seed)
    return np.array([1 + int(np.argmax(good[rng.permutation(len(good))])) for _ in range(draws)])


def facts() -> Iterable[str]:
    """How far the cheapest full runs agree with the target, and what random search costs."""
    for one in (tables(), simulator()):
        replay, target = one.replay, one.replay.space.target
        pool = replay.reference()
        longest = max(fidelity.tokens for fidelity in replay.space.fidelities[:-1] if fidelity.params < 3e7)
        cheap = next(i for i, one in enumerate(replay.space.fidelities) if one.tokens == longest)
        small, large = replay.answers(pool, cheap), replay.answers(pool, target)
        for name, weights in one.development.items():
            rank = spearmanr(small @ weights, large @ weights).statistic
            costs = [float(np.median(random_costs(one, weights, f, 400, 0))) for f in (0.1, 0.01)]
            yield f"{one.name}, {name}: rank {rank:.3f}, random to 10 % {costs[0]:g}, to 1 % {costs[1]:g}"
        pooled = [
            float(
                np.median(np.concatenate([random_costs(one, w, f, 400, 0) for w in one.development.values()]))
            )
            for f in (0.1, 0.01)
        ]
        yield f"{one.name}, all development objectives: random to 10 % {pooled[0]:g}, to 1 % {pooled[1]:g}"


def _weightings(metrics: int, count: int, seed: int) -> dict[str, FloatArray]:
    rng = np.random.default_rng(seed)
    return {f"weighting {seed}.{i}": row for i, row in enumerate(rng.dirichlet(np.ones(metrics), count))}


@cache
def _network() -> dict[str, FloatArray]:
    with np.load(RUNS / "data_recipes_simulator" / "simulator.npz") as stored:
        return {name: stored[name].astype(np.float64) for name in stored.files}


def _simulated(places: FloatArray, shares: FloatArray, fidelity: int) -> FloatArray:
    """Costs [m, 10] of mixtures [m, 5] at a size and step [L, 2]; accuracies as errors."""
    net = _network()
    used = net["feature_mask"].astype(bool)
    asked = np.column_stack([shares, np.broadcast_to(places[fidelity], (len(shares), 2))])
    hidden = (asked - net["X_mean"][used]) / net["X_std"][used]
    for layer in _LAYERS:
        hidden = hidden @ net[f"layers_{layer}_weight"].T + net[f"layers_{layer}_bias"]
        if layer != _LAYERS[-1]:
            hidden = np.maximum(hidden, 0.0)
    losses = hidden * net["y_std"] + net["y_mean"]
    result: FloatArray = np.hstack([losses[:, 1:8], 1.0 - losses[:, 8:]])  # the first is the training loss
    return result


@cache
def _flops_per_step() -> dict[int, float]:
    """By size in million parameters; the file's unit is taken for 10^9 operations."""
    found: dict[int, float] = {}
    with (RUNS / "data_recipes_simulator" / "flops_dataset.csv").open(encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            size = 1000 if row["model_size"] == "1B" else int(row["model_size"].removesuffix("M"))
            found[size] = 1e9 * float(row["flops"]) / float(row["step"])
    return found


if __name__ == "__main__":
    print("\n".join(facts()))
