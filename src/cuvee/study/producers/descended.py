"""Descents in the weights of a pool, to where the merge loss is lowest.

The end of a descent is a row: a merge that was scored on a part of the windows, at the price of the descent.
It stops when its gap is below ``TOLERANCE``, or after ``MOST_EVALUATIONS`` passes forward and backward over
one of ``PART`` windows: the price of 15 forward passes over all of them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cuvee.evaluation.descent import MergeLoss
from cuvee.evaluation.ensemble import Ensemble
from cuvee.evaluation.race import PART
from cuvee.evaluation.scores import Scores
from cuvee.execution.interface import Executor, Report
from cuvee.execution.work_time import WorkTime
from cuvee.merging.pool import FlatPool
from cuvee.merging.price import extra_flops
from cuvee.merging.registry import merger_of
from cuvee.mixture.mirror_descent import Optimum
from cuvee.mixture.mixture import Mixture
from cuvee.mixture.region import Region
from cuvee.progress import Progress
from cuvee.runs.key import RunKey
from cuvee.runs.roles import DESCENT
from cuvee.runs.run import Run
from cuvee.study.plan.job import Bench
from cuvee.study.plan.plan import Plan
from cuvee.study.plan.resident import resident_pool
from cuvee.study.producers.member_statistics import measured_statistics, statistics_paths
from cuvee.study.producers.producer import Producer, Results, Spent
from cuvee.study.producers.rows import documents_of, metrics_of
from cuvee.study.producers.weighted import merging_key
from cuvee.training.run import ModelSpec
from cuvee.types import FloatArray, Json

STAGE = "optimum of merges"
"""As ledger and plan call it."""
MOST_EVALUATIONS = 40
TOLERANCE = 1e-3
"""Of the gap, nats per token: less than one training varies by, more than bfloat16 blurs."""
_PASSES = 3.0
"""FLOPs of a forward and a backward pass over those of a forward pass."""


@dataclass(frozen=True, eq=False)
class WeightDescent:
    """A start, and what is lowered from there."""

    start: Mixture
    region: Region
    target: FloatArray
    """[E]"""
    noise_cost: float
    """What the training noise of one branch adds to the target loss."""

    @property
    def inputs(self) -> Json:
        """All that determines the result, but pool, evaluations and method."""
        region = {
            "lower": self.region.lower.tolist(),
            "upper": self.region.upper.tolist(),
            "ratios": [dict(ratio) for ratio in self.region.ratios],
        }
        return {
            "start": self.start.as_dict(),
            "region": region,
            "target": self.target.tolist(),
            "noise_cost": self.noise_cost,
            "tolerance": TOLERANCE,
            "evaluations": MOST_EVALUATIONS,
        }


@dataclass(frozen=True, eq=False)
class DescentTask:
    """Descend from one start."""

    pool: Path
    ensemble: Path
    bench: Bench
    method: str
    """Of merging."""
    descent: WeightDescent
    members: ModelSpec
    """What the rows of the pool are parameters of."""
    statistics: tuple[Path, ...] = ()
    """Of the members, where the method needs them."""

    @property
    def label(self) -> str:
        """As it is called in errors."""
        return f"descending in the weights of {self.pool}"

    @property
    def device(self) -> str:
        """Where it computes."""
        return self.bench.model.device

    @property
    def loss(self) -> MergeLoss:
        """What is lowered; not compiled, as forward and backward passes would be compiled anew for it."""
        bench = replace(self.bench, model=replace(self.bench.model, compiled=False))
        pool = resident_pool(self.pool, self.device, self.members, self.statistics)
        return MergeLoss(
            bench.evaluator(),
            pool,
            merger_of(self.method, pool),
            Ensemble.open(self.ensemble),
            self.descent.target,
            self.descent.noise_cost,
        )


@dataclass(frozen=True, eq=False)
class Descended:
    """Where a descent ended, with the scores there [D], and work time of the device."""

    optimum: Optimum
    scores: Scores
    seconds: float


def descend(task: DescentTask, report: Report) -> Descended:
    """Job: reports one descent."""
    work, loss, one = WorkTime.begin(task.bench.model.device), task.loss, task.descent
    optimum = loss.optimum(one.region, one.start, tolerance=TOLERANCE, max_evaluations=MOST_EVALUATIONS)
    report(1, f"loss {optimum.value:.4f}")
    weights = optimum.mixture.shares @ loss.pool.roster.spread(one.region.names)
    return Descended(optimum, loss.estimated(weights), work.seconds)


@dataclass(frozen=True, eq=False)
class Descents(Producer[WeightDescent]):
    """Descends, each start in a job of its own."""

    plan: Plan
    proxy: str
    """What the proxy is called."""
    pool: FlatPool
    ensemble: Ensemble
    """Of the pool."""

    def key(self, request: WeightDescent) -> str:
        """Of the pool, what is measured, the method of merging and the descent."""
        inputs = {
            "pool": self.pool.roster.key,
            "evaluations": self.plan.evaluations,
            "part": PART,
            "descent": request.inputs,
        }
        return RunKey("merged", inputs | merging_key(self.plan)).digest

    def make(
        self,
        missing: Sequence[WeightDescent],
        asked: Sequence[WeightDescent],
        executor: Executor,
        progress: Progress,
    ) -> Iterator[Results]:
        """See ``Producer.make``."""
        yield from measured_statistics(self.plan, self.pool.roster, executor, progress)
        progress.stage(f"descending to the {STAGE}", len(missing), "descents")
        tasks = [self._task(one) for one in missing]
        for index, found in executor.map(descend, tasks, lambda _, n, note: progress.advance(n, note)):
            key = self.key(missing[index])
            yield Results((self._run(key, found),), Spent(key, STAGE, found.seconds))

    def _task(self, one: WeightDescent) -> DescentTask:
        folder = self.plan.folder
        pool, ensemble = folder.pool(self.pool.roster.key), folder.ensembles / self.ensemble.key
        plan = self.plan
        statistics, method = statistics_paths(plan, self.pool.roster), plan.config.merging.method
        return DescentTask(pool, ensemble, plan.bench, method, one, plan.branch_model, statistics)

    def _run(self, key: str, found: Descended) -> Run:
        plan, optimum = self.plan, found.optimum
        return Run(
            key=key,
            kind="merged",
            role=DESCENT,
            estimand=plan.config.estimand,
            mixture=optimum.mixture,
            params=plan.parameters,
            tokens=plan.branch_tokens,
            seed=plan.config.seed,
            metrics=metrics_of(found.scores),
            documents=documents_of(found.scores),
            flops=descent_flops(plan, len(self.pool.roster.members), optimum.evaluations),
            details={
                "proxy": self.proxy,
                "gap": optimum.gap,
                "outcome": optimum.outcome,
                "evaluations": optimum.evaluations,
            }
            | plan.config.merging.key,
        )


def descent_flops(plan: Plan, members: int, evaluations: int = MOST_EVALUATIONS) -> float:
    """FLOPs of one descent: at each step both passes over the part, the merge and its derivatives, and the
    ensemble with its own."""
    part, model = plan.bench.part(), plan.model.build()
    forward = model.flops_per_token * part.tokens
    extra = extra_flops(plan.config.merging.method, model, members)
    merging = 4.0 * (members + 1) * plan.merge_depth * model.layout.size + _PASSES * extra
    mixing = 4.0 * members * (part.tokens + plan.bench.evaluator().tokens)
    return evaluations * (_PASSES * forward + merging + mixing) + forward
