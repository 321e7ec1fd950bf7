"""Which method of merging ranks real trainings best? (``make bench-mergers``)

The pool and the references of ``make bench-ablation``: six branches of 1.3M parameters, 32 mixtures really
trained, two domains outside the pool. All models lie under ``.bench/ablation``, so this takes some minutes
where that benchmark was run and as long as its trainings where it was not; what is scored is kept beside
them, so it can be stopped and gone on with.

Every method merges the same weights and is scored on the same windows: an eighth, with what is missing
estimated by the ensemble (``cuvee.evaluation.race``), as candidates of a study are.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from benchmarks import harness
from benchmarks.ablation_study import WORK, config
from benchmarks.harness import Cell, Contender, Table
from cuvee.cli.progress_display import progress_display
from cuvee.evaluation.ensemble import Ensemble
from cuvee.evaluation.race import completed, part_windows
from cuvee.evaluation.scoring import score_merges
from cuvee.flows.ablation.flow import investigate
from cuvee.hashing import digest
from cuvee.honesty.agreement import HonestyReport, honesty_report
from cuvee.honesty.evidence import Evidence
from cuvee.honesty.proxy_choice import choose_proxy
from cuvee.merging.fisher import DiagonalFisher
from cuvee.merging.interface import Merger
from cuvee.merging.linear import LinearMerge
from cuvee.merging.pool import FlatPool
from cuvee.merging.price import extra_flops, statistics_bytes
from cuvee.merging.registry import DIAGONAL_FISHER, LINEAR, REGMEAN
from cuvee.merging.regmean import RegMean
from cuvee.merging.statistics import Statistics
from cuvee.study.file.folder import StudyFolder
from cuvee.study.file.settings import MergingSettings
from cuvee.study.opening import opened
from cuvee.study.plan.plan import Plan
from cuvee.study.plan.statistics_job import WINDOWS
from cuvee.study.producers.member_statistics import measured_statistics, statistics_paths
from cuvee.study.runner import Runner
from cuvee.types import FloatArray

KEPT = WORK / "mergers"
TIMED = 8
"""Merges of each method that are timed."""
ENSEMBLE = "ensemble"


@dataclass(frozen=True)
class Contestant:
    """One way to merge."""

    name: str
    method: str
    merger: Merger


CONTESTANTS = (
    Contestant("linear", LINEAR, LinearMerge()),
    Contestant("RegMean, a = 0.1", REGMEAN, RegMean(alpha=0.1)),
    Contestant("RegMean, a = 0.9", REGMEAN, RegMean(alpha=0.9)),
    Contestant("diagonal Fisher", DIAGONAL_FISHER, DiagonalFisher()),
)


def main() -> None:
    """Score, compare with the trainings, and write the tables."""
    with progress_display() as progress, opened(config(), StudyFolder(WORK), progress) as runner:
        found = investigate(runner)
        assert found.references is not None
        evidence = found.references.evidence()
        weights = evidence.shares @ found.pool.roster.spread(evidence.sources)
        proxies, prices = {}, []
        for one in CONTESTANTS:
            pool = _measured(runner, found.pool, one.method)
            proxies[one.name] = _losses(runner, pool, found.ensemble, one, weights)
            prices.append(_price(runner.plan, pool, one, weights))
        proxies[ENSEMBLE] = found.ensemble.score(weights).nats_per_token
        report = honesty_report(replace(evidence, proxies=proxies), seed=0)
        tables = [
            _agreement(report),
            _each(report, evidence),
            _calibrated(evidence, proxies),
            _levels(evidence, proxies),
            _prices(prices),
        ]
    harness.write("mergers", "Which method of merging ranks real trainings best?", tables)


def _measured(runner: Runner, pool: FlatPool, method: str) -> FlatPool:
    """The pool with what the method needs."""
    merging = MergingSettings.model_validate({"method": method})
    changed = runner.plan.config.model_copy(update={"merging": merging})
    plan = replace(runner.plan, config=changed)
    for _ in measured_statistics(plan, pool.roster, runner.executor, runner.progress):
        pass
    paths = statistics_paths(plan, pool.roster)
    return pool.measured(Statistics.open(pool.roster, paths)) if paths else pool


def _losses(
    runner: Runner, pool: FlatPool, ensemble: Ensemble, one: Contestant, weights: FloatArray
) -> FloatArray:
    """Nats per token of merges [R, E]; kept."""
    key = [pool.roster.key, runner.plan.evaluations, weights.tolist(), repr(one.merger), WINDOWS]
    path = KEPT / f"{digest(key)}.npy"
    if path.exists():
        return np.asarray(np.load(path))
    runner.progress.stage(f"scoring merges ({one.name})", len(weights), "merges")
    part = runner.plan.bench.part()
    scores = score_merges(part, pool, one.merger, weights, lambda: runner.progress.advance(1))
    on_part = ensemble.select(runner.plan.bench.evaluator(), part_windows(runner.plan.bench.evaluator()))
    losses = completed(scores, on_part.score(weights), ensemble.score(weights)).nats_per_token
    _keep(path, losses)
    return losses


def _keep(path: Path, losses: FloatArray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".part").open("wb") as file:
        np.save(file, losses)
    path.with_suffix(".part").replace(path)


def _price(plan: Plan, pool: FlatPool, one: Contestant, weights: FloatArray) -> tuple[Cell, ...]:
    """Seconds of processor a merge, FLOPs by formula, and what is kept for it."""
    buffer = torch.empty(pool.size)
    mixed = [row for row in weights if np.count_nonzero(row) > 1][:TIMED]

    def merge_all() -> None:
        for row in mixed:
            one.merger.merge(pool, row, buffer)

    [timing] = harness.measure([Contender(one.name, merge_all)], 3, 1, time.process_time)
    model, members = plan.model.build(), len(pool.roster.members)
    return (
        one.name,
        timing.median / len(mixed),
        2.0 * pool.bank.numel() + extra_flops(one.method, model, members),
        statistics_bytes(one.method, model, members) / 1e6,
    )


def _agreement(report: HonestyReport) -> Table:
    """Means over evaluations."""
    scopes = ("macro in-pool", "macro out-of-pool", "target")
    rows: list[tuple[Cell, ...]] = [
        (
            row.proxy + (" (baseline)" if row.is_baseline else ""),
            row.scope,
            row.subset,
            row.n,
            f"{row.spearman.value:+.2f} [{row.spearman.low:+.2f}, {row.spearman.high:+.2f}]",
            f"{row.pearson.value:+.2f}",
            f"{row.pairs.value:.2f}",
            f"{row.slope:.2f}",
            f"{row.regret.value:.4f}",
            f"{row.ceiling:.3f}",
        )
        for row in report.rows
        if row.scope in scopes
    ]
    return Table(
        "Agreement with really trained mixtures",
        ("proxy", "scope", "references", "n", "rank correlation", "r", "pairs", "slope", "regret", "ceiling"),
        tuple(rows),
        (
            "Rank correlation with its interval over resampled references; pairs: share of pairs in the "
            "right order; regret: nats per token that the reference which looks best is worse than the best "
            "one; ceiling: correlation that training noise leaves possible.",
        ),
    )


def _each(report: HonestyReport, evidence: Evidence) -> Table:
    """Rank correlations by evaluation."""
    names = [one.name for one in CONTESTANTS] + [ENSEMBLE]
    rows: list[tuple[Cell, ...]] = [
        (name, *(f"{report.row(name, one).spearman.value:+.2f}" for one in evidence.evaluations))
        for name in names
    ]
    return Table(
        "Rank correlation by evaluation, all references", ("proxy", *evidence.evaluations), tuple(rows)
    )


def _calibrated(evidence: Evidence, proxies: dict[str, FloatArray]) -> Table:
    """What is left to predict once the references have taught a calibrator what the proxies miss."""
    rows: list[tuple[Cell, ...]] = []
    for name in (one.name for one in CONTESTANTS):
        for names in ((name,), (name, ENSEMBLE), tuple(dict.fromkeys(("linear", name, ENSEMBLE)))):
            choice = choose_proxy(replace(evidence, proxies={one: proxies[one] for one in names}), seed=0)
            best = next(one for one in choice.errors if one.name == choice.name)
            rows.append((" + ".join(names), choice.name, best.target, best.target_spearman))
    unique = tuple(dict.fromkeys(rows))
    return Table(
        "Left-out errors of calibrated proxies on the target, nats per token",
        ("proxies", "calibrator that is taken", "left-out error", "rank correlation"),
        unique,
        ("With linear merges beside a method stands what a study has that merges by it.",),
    )


def _levels(evidence: Evidence, proxies: dict[str, FloatArray]) -> Table:
    """How far the losses themselves are off."""

    def of(losses: FloatArray) -> Iterator[float]:
        difference = losses - evidence.truth
        yield float(difference.mean())
        yield float((difference - difference.mean(axis=0)).std())
        yield float(losses[:, evidence.in_pool].std(axis=0).mean())

    rows: list[tuple[Cell, ...]]
    rows = [(name, *(round(value, 4) for value in of(losses))) for name, losses in proxies.items()]
    spread = round(float(evidence.truth[:, evidence.in_pool].std(axis=0).mean()), 4)
    rows.append(("really trained", 0.0, 0.0, spread))
    return Table(
        "Losses of merges beside those of trainings, nats per token",
        ("proxy", "mean difference", "spread of differences", "spread over mixtures, in pool"),
        tuple(rows),
    )


def _prices(rows: list[tuple[Cell, ...]]) -> Table:
    return Table(
        "Price of a merge",
        ("method", "processor seconds", "FLOPs", "statistics of the pool, MB"),
        tuple(rows),
        (f"Of mixtures of two sources or more, on one core. Statistics are of {WINDOWS} windows a branch.",),
    )


if __name__ == "__main__":
    main()
