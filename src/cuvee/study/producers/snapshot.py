"""Snapshots: finished trainings measured on their way, at the parameters that they kept."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from cuvee.errors import CheckpointError
from cuvee.evaluation.scores import Scores
from cuvee.execution.interface import Executor
from cuvee.mixture.mixture import Mixture
from cuvee.progress import Progress
from cuvee.runs.key import RunKey
from cuvee.runs.roles import SNAPSHOT
from cuvee.runs.run import Run
from cuvee.study.plan.job import SnapshotTask, score_snapshots
from cuvee.study.plan.plan import Plan
from cuvee.study.producers.producer import Producer, Results
from cuvee.study.producers.rows import documents_of, metrics_of
from cuvee.training.run import SNAPSHOTS, TrainingRun


@dataclass(frozen=True)
class Snapshot:
    """A training after a step, on some evaluations."""

    run: TrainingRun
    source: str
    """That it is trained on."""
    step: int
    evaluations: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Snapshots(Producer[Snapshot]):
    """Measures all snapshots of a training where one is missing, each training in a job of its own."""

    plan: Plan

    def key(self, request: Snapshot) -> str:
        """Of the training, the step and what is measured."""
        evaluations = {name: self.plan.evaluations[name] for name in request.evaluations}
        inputs = {"run": request.run.key, "step": request.step, "evaluations": evaluations}
        return RunKey("snapshot", inputs).digest

    def make(
        self,
        missing: Sequence[Snapshot],
        asked: Sequence[Snapshot],
        executor: Executor,
        progress: Progress,
    ) -> Iterator[Results]:
        """See ``Producer.make``.

        Raises:
            CheckpointError: a training has not kept its parameters after some step.
        """
        first = list({one.run.key: one for one in missing}.values())
        count = sum(len(one.run.recipe.snapshots) for one in first)
        progress.stage("measuring snapshots", count, "snapshots")
        tasks = [self._task(one) for one in first]
        for index, found in executor.map(score_snapshots, tasks, lambda _, n, note: progress.advance(n)):
            yield self._results(first[index], found)

    def _task(self, one: Snapshot) -> SnapshotTask:
        bench = replace(self.plan.bench.of(one.evaluations), model=one.run.model)
        return SnapshotTask(one.run.folder, bench)

    def _results(self, one: Snapshot, found: dict[int, Scores]) -> Results:
        steps = one.run.recipe.snapshots
        if lost := sorted(set(steps) - set(found)):
            raise CheckpointError(
                f"{one.run.folder}: the parameters after step {lost[0]} are not in {SNAPSHOTS}; "
                "delete the folder to have it made again"
            )
        every = (Snapshot(one.run, one.source, step, one.evaluations) for step in found if step in steps)
        return Results(tuple(self._run(each, found[each.step]) for each in every))

    def _run(self, one: Snapshot, scores: Scores) -> Run:
        plan, run = self.plan, one.run
        return Run(
            key=self.key(one),
            kind="trained",
            role=SNAPSHOT,
            estimand=plan.config.estimand,
            mixture=Mixture.vertex(plan.config.pool_sources, one.source),
            params=plan.parameters,
            tokens=one.step * run.recipe.batch_tokens,
            seed=run.recipe.seed,
            metrics=metrics_of(scores),
            documents=documents_of(scores),
            flops=run.model.flops_per_token * float(scores.documents.tokens.sum()),
            details={"run": run.key},
        )
