"""Merges of a pool, scored without being written."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from cuvee.evaluation.ensemble import Ensemble
from cuvee.evaluation.race import completed, part_windows
from cuvee.evaluation.scores import Scores
from cuvee.execution.interface import Executor
from cuvee.merging.pool import FlatPool
from cuvee.merging.price import extra_flops
from cuvee.merging.registry import LINEAR
from cuvee.progress import Progress
from cuvee.study.plan.plan import Plan
from cuvee.study.plan.proxy_job import MergeTask, merges_a_task, score_block
from cuvee.study.producers.member_statistics import measured_statistics, statistics_paths
from cuvee.study.producers.producer import Producer, Results, Spent
from cuvee.study.producers.weighted import Weighted, weighted_key, weighted_run
from cuvee.types import FloatArray

KIND = "merged"


@dataclass(frozen=True, eq=False)
class Merges(Producer[Weighted]):
    """Scores merges in blocks, by the method of the plan; what that needs of the members is measured first.

    With a ``control`` merges are scored on a part of the windows only, and what the part lacks is estimated
    from it (``cuvee.evaluation.race``).
    """

    plan: Plan
    proxy: str
    """What the proxy is called."""
    pool: FlatPool
    control: Ensemble | None = None
    """The ensemble of the pool."""

    def key(self, request: Weighted) -> str:
        """See ``weighted_key``."""
        return weighted_key(KIND, self.plan, self.pool.roster, request.weights, self._partly)

    def make(
        self,
        missing: Sequence[Weighted],
        asked: Sequence[Weighted],
        executor: Executor,
        progress: Progress,
    ) -> Iterator[Results]:
        """See ``Producer.make``."""
        yield from measured_statistics(self.plan, self.pool.roster, executor, progress)
        method, part = self.plan.config.merging.method, ", on a part" if self._partly else ""
        by = "" if method == LINEAR else f" by {method}"
        progress.stage(f"scoring merges ({self.proxy}{by}{part})", len(missing), "merges")
        size = merges_a_task(self.plan.model.device, len(missing), self.plan.processes)
        blocks = [missing[start : start + size] for start in range(0, len(missing), size)]
        tasks = [self._task(block) for block in blocks]
        for index, done in executor.map(score_block, tasks, lambda _, n, note: progress.advance(n)):
            yield self._results(blocks[index], tasks[index].weights, done.scores, done.seconds)

    def _task(self, block: Sequence[Weighted]) -> MergeTask:
        path = self.plan.folder.pool(self.pool.roster.key)
        weights, method = np.stack([one.weights for one in block]), self.plan.config.merging.method
        statistics, plan = statistics_paths(self.plan, self.pool.roster), self.plan
        return MergeTask(path, weights, method, plan.bench, self._partly, plan.branch_model, statistics)

    def _results(
        self, block: Sequence[Weighted], weights: FloatArray, scores: Scores, seconds: float
    ) -> Results:
        if self.control is not None:
            scores = self._completed(scores, self.control, weights)
        forward = self.plan.bench.part() if self._partly else self.plan.bench.evaluator()
        extra = extra_flops(self.plan.config.merging.method, forward.model, len(self.pool.roster.members))
        flops = forward.model.flops_per_token * forward.tokens + self.pool.merge_flops + extra
        keys = [self.key(one) for one in block]
        runs = tuple(
            weighted_run(KIND, self.proxy, self.plan, key, one, scores[place], flops)
            for place, (key, one) in enumerate(zip(keys, block, strict=True))
        )
        return Results(runs, Spent(keys[0], f"{KIND} {self.proxy}", seconds))

    def _completed(self, part: Scores, control: Ensemble, weights: FloatArray) -> Scores:
        evaluator = self.plan.bench.evaluator()
        on_part = control.select(evaluator, part_windows(evaluator))
        return completed(part, on_part.score(weights), control.score(weights))

    @property
    def _partly(self) -> bool:
        return self.control is not None
