"""Trainings to the end, measured on every evaluation. One that stops ends the command."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from cuvee.execution.interface import Executor, Report
from cuvee.progress import Progress
from cuvee.runs.key import RunKey
from cuvee.runs.roles import BRANCH, DOWNSTREAM, OTHER_SEED_MODEL, SEED
from cuvee.runs.run import Run
from cuvee.study.plan.agenda import saved_step, set_out
from cuvee.study.plan.job import Measured, TrainTask, part_key, train_and_measure
from cuvee.study.plan.plan import Plan
from cuvee.study.plan.planned import Planned
from cuvee.study.producers.producer import Producer, Results, Spent
from cuvee.study.producers.rows import documents_of, metrics_of
from cuvee.study.producers.stacked import stacked, train_task
from cuvee.training.run import TrainingRun
from cuvee.training.state import TrainingState

T = TypeVar("T")

_READ_AGAIN = frozenset({SEED, BRANCH, OTHER_SEED_MODEL})
"""Roles of the trainings whose parameters are read again."""


@dataclass(frozen=True, eq=False)
class Trainings(Producer[Planned]):
    """Trains and measures, the longest first.

    What others start from, or are blended of, is made again where its checkpoint is gone.
    """

    plan: Plan
    title: str
    """Of the stage, in the progress and on the agenda of the study."""

    def key(self, request: Planned) -> str:
        """See ``trained_key``."""
        return trained_key(self.plan, request.run)

    def kept(self, request: Planned) -> bool:
        """Its checkpoint, where it is read again."""
        return request.run.done or request.role not in _READ_AGAIN

    def make(
        self, missing: Sequence[Planned], asked: Sequence[Planned], executor: Executor, progress: Progress
    ) -> Iterator[Results]:
        """See ``Producer.make``."""
        tasks = sorted(missing, key=lambda one: -one.run.recipe.tokens)
        set_out(self.plan.folder, self.title, [one.intended for one in asked])
        drop_damaged_states(tasks, progress)
        measured_only = all(one.run.done for one in tasks)
        self._announce(tasks, progress)
        yield from stacked(self.plan, tasks, self.key, executor, progress)
        for one, measured in carried_out(train_and_measure, self.plan, tasks, executor, progress):
            if measured_only:
                progress.advance(1, one.sources)
            yield results_of(self.plan, one, measured)

    def _announce(self, tasks: Sequence[Planned], progress: Progress) -> None:
        tokens = [one.run.recipe.tokens for one in tasks if not one.run.done]
        progress.stage(self.title, sum(tokens) or len(tasks), "tokens" if tokens else "models")
        folder = self.plan.folder
        saved = (saved_step(folder, one.run.key) * one.run.recipe.batch_tokens for one in tasks)
        progress.done_before(sum(saved))


def trained_key(plan: Plan, run: TrainingRun) -> str:
    """The key of a training to the end together with what it is measured on."""
    return RunKey("trained", {"run": run.key, "evaluations": plan.evaluations}).digest


def carried_out(
    job: Callable[[TrainTask, Report], T],
    plan: Plan,
    tasks: Sequence[Planned],
    executor: Executor,
    progress: Progress,
) -> Iterator[tuple[Planned, T]]:
    """Every training with what its job returned, as they end."""
    jobs = [train_task(plan, one) for one in tasks]

    def note(index: int, amount: float, text: str) -> None:
        progress.advance(amount, f"{tasks[index].role} {tasks[index].sources}: {text}")

    for index, result in executor.map(job, jobs, note):
        yield tasks[index], result


def drop_damaged_states(tasks: Sequence[Planned], progress: Progress) -> None:
    """A training whose saved state is damaged begins anew; that is said."""
    for one in tasks:
        file = one.run.state_file
        if not one.run.done and file.is_file() and TrainingState.load(file, one.run.key) is None:
            file.unlink()
            what = f"the saved state of {one.role} {one.sources}"
            progress.message(f"{file}: {what} is damaged and is not used; this training begins anew")


def run_of(plan: Plan, planned: Planned, key: str, kind: str = "trained") -> Run:
    """What is known of a training before it is made."""
    return Run(
        key=key,
        kind=kind,
        role=planned.role,
        estimand=plan.config.estimand,
        mixture=planned.mixture,
        params=planned.run.model.parameters,
        tokens=planned.tokens,
        seed=planned.run.recipe.seed,
    )


def results_of(plan: Plan, planned: Planned, measured: Measured) -> Results:
    """A training that went to its end."""
    trained, key = measured.trained, trained_key(plan, planned.run)
    details = {
        "run": trained.key,
        "checkpoint": trained.checkpoint.content_hash,
        "recipe": planned.run.recipe.hash,
        "epochs": trained.log["epochs"],
    }
    if planned.measured_along:
        details["along"] = losses_along(plan, measured.along)
    made = replace(
        run_of(plan, planned, key),
        metrics=metrics_of(measured.scores, plan.shapes),
        documents=documents_of(measured.scores),
        flops=(0.0 if planned.role == DOWNSTREAM else trained.flops) + measured.evaluation_flops,
        details=details,
    )
    return Results((made,), Spent(key, planned.role, trained.seconds) if trained.seconds else None)


def losses_along(
    plan: Plan, along: Sequence[tuple[int, Mapping[str, float]]]
) -> list[tuple[int, dict[str, float]]]:
    """Losses on the way of a run by the name of the evaluation; steps measured on others are left out."""
    keys = {name: part_key(key) for name, key in plan.evaluations.items()}
    return [
        (step, {name: losses[key] for name, key in keys.items()})
        for step, losses in along
        if all(key in losses for key in keys.values())
    ]
