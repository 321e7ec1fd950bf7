"""What models do on downstream tasks, on a terminal."""

from collections.abc import Sequence

from cuvee.decisions.ablation.tasks import TaskRow
from cuvee.report.printout import Grid, Printout
from cuvee.report.wording import measured, plain
from cuvee.runs.formats.task_units import of_task

_DECIDES = {"can decide": "yes", "cannot decide": "no", "not known": "not known"}
_ARMS = 2
"""Of the check, as many as fit: the pick and what it is compared with first."""


def tasks_printout(rows: Sequence[TaskRow]) -> Printout:
    """A table of all metrics; nothing where the study names no task."""
    if not rows:
        return ()
    arms = tuple(name for name, _ in rows[0].values[:_ARMS])
    columns = ("metric", *arms, "error", "signal/noise", "decides")
    return (Grid("Downstream tasks", columns, tuple(map(_row, rows))),)


def _row(row: TaskRow) -> tuple[str, ...]:
    return (
        of_task(row.metric, row.task),
        *(measured(value) for _, value in row.values[:_ARMS]),
        measured(row.error),
        plain(row.ratio, 2),
        _DECIDES[row.words],
    )
