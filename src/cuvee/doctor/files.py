"""Checks of files as they are written: cells, shares and names of columns.

They read the cells themselves, so that a broken file is examined whole, not up to its first fault.
"""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from cuvee.doctor.finding import Finding, error, note, warning
from cuvee.doctor.subject import Subject
from cuvee.errors import CuveeError
from cuvee.quantities import counted
from cuvee.runs.formats.part import COUNT_FACTS, listed
from cuvee.runs.formats.table import IMPORT_TOLERANCE, ROUNDING, Table
from cuvee.runs.imported import format_of

ROUNDED = 0.005
"""How far from one shares of three decimals of some ten sources sum at most."""
_MOSTLY = 0.5
_PLACEHOLDER = re.compile(r"(source|src|domain|dataset|data|w|weight|col|column|group|cluster)?[ _-]*\d+")


def unreadable(subject: Subject) -> Iterator[Finding]:
    """The files were refused."""
    if subject.table is None:
        yield error(
            subject.title,
            subject.refusal,
            "Mend this first and run doctor again: the runs are not examined before they can be read.",
        )


def unreadable_cells(subject: Subject) -> Iterator[Finding]:
    """Text or infinities among numbers; only where the files were refused, since text may be a label."""
    if subject.table is not None:
        return
    for table in subject.tables:
        for name in (name for name in table.names if name.lower() not in COUNT_FACTS):
            cells = {row: cell for row, cell in enumerate(table.columns[name]) if str(cell or "").strip()}
            wrong = [row for row, cell in cells.items() if not math.isfinite(_number(cell, nan=0.0))]
            if wrong and len(wrong) < _MOSTLY * len(cells):
                yield error(
                    f"{table.path}, column {name}",
                    f"{len(wrong)} of {len(cells)} cells are no finite number, such as"
                    f" {str(cells[wrong[0]])!r} in {_rows(wrong)}.",
                    "Write a number, or leave the cell empty where nothing was measured; a run that diverged"
                    " has no value.",
                )


def negative_shares(subject: Subject) -> Iterator[Finding]:
    """A share below zero."""
    for table, columns in _share_tables(subject):
        for name in columns:
            wrong = [row for row, cell in enumerate(table.columns[name]) if _number(cell) < -ROUNDING]
            if wrong:
                yield error(
                    f"{table.path}, column {name}",
                    f"The share is negative in {_rows(wrong)}.",
                    "A share is from 0 to 1; differences or logits must be turned into shares first.",
                )


def shares_in_percent(subject: Subject) -> Iterator[Finding]:
    """Shares that sum to a hundred."""
    for table, columns in _share_tables(subject):
        sums = _sums(table, columns)
        wrong = [row for row, total in sums.items() if abs(total / 100.0 - 1.0) <= IMPORT_TOLERANCE]
        if wrong:
            yield error(
                f"{table.path}",
                f"The shares of {_rows(wrong)} sum to about 100: they are percentages.",
                "Divide them by 100.",
            )


def sums_of_shares(subject: Subject) -> Iterator[Finding]:
    """Shares that do not sum to one, beyond what rounding explains."""
    for table, columns in _share_tables(subject):
        sums = {row: total for row, total in _sums(table, columns).items() if abs(total / 100.0 - 1.0) > 0.02}
        wrong = [row for row, total in sums.items() if abs(total - 1.0) > IMPORT_TOLERANCE + 1e-9]
        loose = [row for row, total in sums.items() if abs(total - 1.0) > ROUNDED and row not in wrong]
        if wrong:
            yield error(
                f"{table.path}",
                f"The shares of {len(columns)} sources do not sum to one in {_rows(wrong)}"
                f" ({_range([sums[row] for row in wrong])}).",
                "Look for a column of shares that is missing or is none; divide counts by their sum.",
            )
        if loose:
            yield warning(
                f"{table.path}",
                f"The shares sum to {_range([sums[row] for row in loose])} in {_rows(loose)}: more than"
                " rounding explains. They were divided by their sum.",
                "Look for a small source that is missing, and give shares with more digits.",
            )


def renormalised(subject: Subject) -> Iterator[Finding]:
    """Shares that had to be divided by their sum."""
    for part in subject.parts:
        if part.renormalised:
            yield note(
                part.title,
                f"The shares of {part.renormalised} of {counted(len(part.rows), 'row')} did not sum to "
                "exactly one and"
                " were divided by their sum.",
                "Nothing, if they were rounded; give more digits where you have them.",
            )


def numbered_sources(subject: Subject) -> Iterator[Finding]:
    """Sources that are known by a number alone."""
    numbered = [name for name in subject.runs.sources if _PLACEHOLDER.fullmatch(name.lower())]
    if numbered:
        yield warning(
            subject.title,
            f"Sources are called by number: {listed(numbered)}. Which text that is depends on an order that"
            " no file names, and it changes in silence when a source is added.",
            "Name the columns by their sources.",
        )


def columns_as_labels(subject: Subject) -> Iterator[Finding]:
    """Columns that were not understood."""
    ignored = subject.all_runs.ignored
    if ignored:
        yield note(
            subject.title,
            f"These columns are neither shares nor metrics and are kept as labels: {listed(ignored, 8)}.",
            "Call a column w:<source> or m:<metric> if it is one.",
        )


def notes_of_the_reader(subject: Subject) -> Iterator[Finding]:
    """What was mended or left out in reading each file."""
    for part in subject.parts:
        for sentence in part.notes:
            if "divided by their sum" not in sentence:  # has its own check
                yield note(part.title, sentence, "Nothing, if that is what was meant.")


def _share_tables(subject: Subject) -> Iterator[tuple[Table, list[str]]]:
    """The tables with the columns of shares that their reader takes."""
    for table in subject.tables:
        known = format_of(table)
        try:
            columns = list(known.share_columns(table)) if known is not None else []
        except CuveeError:
            continue  # the reason why the file was refused
        if columns:
            yield table, columns


def _sums(table: Table, columns: list[str]) -> Mapping[int, float]:
    """What the shares of each row sum to, of the rows in which all are numbers from 0 on."""
    filled = [row for row in range(len(table)) if any(table.text(row, name) for name in columns)]
    rows = {r: [_number(table.columns[name][r], nan=0.0) for name in columns] for r in filled}
    return {
        row: math.fsum(cells) for row, cells in rows.items() if all(-ROUNDING <= x < math.inf for x in cells)
    }


def _number(cell: Any, nan: float = math.nan) -> float:
    """A cell as a number, infinite where it is text; what is not measured becomes ``nan``."""
    try:
        value = float(cell) if cell is not None and str(cell).strip() else math.nan
    except (TypeError, ValueError, OverflowError):  # Parquet has cells that are lists, structs and dates, too
        return math.inf
    return nan if math.isnan(value) else value


def _rows(rows: list[int]) -> str:
    return ("row " if len(rows) == 1 else "rows ") + listed([str(row + 1) for row in rows])


def _range(values: list[float]) -> str:
    low, high = min(values), max(values)
    return f"{low:.4g}" if low == high else f"{low:.4g} to {high:.4g}"
