"""Are Shapley values of sources by merges those of really trained subsets? Five sources, all 32 coalitions.

A study for each seed: merges and ensembles of five branches say what every coalition loses on a target, and
so do models really trained on it (from the same seed model, on as many tokens as a branch). In-run values by
source stand beside them. Costs are FLOPs by formula, the seed model counted on both sides.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from benchmarks.ablation_study import ROOT, SHARED
from benchmarks.harness import Cell, Table
from cuvee.flows.value.source_values import equal_mixtures, seed_nats, source_games
from cuvee.mixture.mixture import Mixture
from cuvee.progress import Progress
from cuvee.runs.roles import ASKED
from cuvee.study.at_hand import at_hand
from cuvee.study.document_tables import pool_documents, target_documents
from cuvee.study.file.config import StudyConfig
from cuvee.study.file.folder import StudyFolder
from cuvee.study.opening import opened
from cuvee.study.plan.planned import Planned
from cuvee.study.pooling import planned_branches, planned_seed
from cuvee.study.producers.trained import Trainings
from cuvee.study.runner import Runner
from cuvee.types import FloatArray, Json
from cuvee.valuation.methods.registry import valuer_named
from cuvee.valuation.source_game import shapley

WORK = ROOT / ".bench" / "valuation"
SOURCES = ("chess", "docs", "gsm8k", "medical", "novels")
TARGETS = ("docs", "medical", "novels")
SEEDS = (0, 1, 2)
READ = 0.3
"""Share of the documents that in-run values read: a million tokens and more for each source's sum."""
CONFIDENCE = 0.95
SIZES = (5, 8, 10)
"""Sources for which costs are computed."""


def settings(seed: int) -> Json:
    """The study file of a seed."""
    return {
        "schema": 1,
        "name": f"five sources, seed {seed}",
        "seed": seed,
        "workers": 2,
        "sources": {name: str(SHARED / "corpus" / name / "train.jsonl.zst") for name in SOURCES},
        "split": {"evaluation": 0.15, "seed": 0.3},
        "tokenizer": {"vocabulary": 1024},
        "model": {"parameters": 300_000, "context_length": 64},
        "seed_training": {"tokens": 200_000, "batch_tokens": 1024},
        "branch_training": {"tokens": 200_000, "batch_tokens": 1024},
        "evaluation_tokens": 16_000,
    }


@dataclass(frozen=True)
class Compared:
    """One target and seed: the values of all sources by one way, and by trained subsets."""

    by: str
    values: FloatArray
    """[5]"""
    trained: FloatArray
    """[5]"""

    @property
    def rank(self) -> float:
        """Spearman's correlation."""
        return float(spearmanr(self.values, self.trained).statistic)

    @property
    def signs(self) -> float:
        """Share of the sources that have the same sign."""
        return float(np.mean(np.sign(self.values) == np.sign(self.trained)))

    @property
    def linear(self) -> float:
        """Pearson's correlation."""
        return float(np.corrcoef(self.values, self.trained)[0, 1])


def compared(progress: Progress) -> Iterator[Compared]:
    """Every way, target and seed."""
    for seed in SEEDS:
        folder = StudyFolder(WORK / f"shapley-{seed}")
        folder.root.mkdir(parents=True, exist_ok=True)
        config = StudyConfig.parse(settings(seed), Path(ROOT))
        with opened(config, folder, progress) as runner:
            trained = _by_training(runner)
            for target in TARGETS:
                true = _of_target(runner, trained, target)
                for game in source_games(runner, target, CONFIDENCE):
                    values = np.array([one.shapley.mean for one in game.players])
                    yield Compared(game.by, values, true)
                yield Compared("in_run, summed", _in_run(runner, target), true)


def _by_training(runner: Runner) -> FloatArray:
    """Minus nats of every document after training on each coalition [32, D]."""
    runner.make(Trainings(runner.plan, "training the seed model"), planned_seed(runner.plan))
    mixtures = equal_mixtures(runner)
    planned = [Planned(runner.plan.reference(one), ASKED, one) for one in mixtures]
    trainings = Trainings(runner.plan, "training coalitions")
    runner.make(trainings, planned)
    nats = runner.scores(trainings, planned).nats
    return np.concatenate([-seed_nats(runner)[None], -nats])


