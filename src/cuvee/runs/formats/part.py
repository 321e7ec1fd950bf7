"""Part: what one file, or the files of one kind, hold of runs: shares, metrics, or both.

Every format reads its files as parts; ``joined.py`` joins the parts by the names of the runs. A tabular
format only says which column is what (``Columns``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cuvee.errors import ConfigError
from cuvee.mixture.mixture import SUM_TOLERANCE, Mixture
from cuvee.quantities import agreeing, counted
from cuvee.runs.formats.counts import without_unit
from cuvee.runs.formats.direction import KnownDirection, named_direction
from cuvee.runs.formats.marks import mark_columns, marks_of, size_of_file
from cuvee.runs.formats.table import Table

TEXT_FACTS = ("role", "estimand")
COUNT_FACTS = ("params", "tokens")
WHOLE_FACTS = ("seed", *COUNT_FACTS)
FACTS = (*TEXT_FACTS, *WHOLE_FACTS, "flops")
"""Columns of any table that hold a field of ``Run`` when they are called so."""

KEYS = ("run", "set", "id", "name", "file", "index")
"""By what runs are known, the best first: a run's own name, its number within a named set, the id of another
program, a name beside that, the name of a file, a number."""


@dataclass(frozen=True)
class Row:
    """What one row of a file, or one file, holds of a run."""

    where: str
    """File and row, for messages."""
    by: Mapping[str, tuple[str, ...]]
    """What the run is called, by the key that calls it so (``KEYS``); empty where it has no name."""
    mixture: Mixture | None
    """None where the file has no shares."""
    metrics: Mapping[str, float]
    """What was measured."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Other cells, by column."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Fields of ``Run`` by name, those that the file gives."""
    marks: Mapping[str, str] = field(default_factory=dict)
    """What tells it apart from other rows of its run (``marks.py``)."""
    run: str = ""
    """The run that it is a row of, once rows are joined."""

    @property
    def names(self) -> tuple[str, ...]:
        """All that it is called, the best name first."""
        return tuple(dict.fromkeys(name for key in KEYS for name in self.by.get(key, ())))


@dataclass(frozen=True)
class Part:
    """The rows of one file, or of files that belong together."""

    title: str
    """The file, as messages call it."""
    format: str
    """Name of the row of ``FORMATS`` that read it."""
    rows: tuple[Row, ...]
    sources: tuple[str, ...]
    """In the order of the file; empty where it has no shares."""
    metrics: tuple[str, ...]
    directions: Mapping[str, KnownDirection]
    """Of the metrics whose direction is known."""
    notes: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    """Columns that mean nothing to the format; their cells are labels."""
    renormalised: int = 0
    """Rows whose shares did not sum to one within 1e-6."""
    stands_alone: bool = False
    """Mixtures without metrics are an answer, not half of one."""
    members: Mapping[str, str] = field(default_factory=dict)
    """Metric -> the metric of the group that it is counted in, where the file names groups."""


@dataclass(frozen=True)
class Columns:
    """Which column of a table is what; every other one is a label."""

    shares: Mapping[str, str]
    """Source of each column of shares."""
    metrics: Mapping[str, str]
    """Metric of each column of values."""
    names: tuple[tuple[str, str], ...]
    """Columns that name the run, each with its key (``KEYS``), the best first."""
    understood: frozenset[str] = frozenset()
    """Further columns that the format knows, as labels."""


def read_table(
    table: Table,
    columns: Columns,
    format_name: str,
    *,
    rows: Sequence[int] | None = None,
    keys: Sequence[str] | None = None,
    key: str = KEYS[0],
    directions: Mapping[str, KnownDirection] | None = None,
    notes: Sequence[str] = (),
    by_name: Mapping[str, str] | None = None,
) -> Part:
    """The rows of a table as a part.

    Args:
        table: the file.
        columns: what is what.
        format_name: goes into the part.
        rows: which rows, default all.
        keys: what each of these rows is called beside its columns; an empty one adds nothing.
        key: the key (``KEYS``) of ``keys``.
        directions: of metrics; default by their names.
        notes: go into the part.
        by_name: labels of all rows, read from the name of the file; a size is read from any name.

    Raises:
        ConfigError: a cell is not what its column is for, or two rows have the same key.
    """
    rows = range(len(table)) if rows is None else rows
    facts = {fact: name for fact in FACTS if (name := table.column(fact)) is not None}
    _check_units(table, facts)
    used = {*columns.shares, *columns.metrics, *facts.values()}
    labels = [name for name in table.names if name and name not in used]
    marking = mark_columns(table)
    everywhere = {**_size_of_file(table, marking), **(by_name or {})}
    sums: list[float] = []
    result: list[Row] = []
    seen: dict[tuple[str, ...], int] = {}
    rounded: set[str] = set()
    without: list[str] = []
    for place, row in enumerate(rows):
        by = _by(table, row, columns.names, (key, keys[place]) if keys else None)
        marks = marks_of(table, row, marking)
        one = Row(table.where(row), by, None, {}, marks=marks)
        if columns.shares and not any(table.text(row, name) for name in columns.shares):
            without.append(one.names[0] if one.names else f"row {row + 1}")
            continue
        if one.names:
            first = seen.setdefault((one.names[0], *(f"{k} {v}" for k, v in sorted(marks.items()))), row)
            if first != row:
                raise table.wrong(row, _twice(one, first))
        mixture = None
        if columns.shares:
            mixture, total = table.mixture(row, columns.shares)
            sums.append(total)
        given = {fact: _fact(table, row, fact, name) for fact, name in facts.items()}
        rounded |= {name for fact, name in facts.items() if _was_rounded(table, row, fact, name, given[fact])}
        result.append(
            replace(
                one,
                mixture=mixture,
                metrics={
                    metric: value
                    for name, metric in columns.metrics.items()
                    if (value := table.number(row, name)) is not None
                },
                labels={**everywhere, **{name: table.text(row, name) for name in labels}},
                facts={fact: value for fact, value in given.items() if value not in (None, "")},
            )
        )
    notes = [*notes, *_without_shares(table.path, without, len(rows))]
    if without and not result:
        raise ConfigError(f"{table.path}: no row has any share; {notes[-1]}")
    mended = [total for total in sums if abs(total - 1.0) > SUM_TOLERANCE]
    if directions is None:
        directions = {m: known for m in columns.metrics.values() if (known := named_direction(m))}
    return Part(
        title=str(table.path),
        format=format_name,
        rows=tuple(result),
        sources=tuple(columns.shares.values()),
        metrics=tuple(columns.metrics.values()),
        directions=directions,
        notes=(*notes, *_mending(table.path, mended, rounded)),
        ignored=tuple(
            name for name in labels if name not in {*(n for _, n in columns.names), *columns.understood}
        ),
        renormalised=len(mended),
    )


def needs_rows(part: Part, path: Path) -> Part:
    """The part, if it has any row.

    Raises:
        ConfigError: all rows were left out.
    """
    if not part.rows:
        raise ConfigError(f"{path} has no run that can be used. {' '.join(part.notes)}")
    return part


def _by(
    table: Table, row: int, columns: Sequence[tuple[str, str]], given: tuple[str, str] | None
) -> dict[str, tuple[str, ...]]:
    """The names of a row by key; ``given`` is a key and a name beside those of the columns."""
    found: dict[str, dict[str, None]] = {given[0]: {given[1]: None}} if given and given[1] else {}
    for kind, name in columns:
        if text := table.name(row, name):
            found.setdefault(kind, {})[text] = None
    return {kind: tuple(names) for kind, names in found.items()}


def _size_of_file(table: Table, marking: Mapping[str, Sequence[str]]) -> dict[str, str]:
    size = size_of_file(table.path)
    return {"size": size} if size and "size" not in marking and table.column("size") is None else {}


def _twice(row: Row, first: int) -> str:
    at = f" at {row.marks['point']}" if row.marks.get("point") else ""
    return (
        f"run {row.names[0]!r}{at} is already in row {first + 1}; rows of one run must differ in a column"
        " step, tokens, params, seed, data_seed or trainer_seed; or give each its own name. A table with a"
        " row for each source or metric must become one with a row for each run"
    )


def _without_shares(path: Path, names: Sequence[str], rows: int) -> list[str]:
    if not names:
        return []
    return [
        f"{path}: {len(names)} of {counted(rows, 'row')} {agreeing(len(names), 'has', 'have')} no shares and "
        f"{agreeing(len(names), 'was', 'were')} left out: {listed(names)}."
    ]


def listed(names: Sequence[str], most: int = 5) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _fact(table: Table, row: int, fact: str, name: str) -> str | float | None:
    if fact in TEXT_FACTS:
        return table.text(row, name)
    if fact in COUNT_FACTS:
        return table.whole(row, name, fact)
    return table.whole(row, name) if fact in WHOLE_FACTS else table.number(row, name)


def _check_units(table: Table, facts: Mapping[str, str]) -> None:
    for name in (facts[fact] for fact in COUNT_FACTS if fact in facts):
        texts = [table.text(row, name) for row in range(len(table))]
        if (row := without_unit(texts)) is not None:
            raise table.wrong(
                row,
                f"{name} is {texts[row]}, beside counts with a unit in other rows; write {texts[row]}M or"
                f" {texts[row]}B, or the count itself",
            )


def _was_rounded(table: Table, row: int, fact: str, name: str, value: str | float | None) -> bool:
    return fact in COUNT_FACTS and value != table.counted(row, name, fact) and abs(float(value or 0)) < 2**53


def _mending(path: Path, sums: Sequence[float], rounded: set[str]) -> list[str]:
    notes = []
    if sums:
        notes.append(
            f"{path}: the shares of {len(sums)} {'row' if len(sums) == 1 else 'rows'} summed to"
            f" {min(sums):.6g}"
            + (f" to {max(sums):.6g}" if len(sums) > 1 else "")
            + " and were divided by their sum."
        )
    if rounded:
        notes.append(f"{path}: counts with a fraction in {listed(sorted(rounded))} were rounded.")
    return notes
