"""Tidy tables: ``w:<source>`` for shares, ``m:<metric>`` for values.

One row a run, or several rows a run that differ in ``step`` or ``tokens`` (a run that was evaluated while it
went on), in size or in seeds (``marks.py``). Other columns that are understood: ``key`` or ``run`` (the name
of the run), ``role``, ``estimand``, ``seed``, ``params``, ``tokens``, ``flops``. By definition an ``m:``
column is a loss, unless its name may be that of a score, or its values are none of a loss; whoever relies on
that says so.
"""

from collections.abc import Mapping, Sequence

from cuvee.quantities import counted
from cuvee.runs.formats.columns import METRIC_PREFIX, SHARE_PREFIX
from cuvee.runs.formats.direction import KnownDirection, may_be_score, named_direction, tells_change
from cuvee.runs.formats.interface import File, Format
from cuvee.runs.formats.part import Columns, Part, listed, read_table
from cuvee.runs.formats.purpose import no_target
from cuvee.runs.formats.share_columns import without_total
from cuvee.runs.formats.table import Table

KEY_COLUMNS = ("key", "run")
LABEL_COLUMNS = frozenset({"table", "split", "step", "params_kind", "mixture_id", "kind", "name", "index"})

BY_DEFINITION = KnownDirection("lower", "m: columns are losses unless their name says otherwise")
"""A direction that is assumed and not known; whoever relies on it says so."""

LARGEST_LOSS = 16.0
"""In nats or bits; the logarithm of a vocabulary of 65,536 in bits."""


def recognises(file: File) -> bool:
    """Whether there is a ``w:`` or ``m:`` column."""
    return isinstance(file, Table) and bool(
        _prefixed(file.names, SHARE_PREFIX) or _prefixed(file.names, METRIC_PREFIX)
    )


def read(files: Sequence[File]) -> list[Part]:
    """Each table as a part."""
    return [_read(file) for file in files if isinstance(file, Table)]


def share_columns(table: Table) -> Mapping[str, str]:
    """Source of each column of shares."""
    return without_total(table, _prefixed(table.names, SHARE_PREFIX)).columns


def _read(table: Table) -> Part:
    metrics = _prefixed(table.names, METRIC_PREFIX)
    shares = without_total(table, _prefixed(table.names, SHARE_PREFIX))
    notes = [*shares.notes, *_several_rows(table)]
    columns = Columns(
        shares=shares.columns,
        metrics=metrics,
        names=tuple(("run", name) for name in KEY_COLUMNS if name in table.names),
        understood=LABEL_COLUMNS,
    )
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
    for name, metric in metrics.items():
        known = named_direction(metric)
        sources = tuple(shares.columns.values())
        if known is None and not negative and _may_be_loss(table, name, metric, sources):
            known = BY_DEFINITION
        if known is not None:
            directions[metric] = known
    return read_table(table, columns, TIDY.name, directions=directions, notes=notes)


def _may_be_loss(table: Table, name: str, metric: str, sources: Sequence[str]) -> bool:
    """Whether nothing speaks against a loss in nats or bits: neither the name nor the size of the values.

    A loss of a model that learnt anything is below the logarithm of its vocabulary; values from 0 to 1 may
    as well be accuracies.
    """
    own = metric in sources  # a loss that is called by its source, though that be energy
    if not own and (tells_change(metric) or may_be_score(metric) or no_target(metric, sources)):
        return False
    values = [value for row in range(len(table)) if (value := table.number(row, name)) is not None]
    return not values or (max(values) < LARGEST_LOSS and max(values) > 1.0)


def _several_rows(table: Table) -> list[str]:
    column = table.column(*KEY_COLUMNS)
    runs = [table.text(row, column) for row in range(len(table))] if column else []
    named = {run for run in runs if run}
    several = len(named) + runs.count("")
    if column is None or several == len(runs):
        return []
    return [
        f"{table.path}: {counted(several, 'run')} in {counted(len(runs), 'row')}: several points, sizes or "
        "seeds of one run."
    ]


def _prefixed(names: Sequence[str], prefix: str) -> dict[str, str]:
    return {n: n.removeprefix(prefix) for n in names if n.startswith(prefix) and n != prefix}


TIDY = Format(
    name="tidy",
    looks_for="columns w:<source> and m:<metric> (CSV or Parquet)",
    recognises=recognises,
    read=read,
    share_columns=share_columns,
)
