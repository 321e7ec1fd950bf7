"""Trainings that may be frozen on their way and gone on with later. One that fails is a row too."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite

from cuvee.execution.interface import Executor
from cuvee.progress import Progress
from cuvee.runs.key import RunKey
from cuvee.runs.metric_names import NATS
from cuvee.runs.run import Run
from cuvee.study.plan.job import Failed, Measured, attempt
from cuvee.study.plan.plan import Plan
from cuvee.study.plan.planned import Planned
from cuvee.study.producers.producer import Producer, Results, Spent
from cuvee.study.producers.trained import (
    carried_out,
    drop_damaged_states,
    losses_along,
    results_of,
    run_of,
    trained_key,
)
from cuvee.training.run import Begun


@dataclass(frozen=True, eq=False)
class FrozenTrainings(Producer[Planned]):
    """Trains to the end or to a step (``Planned.until``), and measures; what was measured on the way is a row
    too."""

    plan: Plan

    @property
    def failures(self) -> bool:
        """A training that stops is an experiment that measured nothing."""
        return True

    def key(self, request: Planned) -> str:
        """See ``planned_key``."""
        return planned_key(self.plan, request)

    def make(
        self, missing: Sequence[Planned], asked: Sequence[Planned], executor: Executor, progress: Progress
    ) -> Iterator[Results]:
        """See ``Producer.make``; the progress counts tokens."""
        drop_damaged_states(missing, progress)
        for one, found in carried_out(attempt, self.plan, missing, executor, progress):
            if isinstance(found, Failed):
                failed = run_of(self.plan, one, self.key(one), _kind(one))
                yield Results((replace(failed, status="failed", error=found.error),))
            elif isinstance(found, Begun):
                yield self._begun(one, found)
            else:
                yield self._ended(one, found)

    def _begun(self, planned: Planned, found: Begun) -> Results:
        steps = losses_along(self.plan, found.evaluations)
        runs = tuple(self._checkpoint(planned, step, losses) for step, losses in steps)
        if not found.seconds or all(step != planned.until for step, _ in steps):
            return Results(runs)
        return Results(runs, Spent(self.key(planned), planned.role, found.seconds))

    def _ended(self, planned: Planned, found: Measured) -> Results:
        before = [
            self._checkpoint(planned, step, losses)
            for step, losses in losses_along(self.plan, found.along)
            if step < planned.run.recipe.steps
        ]
        end = results_of(self.plan, planned, found)
        return replace(end, runs=(*before, *end.runs))

    def _checkpoint(self, planned: Planned, step: int, losses: Mapping[str, float]) -> Run:
        there = replace(planned, until=step)
        return replace(
            run_of(self.plan, there, self.key(there), _kind(there)),
            metrics={NATS + name: value for name, value in losses.items() if isfinite(value)},
            flops=planned.run.flops_of(there.tokens),
            details={"run": planned.run.key},
        )


def planned_key(plan: Plan, planned: Planned) -> str:
    """The key of a training, to its end or to where it is frozen."""
    if not planned.until:
        return trained_key(plan, planned.run)
    inputs = {"run": planned.run.key, "step": planned.until, "evaluations": plan.evaluations}
    return RunKey("checkpoint", inputs).digest


def _kind(planned: Planned) -> str:
    return "checkpoint" if planned.until else "trained"
