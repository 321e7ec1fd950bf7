"""Trainings of one shape, carried out in stacks before each is measured by itself."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from cuvee.errors import NonFiniteLoss
from cuvee.execution.interface import Executor, OnProgress
from cuvee.progress import Progress
from cuvee.study.plan.job import StackTask, TrainTask, train_stack
from cuvee.study.plan.numerics import stacks_that_fit
from cuvee.study.plan.plan import Plan
from cuvee.study.plan.planned import Planned
from cuvee.study.producers.producer import Results, Spent
from cuvee.training.together import shape_of


def stacked(
    plan: Plan,
    tasks: Sequence[Planned],
    key: Callable[[Planned], str],
    executor: Executor,
    progress: Progress,
) -> Iterator[Results]:
    """Carry out what can be stacked; yields the time that each run took.

    Args:
        plan: of the study.
        tasks: what is to be trained.
        key: under which the store keeps one.
        executor: where.
        progress: counts tokens.

    Raises:
        NonFiniteLoss: a run diverged, after all others of its stack have come to their end.
        CardFull: a stack does not fit; half as many models are written down for the next command.
    """
    by_run = {one.run.key: one for one in tasks}
    stacks = _stacks(plan, tasks)

    def note(index: int, amount: float, text: str) -> None:
        progress.advance(amount, f"{len(stacks[index].tasks)} models together: {text}")

    for _, found in _carried_out(plan, stacks, executor, note):
        for name, seconds in found.items():
            if not isinstance(seconds, NonFiniteLoss) and seconds:
                yield Results((), Spent(key(by_run[name]), by_run[name].role, seconds))
        for failure in found.values():
            if isinstance(failure, NonFiniteLoss):
                raise failure


def _carried_out(
    plan: Plan, stacks: Sequence[StackTask], executor: Executor, note: OnProgress
) -> Iterator[tuple[int, dict[str, float | NonFiniteLoss]]]:
    with stacks_that_fit(plan.folder):
        yield from executor.map(train_stack, stacks, note)


def _stacks(plan: Plan, tasks: Sequence[Planned]) -> list[StackTask]:
    """Runs that have more than one place, are to be trained to their end, and have one shape; dealt out to as
    many processes as there are full stacks for."""
    found: dict[object, dict[str, TrainTask]] = defaultdict(dict)
    for one in tasks:
        run = one.run
        if run.recipe.stacked > 1 and not run.done and not one.until:
            found[run.model, shape_of(run.recipe)][run.key] = train_task(plan, one)
    dealt = []
    for same in (list(one.values()) for one in found.values()):
        hands = min(plan.processes, -(-len(same) // same[0].run.recipe.stacked))
        dealt += [StackTask(tuple(same[hand::hands])) for hand in range(hands)]
    return dealt


def train_task(plan: Plan, one: Planned) -> TrainTask:
    """A training as a job, measured on the evaluations of the study."""
    bench = replace(plan.bench, model=one.run.model)
    return TrainTask(one.run, bench, one.measured_along, one.until, one.role)