def _of_target(runner: Runner, utilities: FloatArray, target: str) -> FloatArray:
    documents = runner.documents
    chosen = documents.evaluation == documents.evaluations.index(target)
    result: FloatArray = shapley(utilities[:, chosen].sum(axis=1)) / documents.tokens[chosen].sum()
    return result


def _in_run(runner: Runner, target: str) -> FloatArray:
    """In-run values of one training over a share of the documents, summed by source."""
    every, seed = pool_documents(runner.plan), runner.plan.config.seed
    pool = every.select(np.random.default_rng([seed, 61]).random(len(every)) < READ)
    wanted = target_documents(runner.plan.material, target)
    values = valuer_named("in_run").value(pool, wanted, at_hand(runner, pool), seed)
    weights = values * pool.length
    return np.bincount(pool.source, weights=weights, minlength=len(pool.sources)).astype(np.float64)


def shapley_table(rows: list[Compared]) -> Table:
    """Means over targets and seeds, with their range."""
    names = list(dict.fromkeys(one.by for one in rows))
    cells: list[tuple[Cell, ...]] = []
    for name in names:
        mine = [one for one in rows if one.by == name]
        ranks = np.array([one.rank for one in mine])
        error = float(ranks.std(ddof=1) / np.sqrt(len(ranks)))
        cells.append(
            (
                name,
                len(mine),
                round(float(ranks.mean()), 3),
                f"± {1.96 * error:.3f}",
                f"{ranks.min():.2f} to {ranks.max():.2f}",
                round(float(np.mean([one.linear for one in mine])), 3),
                f"{np.mean([one.signs for one in mine]):.0%}",
            )
        )
    return Table(
        "Shapley values of five sources, against trained coalitions",
        ("by", "cells", "mean rank correlation", "95%", "range", "mean correlation", "same sign"),
        tuple(cells),
        (
            f"{len(TARGETS)} targets, {len(SEEDS)} seeds; with five sources one rank correlation moves in "
            "steps of a tenth. The interval is of the mean over cells, which share trainings within a seed. "
            f"In-run values are of one training over {READ:.0%} of the documents.",
        ),
    )


def costs(progress: Progress) -> Table:
    """FLOPs of merges and ensembles over those of trained coalitions, for more and more sources."""
    folder = StudyFolder(WORK / f"shapley-{SEEDS[0]}")
    with opened(StudyConfig.parse(settings(SEEDS[0]), Path(ROOT)), folder, progress) as runner:
        plan = runner.plan
        seed = sum(one.run.flops for one in planned_seed(plan))
        branch = planned_branches(plan)[0].run.flops
        reference = plan.reference(Mixture.uniform(plan.config.pool_sources)).flops
        evaluator = plan.bench.evaluator()
        score = evaluator.model.flops_per_token * evaluator.tokens
    rows = [
        _cost(size, {"seed": seed, "branch": branch, "reference": reference, "score": score})
        for size in SIZES
    ]
    return Table(
        "What exact values of sources cost",
        (
            "sources", "coalitions", "FLOPs by merges", "FLOPs by ensembles", "FLOPs by training",
            "merges over training", "ensembles over training",
        ),
        tuple(rows),
        (
            "The seed model is counted on all sides, and the evaluation: of every coalition that is merged "
            "or trained; of the seed model and the branches for ensembles, whose coalitions are arithmetic.",
        ),
    )  # fmt: skip


def _cost(size: int, price: Mapping[str, float]) -> tuple[Cell, ...]:
    count = 2**size
    merges = price["seed"] + size * price["branch"] + count * price["score"]
    ensembles = price["seed"] + size * price["branch"] + (size + 1) * price["score"]
    trained = price["seed"] + (count - 1) * (price["reference"] + price["score"])
    ratios = round(merges / trained, 4), round(ensembles / trained, 4)
    return size, count, f"{merges:.2e}", f"{ensembles:.2e}", f"{trained:.2e}", *ratios
