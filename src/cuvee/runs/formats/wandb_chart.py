"""The CSV of a Weights & Biases chart: a step, then ``RUN - METRIC`` for each run.

Beside each line stand ``__MIN`` and ``__MAX``, the borders of its band, which are dropped. Runs are compared
at the last step that nearly all of them reach; those that broke off before are left out and named.
"""

from collections.abc import Mapping, Sequence

from cuvee.errors import ConfigError
from cuvee.quantities import agreeing, counted
from cuvee.runs.formats.direction import named_direction
from cuvee.runs.formats.interface import File, Format
from cuvee.runs.formats.part import Part, Row, listed
from cuvee.runs.formats.table import Table

BETWEEN = " - "
BORDERS = ("__MIN", "__MAX")
NEARLY_ALL = 0.8
"""Share of the runs that must reach the step at which all are compared."""
_CLOSE = 0.98  # runs are logged at their own last steps
_AXES = frozenset({"step", "_step", "global_step", "trainer/global_step", "epoch", "tokens", "_timestamp"})
_AXIS_WORDS = ("step", "relative time", "wall time", "tokens", "epoch")


def recognises(file: File) -> bool:
    """Whether the first column is an axis, and all others are lines of runs or their borders."""
    if not isinstance(file, Table) or len(file.names) < 2:
        return False
    lines = file.names[1:]
    axis = file.names[0].lower()
    recognised = axis in _AXES or axis.startswith(_AXIS_WORDS) or any(n.endswith(BORDERS) for n in lines)
    return recognised and all(BETWEEN in name for name in lines)


def read(files: Sequence[File]) -> list[Part]:
    """Each chart as a part of one row a run; metrics only."""
    return [_read(file) for file in files if isinstance(file, Table)]


def _read(table: Table) -> Part:
    axis = table.names[0]
    steps = [table.number(row, axis) for row in range(len(table))]
    lines: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for name in table.names[1:]:
        if name.endswith(BORDERS) and name.rpartition("__")[0] in table.names:
            continue
        run, _, metric = name.rpartition(BETWEEN)
        line = [
            (step, value)
            for row, step in enumerate(steps)
            if step is not None and (value := table.number(row, name)) is not None
        ]
        if line:
            lines.setdefault(run.strip(), {})[metric.strip()] = line
    if not lines:
        raise ConfigError(f"{table.path} is the export of a chart without a value; export it again")
    at = _common(lines)
    reached = {run: own for run, own in lines.items() if _last(own) >= _CLOSE * at}
    broken = [f"{run} (at {_last(own):g})" for run, own in lines.items() if run not in reached]
    metrics = tuple(dict.fromkeys(metric for own in reached.values() for metric in own))
    return Part(
        title=str(table.path),
        format=CHART.name,
        rows=tuple(
            Row(
                f"{table.path}, column {run}{BETWEEN}{next(iter(own))}",
                {"name": (run,)},
                None,
                {metric: value for metric, line in own.items() if (value := _value(line, at)) is not None},
                {axis.lower(): f"{at:g}"},
            )
            for run, own in reached.items()
        ),
        sources=(),
        metrics=metrics,
        directions={metric: known for metric in metrics if (known := named_direction(metric))},
        notes=(
            f"{table.path}: the export of a chart; the {len(reached)} runs are compared at {axis} {at:g}.",
            *_left_out(table, broken, len(lines), at),
        ),
    )


def _left_out(table: Table, broken: Sequence[str], runs: int, at: float) -> list[str]:
    if not broken:
        return []
    return [
        f"{table.path}: {len(broken)} of {counted(runs, 'run')} broke off before {table.names[0]} {at:g} and "
        f"{agreeing(len(broken), 'was', 'were')} left out: {listed(broken)}."
    ]


def _last(own: Mapping[str, Sequence[tuple[float, float]]]) -> float:
    return max(step for line in own.values() for step, _ in line)


def _common(lines: Mapping[str, Mapping[str, Sequence[tuple[float, float]]]]) -> float:
    """The largest last step that nearly all runs reach."""
    ends = sorted((_last(own) for own in lines.values()), reverse=True)
    return next(end for end in ends if sum(other >= _CLOSE * end for other in ends) >= NEARLY_ALL * len(ends))


def _value(line: Sequence[tuple[float, float]], at: float) -> float | None:
    """The last value up to a step."""
    before = [(step, value) for step, value in line if step <= at]
    return max(before)[1] if before else None


CHART = Format(
    name="wandb_chart",
    looks_for="a column Step, then RUN - METRIC for each run (the export of a Weights & Biases chart)",
    recognises=recognises,
    read=read,
)
