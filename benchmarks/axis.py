"""What a search's surrogate says beyond tokens that all runs have: ranks as evidence grows, and intervals.

Before: the law carries each source's own power in tokens to the target. Now: it is held where the runs are
(``search/reach.py``). Seeds 20 to 39 were not used while this was made. Some minutes on one core.
"""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
from scipy.stats import spearmanr
from threadpoolctl import threadpool_limits

from benchmarks.harness import Cell, Table, write
from benchmarks.laws import RUNS
from benchmarks.search_plays import SEEDS
from benchmarks.search_tables import Benchmark
from benchmarks.search_unspanned import moving, observed, unspanned_simulator, unspanned_tables
from cuvee.search.surrogate import Surrogate
from cuvee.types import FloatArray

NORMAL_90 = 1.645
TABLES = (
    (16, 0, 0),
    (24, 8, 0),
    (64, 0, 0),
    (64, 16, 0),
    (24, 8, 1),
    (24, 8, 4),
    (24, 8, 8),
    (24, 8, 16),
    (64, 16, 16),
)
"""Runs at 1M, at 60M and at the target that are given."""
SIMULATOR = ((16, 0, 0), (24, 0, 8), (24, 8, 0), (64, 0, 0), (64, 0, 16), (64, 16, 16))
"""At 20M, 60M and 150M."""


@dataclass(frozen=True)
class Predicted:
    """One surrogate, and the mixtures it was not given."""

    rank: float
    """Spearman's correlation of the mean of all metrics with the truth."""
    each: float
    """Of single metrics, their mean."""
    inside: float
    """Share of truths in intervals of 90 %."""


def predicted(benchmark: Benchmark, counts: tuple[int, ...], seed: int, before: bool) -> Predicted:
    """Given so many runs at each level, asked for the target."""
    with moving() if before else nullcontext():
        history, rest = observed(benchmark, counts, seed)
        believed = Surrogate.of(history, seed=seed)
        places = believed.places(rest, np.full(len(rest), history.space.target))
        mean, true = believed.mean(places), benchmark.replay.truth(rest)
        _, variance, _ = believed.covariances(places, places.select(np.arange(1)))
    deviation = np.sqrt(variance + believed.noise(places.kind)).T
    return Predicted(
        _rank(mean @ history.weights, true @ history.weights),
        float(np.mean([_rank(*pair) for pair in zip(mean.T, true.T, strict=True)])),
        float(np.mean(np.abs(mean - true) < NORMAL_90 * deviation)),
    )


def _rank(one: FloatArray, other: FloatArray) -> float:
    return float(spearmanr(one, other).statistic)


def as_evidence_grows(
    title: str, benchmark: Benchmark, names: Sequence[str], evidence: Sequence[tuple[int, ...]], note: str
) -> Table:
    """Before and now, for more and more runs."""
    rows: list[tuple[Cell, ...]] = []
    for counts in evidence:
        cells: list[Cell] = [*counts]
        for before in (True, False):
            found = [predicted(benchmark, counts, seed, before) for seed in SEEDS]
            cells += [
                _shown([one.rank for one in found]),
                _shown([one.each for one in found]),
                f"{np.mean([one.inside for one in found]):.0%}",
            ]
        rows.append(tuple(cells))
    measures = ("rank", "of single metrics", "in 90 % intervals")
    columns = (*names, *(f"{what}, {when}" for when in ("before", "now") for what in measures))
    return Table(title, columns, tuple(rows), (note,))


def _levels_themselves(benchmark: Benchmark, count: int) -> str:
    """How all runs of a level order the pool."""
    replay = benchmark.replay
    pool, target = replay.reference(), replay.space.target
    costs = [replay.answers(pool, level).mean(axis=1) for level in (*range(count), target)]
    ranks = ", ".join(f"{_rank(one, costs[-1]):.2f}" for one in costs[:-1])
    return f"Given all mixtures at one of these sizes, one would know their order at the target to {ranks}."


def _shown(values: Sequence[float]) -> str:
    return f"{np.median(values):.3f} [{np.quantile(values, 0.1):.3f}]"


def main() -> None:
    """Run all of it."""
    if not RUNS.is_dir():
        raise SystemExit(f"{RUNS} is not there; set CUVEE_SHARED to the folder that holds runs/")
    found: list[Table] = []
    asked: Sequence[Callable[[], Table]] = (
        lambda: as_evidence_grows(
            "RegMix's tables: 1B and 25B tokens from runs of 1.05B",
            unspanned_tables(),
            ("1M runs", "60M runs", "target runs"),
            TABLES,
            "The target is pretended: it measures what the 60M runs did, 15 % lower.",
        ),
        lambda: as_evidence_grows(
            "The simulator: 1B and 20.7B tokens from runs of 6.3B",
            unspanned_simulator(),
            ("20M runs", "60M runs", "150M runs"),
            SIMULATOR,
            f"The target is the simulator's own. {_levels_themselves(unspanned_simulator(), 3)}",
        ),
    )
    with threadpool_limits(limits=1):
        found = [one() for one in asked]
    write(
        "axis",
        "Does a surrogate order mixtures better the more runs it is given, where all of them have fewer "
        "tokens than the target? Spearman's correlation with the truth of all mixtures of the pool that it "
        f"was not given; median [tenth percentile] of {len(SEEDS)} seeds. Before: a law of scale carried "
        "each source's own power in tokens to the target.",
        found,
    )


if __name__ == "__main__":
    main()
