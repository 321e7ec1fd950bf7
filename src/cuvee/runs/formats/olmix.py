"""Olmix: ``ratios.csv`` and ``metrics.csv``, joined by the id of the run.

Both have a column ``run`` (or ``run_id``), perhaps ``name``, ``index`` and an unnamed counter; then one
column a leaf (``source:topic:quality``), or one a metric. Its name says which of the two a file is
(``ratios``, ``metrics``), or else its rows: those of shares sum to one. Columns of text are labels, and a
column that is the sum of the others is left out.
"""

import re
from collections.abc import Mapping, Sequence

from cuvee.runs.formats.direction import named_direction
from cuvee.runs.formats.interface import File, Format
from cuvee.runs.formats.marks import STEP_COLUMNS, TOKEN_COLUMNS
from cuvee.runs.formats.part import FACTS, Columns, Part, read_table
from cuvee.runs.formats.share_columns import (
    Found,
    is_label,
    sum_to_hundred,
    sum_to_one,
    without_strangers,
)
from cuvee.runs.formats.table import Table

RUN_COLUMNS = ("run", "run_id", "run_name", "id", "name", "index")
"""The first that is there names the run; an id stands before a name, a name before a number."""
SHARE_WORDS = frozenset({"ratio", "ratios", "mixture", "mixtures", "mix", "shares", "weights", "proportions"})
METRIC_WORDS = frozenset({"metric", "metrics", "eval", "evals", "loss", "losses", "results", "scores"})
_KEYS = {"run": "run", "run_id": "run", "id": "id", "run_name": "name", "name": "name", "index": "index"}


def recognises(file: File) -> bool:
    """Whether there is a column that names runs, and other columns than keys and labels."""
    return isinstance(file, Table) and file.column(*RUN_COLUMNS) is not None and bool(_values(file))


def read(files: Sequence[File]) -> list[Part]:
    """Each table as a part of shares or of metrics."""
    return [_read(file) for file in files if isinstance(file, Table)]


def share_columns(table: Table) -> Mapping[str, str]:
    """Source of each column of shares; empty for a table of metrics."""
    return _shares(table).columns


def _read(table: Table) -> Part:
    run = table.column(*RUN_COLUMNS) or ""
    for row in range(len(table)):
        if not table.text(row, run):
            raise table.wrong(row, f"{run} is empty; ratios and metrics are joined by it")
    shares = _shares(table)
    metrics = {name: name for name in _values(table) if name not in shares.columns}
    if (
        shares.columns
    ):  # ratios have labels and totals beside the shares, and metrics only where they are named so
        metrics = {name: name for name in metrics if named_direction(name)}
    return read_table(
        table,
        Columns(
            shares=shares.columns,
            metrics=metrics,
            names=names_of(table),
            understood=frozenset((*RUN_COLUMNS, *(name for name in table.names if is_label(table, name)))),
        ),
        OLMIX.name,
        notes=shares.notes,
    )


def names_of(table: Table) -> tuple[tuple[str, str], ...]:
    """Key and column of every name of a run, one column for each key."""
    names: dict[str, str] = {}
    for wanted in RUN_COLUMNS:
        column = table.column(wanted)
        if column is not None:
            names.setdefault(_KEYS[wanted], column)
    return tuple(names.items())


def _values(table: Table) -> list[str]:
    keys = {*RUN_COLUMNS, *FACTS, *STEP_COLUMNS, *TOKEN_COLUMNS}
    return [
        name
        for name in table.names
        if name and name.lower() not in keys and not name.startswith("Unnamed:") and not is_label(table, name)
    ]


def _shares(table: Table) -> Found:
    words = set(re.findall("[a-z]+", table.path.stem.lower()))
    named = bool(words & SHARE_WORDS) != bool(words & METRIC_WORDS)
    if named and words & METRIC_WORDS:
        return Found({})
    found = without_strangers(table, {name: name for name in _values(table)})
    if named:
        return found
    percent = not any(map(named_direction, found.columns)) and sum_to_hundred(table, found.columns)
    return found if percent or sum_to_one(table, found.columns) else Found({})


OLMIX = Format(
    name="olmix",
    looks_for="a column run or run_id, then one of each source (ratios.csv) or each metric (metrics.csv)",
    recognises=recognises,
    read=read,
    share_columns=share_columns,
)
