"""Do pools of given checkpoints, whole or as adapters, rank real trainings? (``make bench-machines``)

A GPT-2 and a Llama, trained with transformers alone, are the seeds of studies on six domains. Thirty-two
mixtures are really trained from each; merges and ensembles of whole branches and of adapters are compared
with them. Everything lies under ``.bench/machines``: a stopped benchmark goes on where it was. About 30
minutes on two free cores.
"""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from benchmarks import harness
from benchmarks.harness import Cell, Contender, Table
from benchmarks.machines_seeds import Pretrained, Shape, pretrained
from benchmarks.machines_study import BranchKind, MachinesStudy
from cuvee.cli.progress_display import progress_display
from cuvee.execution.interface import Executor
from cuvee.flows.ablation.findings import References
from cuvee.flows.ablation.flow import investigate
from cuvee.honesty.agreement import honesty_report
from cuvee.honesty.evidence import Evidence
from cuvee.honesty.scopes import ALL_REFERENCES, MACRO_IN_POOL, MACRO_OUT_OF_POOL, TARGET, WITHIN_SIZE
from cuvee.merging.pool import FlatPool
from cuvee.merging.registry import merger_of
from cuvee.mixture.mixture import Mixture
from cuvee.progress import Progress
from cuvee.runs.roles import OTHER_RECIPE, REFERENCE
from cuvee.study.opening import opened
from cuvee.study.plan.plan import Plan
from cuvee.study.plan.planned import Planned
from cuvee.study.pooling import ensemble_of, pool_of
from cuvee.study.producers.ensembled import Ensembles
from cuvee.study.producers.merged import Merges
from cuvee.study.producers.trained import Trainings, trained_key
from cuvee.study.producers.weighted import Weighted
from cuvee.study.runner import Runner
from cuvee.types import FloatArray

QUESTION = "Do pools of given checkpoints, whole or as adapters, rank mixtures as really trained models do?"
SHOWN = (
    *((scope, ALL_REFERENCES) for scope in (TARGET, MACRO_IN_POOL, MACRO_OUT_OF_POOL)),
    (TARGET, WITHIN_SIZE),
)
"""Scopes and subsets of references in the table."""
TIMED = 8
"""Merges of each pool that are timed."""


def main() -> None:
    """Run everything and write the tables."""
    with progress_display() as progress:
        harness.write("machines", QUESTION, tables(MachinesStudy.whole(), progress))


def tables(study: MachinesStudy, progress: Progress, executor: Executor | None = None) -> list[Table]:
    """The checkpoints, how far their pools agree with trainings, and what the pools cost."""
    seeds: list[tuple[Cell, ...]] = []
    agreement: list[tuple[Cell, ...]] = []
    pools: list[tuple[Cell, ...]] = []
    for shape in study.shapes:
        seed = pretrained(shape, study.halves, study.seed_folder(shape), study.pretraining, progress)
        seeds += _seed_rows(shape, seed)
        config = study.config(shape, study.kinds[0])
        with opened(config, study.folder(shape), progress, executor) as runner:
            found = investigate(runner).references
            assert found is not None
            made = [_Pool.of(study, shape, kind, runner, found.mixtures) for kind in study.kinds]
            agreement += _agreement_rows(shape, _evidence(found, made))
            pools += [(shape.name, *pool.cells) for pool in made]
    return [_seed_table(study, seeds), _agreement_table(study, agreement), _pool_table(study, pools)]


def _seed_rows(shape: Shape, seed: Pretrained) -> Iterator[tuple[Cell, ...]]:
    facts = seed.facts
    model, unigram = (list(facts[name].values()) for name in ("model", "unigram"))
    yield (
        shape.name,
        facts["parameters"],
        facts["tokens"],
        round(facts["tokens"] / facts["parameters"], 2),
        float(np.mean(model)),
        float(np.mean(unigram)),
        max(ours - theirs for ours, theirs in zip(model, unigram, strict=True)),
    )


@dataclass(frozen=True, eq=False)
class _Pool:
    """What one pool says of the references, and what it costs."""

    kind: BranchKind
    proxies: Mapping[str, FloatArray]
    """Name -> nats per token [R, E]."""
    branch_bytes: int
    """Of what is kept of all branches."""
    seconds: float
    """In which they were trained, summed."""
    merge_seconds: float
    """Of the processor, one merge."""
    own_loss: float
    """Mean loss of the branches, each on the domain that it was trained on, nats per token."""

    @classmethod
    def of(
        cls,
        study: MachinesStudy,
        shape: Shape,
        kind: BranchKind,
        main: Runner,
        mixtures: Sequence[Mixture],
    ) -> "_Pool":
        """Train what is missing of a pool, and score the references by it."""
        plan = replace(main.plan, config=study.config(shape, kind))
        runner, names = replace(main, plan=plan), plan.config.pool_sources
        runs = [
            Planned(run, OTHER_RECIPE, Mixture.vertex(names, member.source))
            for member, run in plan.branches().items()
        ]
        runner.make(Trainings(plan, f"training branches of a {shape.name} ({kind.name})"), runs)
        pool = pool_of(plan, 1)
        weights = np.stack([one.shares for one in mixtures]) @ pool.roster.spread(names)
        requests = Weighted.of(weights, mixtures, [REFERENCE] * len(mixtures))
        ensemble = ensemble_of(plan, pool, runner.executor, runner.progress)
        merged = runner.scores(Merges(plan, f"merge, {kind.name}", pool), requests)
        ensembled = runner.scores(Ensembles(plan, ensemble), requests)
        members = ensemble.members().nats_per_token
        return cls(
            kind,
            {
                f"merge, {kind.name}": merged.nats_per_token,
                f"ensemble, {kind.name}": ensembled.nats_per_token,
            },
            sum(_bytes(one.run.folder) for one in runs),
            _seconds(runner, plan, runs),
            _merge_seconds(plan, pool, weights),
            float(np.mean([members[row, row] for row in range(len(names))])),
        )

    @property
    def cells(self) -> tuple[Cell, ...]:
        """For the table of prices."""
        megabytes = self.branch_bytes / 1e6
        return (self.kind.name, megabytes, self.seconds, 1e3 * self.merge_seconds, self.own_loss)


