"""Does averaging fail where it must, is failure reported, and is the algebra exact?

Works on the seed and the branches of ``make bench-ablation`` and trains only what they lack, into
``.bench/controls``. Run that benchmark first; without it the seed and the branches are trained here.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import numpy as np

from benchmarks import ablation_study, algebra
from benchmarks.harness import FOLDER, Cell, Table, write
from cuvee.errors import IncompatibleMembers
from cuvee.evaluation.likelihood import Evaluator
from cuvee.evaluation.scoring import score_merges
from cuvee.execution.interface import Executor, Report
from cuvee.execution.local import LocalProcesses
from cuvee.merging.geometry import Geometry, barrier, barrier_warnings
from cuvee.merging.linear import LinearMerge
from cuvee.merging.pool import Branch, FlatPool
from cuvee.models.checkpoint import Checkpoint
from cuvee.progress import Silent
from cuvee.study.file.config import StudyConfig
from cuvee.study.file.folder import StudyFolder
from cuvee.study.plan.material import prepare_material
from cuvee.study.plan.plan import Plan
from cuvee.training.run import TrainingRun, execute
from cuvee.types import FloatArray

WORK = ablation_study.ROOT / ".bench" / "controls"
SEED_STEPS = 700
"""Of the two fresh seed models: enough for branches of one seed to be averaged, and for two seeds to have
learnt something that averaging can destroy."""
RATE_FACTOR = 10.0
MERGES = 24
GRADIENT_WINDOWS = 3
"""Windows of each evaluation on which derivatives are compared."""


@dataclass(frozen=True)
class Check:
    """One line of the table."""

    what: str
    measured: Cell
    goal: str
    holds: bool | None
    """None where there is no goal."""

    def row(self) -> tuple[Cell, ...]:
        """Cells."""
        return self.what, self.measured, self.goal, {True: "yes", False: "NO", None: ""}[self.holds]


@dataclass(frozen=True, eq=False)
class Bench:
    """A study whose seed and branches are trained."""

    plan: Plan
    executor: Executor

    @classmethod
    def prepare(cls, config: StudyConfig, folder: StudyFolder, executor: Executor) -> "Bench":
        """Plan the study and train what its folder does not have."""
        plan = Plan.of(config, folder, prepare_material(config, folder, executor, Silent()))
        bench = cls(plan, executor)
        if plan.seed is not None:
            bench.train([plan.seed])
        bench.train(list(plan.branches().values()))
        return bench

    def train(self, runs: Sequence[TrainingRun]) -> None:
        """Carry out the runs that are not done."""
        for _ in self.executor.map(train_quietly, [run for run in runs if not run.done]):
            pass

    def elsewhere(self, config: StudyConfig, folder: Path) -> Plan:
        """The plan of another configuration of the same text and seed; its runs are kept in ``folder``."""
        return replace(self.plan, config=config, folder=StudyFolder(folder))

    def pool(
        self, runs: dict[str, TrainingRun], seed: Checkpoint | None = None, force: bool = False
    ) -> FlatPool:
        """Branches by source as a pool in memory."""
        branches = [Branch(name, name, 1000, Checkpoint.load(run.folder)) for name, run in runs.items()]
        start = seed or Checkpoint.load(self.plan.start.folder)
        return FlatPool.build(self.plan.model.build(), start, branches, force=force)

    def evaluator(self, dtype: str | None = None) -> Evaluator:
        """All evaluations, as the study scores them or by an eager model of another type."""
        if dtype is None:
            return self.plan.bench.evaluator()
        model = replace(self.plan.model, dtype=dtype, compiled=False)
        return replace(self.plan.bench, model=model).evaluator()


def train_quietly(run: TrainingRun, report: Report) -> str:
    """Job: train one run; its key."""
    return execute(run, report).key


def unrelated_seeds(bench: Bench, folder: Path, steps: int) -> list[Check]:
    """Branches of two seeds are refused; averaged by force they are far worse than their mean."""
    plan = bench.plan
    assert plan.seed is not None
    root = StudyFolder(folder).checkpoints
    seeds = [
        replace(plan.seed, root=root, recipe=replace(plan.seed.recipe, steps=steps, seed=seed))
        for seed in (101, 102)
    ]
    bench.train(seeds)
    first, second = plan.config.pool_sources[:2]

    def branch(source: str, start: TrainingRun) -> TrainingRun:
        run = plan.branch(source, 0)
        return replace(run, start=start.as_start, root=root, recipe=replace(run.recipe, snapshots=()))

    mine, sibling = branch(first, seeds[0]), branch(second, seeds[0])
    stranger = branch(second, seeds[1])
    bench.train([mine, sibling, stranger])
    seed = Checkpoint.load(seeds[0].folder)
    unrelated = {first: mine, second: stranger}
    try:
        bench.pool(unrelated, seed)
        refusal = ""
    except IncompatibleMembers as error:
        refusal = str(error)
    related_height = _height(bench.evaluator(), bench.pool({first: mine, second: sibling}, seed))
    height = _height(bench.evaluator(), bench.pool(unrelated, seed, force=True))
    return [
        Check(
            "branches of two unrelated seeds, refused",
            refusal.partition(";")[0] or "no",
            "yes",
            bool(refusal),
        ),
        Check("the same averaged by force: loss over the mean of the two, nats", height, ">= 1", height >= 1),
        Check("the same with both from one seed, nats", related_height, "<= 0", related_height <= 0),
    ]


def _height(evaluator: Evaluator, pool: FlatPool) -> float:
    """Mean over evaluations of the even merge's loss above the mean loss of its members."""
    members = _losses(evaluator, pool, np.eye(len(pool.roster.members)))
    even = np.full((1, len(members)), 1 / len(members))
    return float(barrier(_losses(evaluator, pool, even), members, even).mean())


