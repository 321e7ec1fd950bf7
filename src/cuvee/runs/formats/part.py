"""Part: what one file, or the files of one kind, tell of runs: shares, metrics, or both (floor 3).

Every format reads its files as parts; ``joined.py`` joins the parts by the names of the runs. A tabular
format only says which column is what (``Columns``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cuvee.errors import ConfigError
from cuvee.mixture.mixture import SUM_TOLERANCE, Mixture
from cuvee.runs.formats.direction import Known, named_direction
from cuvee.runs.formats.table import Table

TEXT_FACTS = ("role", "estimand")
WHOLE_FACTS = ("seed", "params", "tokens")
FACTS = (*TEXT_FACTS, *WHOLE_FACTS, "flops")
"""Columns of any table that tell a field of ``Run`` when they are called so."""


@dataclass(frozen=True)
class Row:
    """What one row of a file, or one file, tells of a run."""

    where: str
    """File and row, for messages."""
    names: tuple[str, ...]
    """What the run is called, its key first; empty where it has no name."""
    mixture: Mixture | None
    """None where the file tells no shares."""
    metrics: Mapping[str, float]
    """What was measured."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Other cells, by column."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Fields of ``Run`` by name, those that are told."""


@dataclass(frozen=True)
class Part:
    """The rows of one file, or of files that belong together."""

    title: str
    """The file, as messages call it."""
    format: str
    """Name of the row of ``FORMATS`` that read it."""
    rows: tuple[Row, ...]
    sources: tuple[str, ...]
    """In the order of the file; empty where it tells no shares."""
    metrics: tuple[str, ...]
    directions: Mapping[str, Known]
    """Of the metrics whose direction is known."""
    notes: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    """Columns that mean nothing to the format; their cells are labels."""
    renormalised: int = 0
    """Rows whose shares did not sum to one within 1e-6."""
    stands_alone: bool = False
    """Mixtures without metrics are an answer, not half of one."""


@dataclass(frozen=True)
class Columns:
    """Which column of a table is what; every other one is a label."""

    shares: Mapping[str, str]
    """Source of each column of shares."""
    metrics: Mapping[str, str]
    """Metric of each column of values."""
    names: tuple[str, ...]
    """Columns that name the run, the best first."""
    understood: frozenset[str] = frozenset()
    """Further columns that the format knows, as labels."""


def read_table(
    table: Table,
    columns: Columns,
    format_name: str,
    *,
    rows: Sequence[int] | None = None,
    keys: Sequence[str] | None = None,
    directions: Mapping[str, Known] | None = None,
    notes: Sequence[str] = (),
) -> Part:
    """The rows of a table as a part.

    Args:
        table: the file.
        columns: what is what.
        format_name: goes into the part.
        rows: which rows, default all.
        keys: what each of these rows is called, before its names; an empty key adds nothing.
        directions: of metrics; default by their names.
        notes: go into the part.

    Raises:
        ConfigError: a cell is not what its column is for, or two rows have the same key.
    """
    rows = range(len(table)) if rows is None else rows
    facts = {fact: name for fact in FACTS if (name := table.column(fact)) is not None}
    used = {*columns.shares, *columns.metrics, *facts.values()}
    labels = [name for name in table.names if name and name not in used]
    sums: list[float] = []
    result: list[Row] = []
    seen: dict[str, int] = {}
    rounded: set[str] = set()
    for place, row in enumerate(rows):
        given = ([keys[place]] if keys else []) + [table.text(row, name) for name in columns.names]
        names = tuple(dict.fromkeys(name for name in given if name))
        if names and names[0] in seen:
            raise table.wrong(
                row, f"run {names[0]!r} is already in row {seen[names[0]] + 1}; give each its own"
            )
        if names:
            seen[names[0]] = row
        mixture = None
        if columns.shares:
            mixture, total = table.mixture(row, columns.shares)
            sums.append(total)
        told = {fact: _fact(table, row, fact, name) for fact, name in facts.items()}
        rounded |= {name for fact, name in facts.items() if _was_rounded(table, row, name, told[fact])}
        result.append(
            Row(
                table.where(row),
                names,
                mixture,
                {
                    metric: value
                    for name, metric in columns.metrics.items()
                    if (value := table.number(row, name)) is not None
                },
                {name: table.text(row, name) for name in labels},
                {fact: value for fact, value in told.items() if value not in (None, "")},
            )
        )
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
        ignored=tuple(name for name in labels if name not in {*columns.names, *columns.understood}),
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


def listed(names: Sequence[str], most: int = 5) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _fact(table: Table, row: int, fact: str, name: str) -> str | float | None:
    if fact in TEXT_FACTS:
        return table.text(row, name)
    return table.whole(row, name) if fact in WHOLE_FACTS else table.number(row, name)


def _was_rounded(table: Table, row: int, name: str, told: str | float | None) -> bool:
    return isinstance(told, int) and told != table.number(row, name) and abs(told) < 2**53


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
