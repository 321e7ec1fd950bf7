"""Valuation under one honest test: selections retrained, sources valued against trainings, and what it all
costs.

Some two hours on two cores. What is trained lies under ``.bench/valuation``: a stopped benchmark goes on
where it was.
"""

from collections import defaultdict

import numpy as np

from benchmarks.harness import Cell, Table, write
from benchmarks.laws import RUNS
from benchmarks.valuation_acquire import acquire_table
from benchmarks.valuation_cost import million_table, overhead_table, tokenizer_in
from benchmarks.valuation_mixtures import mixtures_table
from benchmarks.valuation_selection import WORK, retraining_table, valued
from benchmarks.valuation_shapley import compared, costs, shapley_table
from benchmarks.valuation_sources import METHODS, SEEDS, TARGETS, SourceCell, agreement
from cuvee.cli.progress_display import progress_display
from cuvee.sources.tokenizer import Tokenizer


def sources_table(tokenizer: Tokenizer) -> Table:
    """Values of eight sources against trainings without each."""
    found: dict[str, list[tuple[float, bool]]] = defaultdict(list)
    for seed in SEEDS:
        cell = SourceCell(tokenizer, seed)
        for target in TARGETS:
            for name in METHODS:
                found[name].append(agreement(cell, target, name))
    rows: list[tuple[Cell, ...]] = []
    for name, cells in found.items():
        ranks = np.array([rank for rank, _ in cells])
        error = float(ranks.std(ddof=1) / np.sqrt(len(ranks)))
        best = f"{sum(right for _, right in cells)}/{len(cells)}"
        span = f"{ranks.min():.2f} to {ranks.max():.2f}"
        rows.append((name, len(cells), round(float(ranks.mean()), 2), f"± {1.96 * error:.2f}", span, best))
    return Table(
        "Which of eight sources would be missed",
        ("by", "cells", "mean rank correlation", "95%", "range", "best source right"),
        tuple(rows),
        (
            "Against the rise of the target's loss without each source, by training. Goals: mean at least "
            ".75 over nine cells, best source in eight of nine, above n-grams.",
        ),
    )


def main() -> None:
    """Run all of it."""
    if not RUNS.is_dir():
        raise SystemExit(f"{RUNS.parent} is not there; set CUVEE_SHARED to the folder that holds corpus/")
    tokenizer = tokenizer_in(WORK / "tokenizer")
    with progress_display() as progress:
        tables = [
            overhead_table(),
            sources_table(tokenizer),
            retraining_table(valued(progress)),
            shapley_table(list(compared(progress))),
            costs(progress),
            mixtures_table(progress),
            acquire_table(progress),
            million_table(WORK / "tokenizer"),
        ]
    write(
        "valuation",
        "Do values of documents and sources survive retraining, and what do they cost? Every method stands "
        "beside n-grams (DSIR) and random values; rows are as they came out.",
        [*tables[2:3], *tables[1:2], *tables[3:], tables[0]],
    )


if __name__ == "__main__":
    main()