def _losses(evaluator: Evaluator, pool: FlatPool, weights: FloatArray) -> FloatArray:
    """Nats per token [M, E] of merges."""
    return score_merges(evaluator, pool, LinearMerge(), weights).nats_per_token


def learning_rates(bench: Bench, folder: Path, sources: Sequence[str]) -> list[Check]:
    """Too high a learning rate of the branches raises warnings; the study's own does not."""
    config = bench.plan.config
    rate = config.branch_training.learning_rate * RATE_FACTOR
    branch_training = config.branch_training.model_copy(update={"learning_rate": rate, "snapshots": ()})
    high = bench.elsewhere(config.model_copy(update={"branch_training": branch_training}), folder)
    runs = {name: high.branch(name, 0) for name in sources}
    bench.train(list(runs.values()))
    normal = {name: bench.plan.branch(name, 0) for name in sources}
    checks = []
    for label, members, expected in (("the study's", normal, False), (f"{RATE_FACTOR:g} times", runs, True)):
        pool = bench.pool(members)
        warned, highest = _warned(bench.evaluator(), pool)
        norm = Geometry.of(pool).norms.max() / Geometry.of(pool).seed_norm
        checks += [
            Check(
                f"warnings at {label} learning rate",
                warned,
                "some" if expected else "none",
                bool(warned) == expected,
            ),
            Check("- highest barrier, nats", highest, "", None),
            Check("- longest branch over the seed's length", float(norm), "", None),
        ]
    return checks


def _warned(evaluator: Evaluator, pool: FlatPool) -> tuple[int, float]:
    """Number of warnings of lengths and barriers, and the highest barrier over all subsets of two or more."""
    members = _losses(evaluator, pool, np.eye(len(pool.roster.members)))
    rows = [
        np.isin(np.arange(len(members)), chosen) / len(chosen)
        for size in range(2, len(members) + 1)
        for chosen in combinations(range(len(members)), size)
    ]
    weights = np.array(rows)
    heights = barrier(_losses(evaluator, pool, weights), members, weights)
    warned = barrier_warnings(evaluator.documents.evaluations, heights)
    return len(warned) + len(Geometry.of(pool).warnings()), float(heights.max())


