"""What models do on downstream tasks, on a terminal."""

from collections.abc import Sequence

from cuvee.decisions.ablation.tasks import TaskRow
from cuvee.report.printout import Grid, Printout
from cuvee.report.wording import plain


def tasks_printout(rows: Sequence[TaskRow]) -> Printout:
    """A table of all metrics; nothing where the study names no task."""
    if not rows:
        return ()
    arms = tuple(name for name, _ in rows[0].values)
    columns = ("task", "metric", "questions", *arms, "standard error", "signal/noise", "between mixtures")
    return (Grid("Downstream tasks", columns, tuple(map(_row, rows))),)


def _row(row: TaskRow) -> tuple[str, ...]:
    return (
        row.task,
        row.metric,
        str(row.questions),
        *(plain(value) for _, value in row.values),
        plain(row.error),
        plain(row.ratio, 2),
        row.words,
    )
