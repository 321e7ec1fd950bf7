"""What methods of merging need of the branches of a pool: measured once each, kept under their keys.

Not observations: no row of the store, but folders beside the pool. What is there is not measured again, so a
study that was stopped goes on, and one that gets a source measures that one's branches alone.
"""

from collections.abc import Iterator
from pathlib import Path

from cuvee.execution.interface import Executor
from cuvee.merging.price import statistics_bytes
from cuvee.merging.registry import NEEDS
from cuvee.merging.roster import Roster
from cuvee.progress import Progress
from cuvee.quantities import quantity
from cuvee.study.plan.plan import Plan
from cuvee.study.plan.statistics_job import StatisticsTask, measure_member
from cuvee.study.producers.producer import Results, Spent

STAGE = "statistics of branches"
"""As ledger and plan call it."""


def branch_statistics(plan: Plan, replicas: int | None = None) -> list[StatisticsTask]:
    """One for each branch in the order of the pool; none where the method of merging needs nothing.

    Args:
        plan: of the study.
        replicas: of every unit in the pool; default as many as the study trains.
    """
    kind = NEEDS.get(plan.config.merging.method)
    if kind is None:
        return []
    seeds = plan.config.branch_training.seeds if replicas is None else replicas
    runs = [run for replica in range(seeds) for run in plan.branches(replica).values()]
    return [StatisticsTask(run, kind, plan.folder.statistics) for run in runs]


def statistics_paths(plan: Plan, roster: Roster) -> tuple[Path, ...]:
    """Where those of the members of a pool lie."""
    return tuple(task.path for task in _tasks(plan, roster))


def size_in_words(plan: Plan, branches: int) -> str:
    """What statistics of so many branches take, in a sentence."""
    method = plan.config.merging.method
    size = statistics_bytes(method, plan.model.build(), branches)
    kept = f"{quantity(size)} bytes of statistics of {branches} branches"
    return f"merging by '{method}' keeps {kept} beside the pool"


def _tasks(plan: Plan, roster: Roster) -> list[StatisticsTask]:
    return branch_statistics(plan, len(roster.members) // len(plan.branches()))


def measured_statistics(
    plan: Plan, roster: Roster, executor: Executor, progress: Progress
) -> Iterator[Results]:
    """Measure what is missing; yields what it took."""
    missing = [task for task in _tasks(plan, roster) if not task.path.exists()]
    if not missing:
        return
    progress.message(size_in_words(plan, len(missing)))
    progress.stage(f"measuring {STAGE}", len(missing), "branches")
    for index, seconds in executor.map(measure_member, missing, lambda _, n, note: progress.advance(n)):
        yield Results((), Spent(missing[index].path.name, STAGE, seconds))