def exactness(bench: Bench, merges: int, windows: int) -> tuple[list[Check], list[algebra.Slope]]:
    """The algebra of merges, their derivatives, and two other ways to the same losses."""
    plan = bench.plan
    pool = bench.pool({member.name: run for member, run in plan.branches().items()})
    rng = np.random.default_rng(0)
    members = len(pool.roster.members)
    weights = rng.dirichlet(np.ones(members), merges)
    product = algebra.product_error(pool, weights)
    wrong = algebra.inexact_vertices(pool)
    of_merges = algebra.merge_of_merges_error(pool, seed=0)
    exact = bench.evaluator("float32")
    slopes = algebra.slopes(exact.select(_first(exact, windows)), pool, rng.dirichlet(np.full(members, 3.0)))
    worst = max(slope.error for slope in slopes)
    again = algebra.reloaded(exact, pool, weights[0])
    difference = _plain_difference(bench, exact, pool, weights[0])
    study = bench.evaluator().score(LinearMerge().merge(pool, weights[0])).nats_per_token
    rounding = float(np.abs(study - exact.score(LinearMerge().merge(pool, weights[0])).nats_per_token).max())
    same = "bit for bit" if again.same_bytes else "differ"
    return [
        Check(
            "merge against a float64 loop: error / sum |w P|",
            product.by_magnitude,
            "<= 1e-6",
            product.by_magnitude <= 1e-6,
        ),
        Check("- the same by length of the vector", product.by_norm, "<= 1e-6", product.by_norm <= 1e-6),
        Check(f"vertices that do not return their member bit for bit, of {members}", wrong, "0", wrong == 0),
        Check(
            "merge of merges against the mean of their parameters", of_merges, "<= 1e-6", of_merges <= 1e-6
        ),
        Check("worst derivative against central differences, relative", worst, "<= 1e-3", worst <= 1e-3),
        Check("saved and read back", same, "bit for bit", again.same_bytes),
        Check(
            "- by transformers: worst token, nats",
            again.token_difference,
            "",
            None,
        ),
        Check(
            "- worst evaluation, nats per token",
            again.loss_difference,
            "<= 1e-6",
            again.loss_difference <= 1e-6,
        ),
        Check(
            "a scorer of its own: worst evaluation, nats per token or bits per byte",
            difference,
            "<= 1e-4",
            difference <= 1e-4,
        ),
        Check(
            f"the study's numbers ({plan.model.dtype}) against float32, nats per token", rounding, "", None
        ),
    ], slopes


def _first(evaluator: Evaluator, windows: int) -> "np.typing.NDArray[np.int64]":
    """The first windows of every evaluation."""
    owner = evaluator.window_evaluation
    return np.concatenate(
        [np.flatnonzero(owner == e)[:windows] for e in range(len(evaluator.documents.evaluations))]
    )


def _plain_difference(bench: Bench, evaluator: Evaluator, pool: FlatPool, weights: FloatArray) -> float:
    """Largest difference to losses that come from the shards by another way."""
    plan = bench.plan
    flat = LinearMerge().merge(pool, weights)
    scores = evaluator.score(flat)
    worst = 0.0
    for position, one in enumerate(plan.material.evaluations):
        shard = plan.material.shards[plan.material.corpus.evaluations[one.name], "eval"]
        plain = algebra.plain_score(
            evaluator.model, flat, shard, plan.config.evaluation_tokens, plan.material.half
        )
        worst = max(
            worst,
            abs(plain.nats_per_token - float(scores.nats_per_token[position])),
            abs(plain.bits_per_byte - float(scores.bits_per_byte[position])),
        )
    return worst


def main(
    config: StudyConfig | None = None,
    study: Path = ablation_study.WORK,
    work: Path = WORK,
    seed_steps: int = SEED_STEPS,
    folder: Path = FOLDER,
) -> None:
    """Check all and write the tables."""
    config = config or ablation_study.config()
    bench = Bench.prepare(config, StudyFolder(study), LocalProcesses(config.workers))
    checks = unrelated_seeds(bench, work, seed_steps)
    checks += learning_rates(bench, work, config.pool_sources[:4])
    exact, slopes = exactness(bench, MERGES, GRADIENT_WINDOWS)
    columns = "check", "measured", "goal", "holds"
    write(
        "controls",
        "Does averaging fail where it must, is that reported, and is the algebra exact?",
        [
            Table(
                "Negative controls",
                columns,
                tuple(check.row() for check in checks),
                (
                    f"Two seed models trained for {seed_steps} steps from different random parameters; "
                    "branches are those of the study. Barriers are heights of merges above the weighted "
                    "mean of their members.",
                ),
            ),
            Table("Algebra", columns, tuple(check.row() for check in exact)),
            Table(
                "Derivatives of the mean loss of a merge at a random mixture",
                ("in", "backward pass", "central differences", "relative error"),
                tuple((one.name, one.exact, one.difference, one.error) for one in slopes),
                (f"Float32 model; differences of fourth order with step {algebra.STEP:g}.",),
            ),
        ],
        folder=folder,
    )


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