def _bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _seconds(runner: Runner, plan: Plan, runs: Sequence[Planned]) -> float:
    keys = {trained_key(plan, one.run) for one in runs}
    return sum(seconds for (key, _), seconds in runner.store.seconds().items() if key in keys)


def _merge_seconds(plan: Plan, pool: FlatPool, weights: FloatArray) -> float:
    merger, buffer = merger_of(plan.config.merging.method, pool), torch.empty(pool.size)
    mixed = [row for row in weights if np.count_nonzero(row) > 1][:TIMED]

    def merge_all() -> None:
        for row in mixed:
            merger.merge(pool, row, buffer)

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # a second one that waits takes time of the processor, too
    [timing] = harness.measure([Contender("merges", merge_all)], 3, 1, time.process_time)
    torch.set_num_threads(threads)
    return timing.median / len(mixed)


def _evidence(found: References, pools: Sequence[_Pool]) -> Evidence:
    """The references, with the proxies of all pools in place of the study's own."""
    proxies = {name: losses for pool in pools for name, losses in pool.proxies.items()}
    return replace(found.evidence(), proxies=proxies)


def _agreement_rows(shape: Shape, evidence: Evidence) -> Iterator[tuple[Cell, ...]]:
    for row in honesty_report(evidence, seed=0).rows:
        # One that is the same for all of a group cannot order it.
        if (row.scope, row.subset) in SHOWN and not math.isnan(row.spearman.value):
            low, high = row.spearman.low, row.spearman.high
            yield (
                shape.name,
                row.scope,
                row.subset,
                row.proxy + (" (baseline)" if row.is_baseline else ""),
                row.n,
                f"{row.spearman.value:+.2f} [{low:+.2f}, {high:+.2f}]",
                f"{row.pairs.value:.2f}",
                f"{row.regret.value:.4f}",
                f"{row.ceiling:.3f}",
            )


def _seed_table(study: MachinesStudy, rows: Sequence[tuple[Cell, ...]]) -> Table:
    return Table(
        "Checkpoints",
        (
            *("shape", "parameters", "tokens", "tokens / parameter"),
            *("nats per token, held out", "unigram", "worst domain, model - unigram"),
        ),
        tuple(rows),
        (
            "Trained with transformers alone on half of the documents of "
            f"{len(study.names) + len(study.outside)} domains, saved in bfloat16. Held-out documents, mean "
            "over domains. Unigram: frequencies of the domain itself, which the model is not given.",
        ),
    )


def _agreement_table(study: MachinesStudy, rows: Sequence[tuple[Cell, ...]]) -> Table:
    return Table(
        "Agreement with really trained mixtures",
        (
            *("seed", "scope", "references", "proxy", "n"),
            *("rank correlation [95 %]", "pairs", "regret (nats)", "ceiling"),
        ),
        tuple(rows),
        (
            f"{study.references} mixtures of {len(study.names)} domains, trained whole from the checkpoint, "
            f"{study.replicates} of them twice; branches and references read {study.tokens:,} tokens each. "
            f"`{ALL_REFERENCES}`: their number of parts alone orders most of them; `{WITHIN_SIZE}`: ranked "
            "among equally many parts. Pairs: share in the right order. Regret: nats that the reference that "
            "looks best is worse than the best one. Ceiling: correlation that noise of training permits.",
        ),
    )


def _pool_table(study: MachinesStudy, rows: Sequence[tuple[Cell, ...]]) -> Table:
    rates = "; ".join(f"{kind.name}: {kind.branches['learning_rate']:g}" for kind in study.kinds)
    return Table(
        f"Pools of {len(study.names)} branches",
        (
            *("seed", "branches", "kept, MB", "training, s", "a merge, processor ms"),
            "loss on the own domain, nats per token",
        ),
        tuple(rows),
        (
            "Kept: the folders of all branches, tokenizers included. Training: the sum over branches, "
            f"{study.workers} at a time. Learning rates: {rates}; references {study.learning_rate:g}.",
        ),
    )


if __name__ == "__main__":
    main()
