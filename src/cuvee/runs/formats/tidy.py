"""Tidy tables: ``w:<source>`` for shares, ``m:<metric>`` for values (floor 3).

One row a run, or several rows a run that differ in ``step`` or ``tokens`` (a run that was evaluated while
it went on). Other columns that are understood: ``key`` or ``run`` (the name of the run), ``role``,
``estimand``, ``seed``, ``params``, ``tokens``, ``flops``. By definition an ``m:`` column is a loss, unless
its name says otherwise, or negative values in the table show that its columns are not losses.
"""

from collections.abc import Sequence

from cuvee.errors import ConfigError
from cuvee.runs.formats.direction import Known, named_direction, tells_change
from cuvee.runs.formats.interface import File, Format
from cuvee.runs.formats.part import Columns, Part, listed, read_table
from cuvee.runs.formats.table import Table
from cuvee.runs.tables import METRIC_PREFIX, SHARE_PREFIX

KEY_COLUMNS = ("key", "run")
POINT_COLUMNS = ("step", "tokens")
LABEL_COLUMNS = frozenset({"table", "split", "step", "params_kind", "mixture_id", "kind", "name", "index"})

_BY_DEFINITION = Known("lower", "m: columns are losses unless their name says otherwise")


def recognises(file: File) -> bool:
    """Whether there is a ``w:`` or ``m:`` column."""
    return isinstance(file, Table) and bool(
        _prefixed(file.names, SHARE_PREFIX) or _prefixed(file.names, METRIC_PREFIX)
    )


def read(files: Sequence[File]) -> list[Part]:
    """Each table as a part."""
    return [_read(file) for file in files if isinstance(file, Table)]


def _read(table: Table) -> Part:
    metrics = _prefixed(table.names, METRIC_PREFIX)
    columns = Columns(
        shares=_prefixed(table.names, SHARE_PREFIX),
        metrics=metrics,
        names=tuple(name for name in KEY_COLUMNS if name in table.names),
        understood=LABEL_COLUMNS,
    )
    keys, runs = _keys(table)
    notes = []
    if runs < len(table):
        notes.append(f"{table.path}: {runs} runs at {len(table)} evaluation points, named run@step.")
    negative = [
        metric
        for name, metric in metrics.items()
        if named_direction(metric) is None
        and any((table.number(row, name) or 0.0) < 0.0 for row in range(len(table)))
    ]
    if negative:
        notes.append(
            f"{table.path}: {listed(negative)} {'has' if len(negative) == 1 else 'have'} negative values, so"
            " that metrics of this table are not taken for losses."
        )
    directions = {}
    for metric in metrics.values():
        known = named_direction(metric)
        if known is None and not negative and not tells_change(metric):
            known = _BY_DEFINITION
        if known is not None:
            directions[metric] = known
    return read_table(table, columns, TIDY.name, keys=keys, directions=directions, notes=notes)


def _prefixed(names: Sequence[str], prefix: str) -> dict[str, str]:
    return {n: n.removeprefix(prefix) for n in names if n.startswith(prefix) and n != prefix}


def _keys(table: Table) -> tuple[list[str], int]:
    """What each row is called, empty for rows without a name; and how many runs there are.

    Where any run has several rows, every row is called ``run@point``.
    """
    columns = [name for name in KEY_COLUMNS if name in table.names]
    runs = [next(filter(None, (table.text(row, c) for c in columns)), "") for row in range(len(table))]
    named = [run for run in runs if run]
    if len(set(named)) == len(named):
        return runs, len(runs)
    seen: dict[str, int] = {}
    keys = []
    for row, run in enumerate(runs):
        point = _point(table, row) if run else ""
        key = f"{run}@{point}" if point else run
        if key and key in seen:
            raise _twice(table, row, seen[key], run, point)
        seen[key] = row
        keys.append(key)
    return keys, len(set(named)) + runs.count("")


def _point(table: Table, row: int) -> str:
    """The evaluation point of a row; empty where none is told."""
    for name in POINT_COLUMNS:
        if name in table.names and (value := table.number(row, name)) is not None:
            return f"{value:.0f}" if value == int(value) else repr(value)
    return ""


def _twice(table: Table, row: int, first: int, run: str, point: str) -> ConfigError:
    at = f" at {point}" if point else ""
    remedy = "rows of one run must differ in a column step or tokens"
    return table.wrong(row, f"run {run!r}{at} is already in row {first + 1}; {remedy}")


TIDY = Format(
    name="tidy",
    looks_for="columns w:<source> and m:<metric> (CSV or Parquet)",
    recognises=recognises,
    read=read,
)
