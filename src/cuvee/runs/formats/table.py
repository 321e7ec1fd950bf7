"""Table: a CSV or Parquet file of somebody else's runs, with cells that know their place."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from cuvee.errors import ConfigError
from cuvee.mixture.mixture import SUM_TOLERANCE, Mixture
from cuvee.runs.formats.columns import check_header, csv_columns, parquet_columns
from cuvee.runs.formats.columns import number as cell_number
from cuvee.runs.formats.counts import count
from cuvee.runs.formats.dictionaries import opened

IMPORT_TOLERANCE = 0.02
"""How far from one published shares may sum. Tables round to two or three digits."""

PARQUET_SUFFIXES = (".parquet", ".pq")

ROUNDING = 1e-9
"""0.49 + 0.49 is a little less than 0.98, and 1 - 0.7 - 0.3 a little less than 0."""
_WHOLE_FROM = 5e5  # from here on rounding a count changes it by less than one in a million
_LARGEST_WHOLE = 2.0**63
_EMPTY = ("", None)
_FLOAT = re.compile(r"-?\d+[.]0")


@dataclass(frozen=True, eq=False)
class Table:
    """Columns of cells as the file has them: text from CSV, Python values from Parquet.

    Raises:
        ConfigError: a column name occurs twice, or there are no rows.
    """

    path: Path
    names: tuple[str, ...]
    """Column names without surrounding blanks."""
    columns: Mapping[str, list[Any]]
    """The cells of each column, by row."""
    opened: tuple[str, ...] = ()
    """Columns of dictionaries, whose entries are columns now."""

    def __post_init__(self) -> None:
        check_header(self.names, str(self.path))
        if not len(self):
            raise ConfigError(f"{self.path} has a header but no rows")

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a Parquet file (by its suffix) or a CSV file (any other suffix).

        Raises:
            ConfigError: it cannot be read, or is empty.
        """
        parquet = path.suffix.lower() in PARQUET_SUFFIXES
        names, columns = parquet_columns(path) if parquet else csv_columns(path)
        names, columns = _without_blanks([name.strip() for name in names], columns)
        check_header(names, str(path))
        names, columns, inside = opened(names, columns)
        return cls(path, tuple(names), dict(zip(names, columns, strict=True)), inside)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def column(self, *wanted: str) -> str | None:
        """The first of the wanted columns that is there, whatever its capitals."""
        by_lower = {name.lower(): name for name in reversed(self.names)}
        return next((by_lower[name] for name in wanted if name in by_lower), None)

    # Cells

    def where(self, row: int) -> str:
        """File and row, for messages; the first row after the header is row 1."""
        return f"{self.path}, row {row + 1}"

    def wrong(self, row: int, what: str) -> ConfigError:
        """An error that names file and row."""
        return ConfigError(f"{self.where(row)}: {what}")

    def text(self, row: int, name: str) -> str:
        """A cell as text; empty where it is empty, null or NaN of Parquet."""
        value = self.columns[name][row]
        if value in _EMPTY or (isinstance(value, float) and math.isnan(value)):
            return ""
        return str(value).strip()

    def name(self, row: int, name: str) -> str:
        """A cell as the name of a run: text as it stands, but ``3`` for the 3.0 that pandas makes of 3."""
        text = self.text(row, name)
        return text.removesuffix(".0") if name in self._floats else text

    @cached_property
    def _floats(self) -> frozenset[str]:
        """Columns in which every name is a whole number with ``.0`` behind it."""
        return frozenset(
            name
            for name in self.names
            if all(_FLOAT.fullmatch(text) for row in range(len(self)) if (text := self.text(row, name)))
        )

    def number(self, row: int, name: str) -> float | None:
        """A cell as a finite number; none if it was not measured (empty, null or NaN).

        Raises:
            ConfigError: it is text or infinite.
        """
        try:
            value = cell_number(self._cell(row, name), f"{self.where(row)}, {name}")
        except ConfigError as error:
            raise ConfigError(f"{error}; {_in_its_place(self.text(row, name))}") from error
        if math.isinf(value):
            raise self.wrong(row, f"{name} is infinite; leave the cell empty if it was not measured")
        return None if math.isnan(value) else value + 0.0

    def counted(self, row: int, name: str, of: str) -> float | None:
        """A cell as a count of ``of`` (``counts.py``), such as ``60M``; none if it is empty.

        Raises:
            ConfigError: it is no count, or infinite.
        """
        cell = self._cell(row, name)
        if not isinstance(cell, str) or not cell:
            return self.number(row, name)
        try:
            value = count(cell, of)
        except ConfigError as error:
            raise ConfigError(f"{self.where(row)}, {name}: {error}") from error
        if math.isinf(value):
            raise self.wrong(row, f"{name} is infinite; leave the cell empty if it is not known")
        return None if math.isnan(value) else value

    def whole(self, row: int, name: str, of: str = "") -> int | None:
        """A cell as a whole number; none if it is empty. Large counts are rounded.

        Args:
            row: which.
            name: of the column.
            of: what is counted, where people write counts of it as ``60M``.

        Raises:
            ConfigError: it is no number, infinite, or a small number with a fraction.
        """
        value = self.counted(row, name, of) if of else self.number(row, name)
        if value is None:
            return None
        if abs(value) > _LARGEST_WHOLE:
            raise self.wrong(row, f"{name} is {value:.6g}, too large for a count")
        if value != int(value) and abs(value) >= _WHOLE_FROM:
            return round(value)
        if value != int(value):
            unit = f"; write {value:g}M or {value:g}B if it is in millions or billions" if of else ""
            raise ConfigError(
                f"{self.where(row)}, {name}: {self.text(row, name)!r} is not a whole number{unit}"
            )
        text = self.text(row, name)
        return int(text) if text.removeprefix("-").isdecimal() else int(value)  # exact beyond 2**53

    def mixture(self, row: int, columns: Mapping[str, str]) -> tuple[Mixture, float]:
        """The mixture of a row, renormalised, and what its shares summed to.

        Args:
            row: which.
            columns: source of each column. An empty share is zero.

        Raises:
            ConfigError: a share is text, NaN or negative, or they do not sum to one within 2 %.
        """
        weights = {source: self._share(row, name) for name, source in columns.items()}
        return checked_mixture(weights, self.where(row))

    def _share(self, row: int, name: str) -> float:
        if self._cell(row, name) in _EMPTY:
            return 0.0
        value = self.number(row, name)
        if value is None:
            raise self.wrong(
                row, f"the share {name} is NaN; write a number from 0 to 1, or leave it empty for 0"
            )
        return value

    def _cell(self, row: int, name: str) -> Any:
        value = self.columns[name][row]
        return value.strip() if isinstance(value, str) else value


def _without_blanks(names: Sequence[str], columns: Sequence[list[Any]]) -> tuple[list[str], list[list[Any]]]:
    """The columns without those that have neither a name nor a cell, as spreadsheets write them."""
    kept = [
        place
        for place, (name, column) in enumerate(zip(names, columns, strict=True))
        if name or any(str(cell).strip() for cell in column if cell is not None)
    ]
    return [names[place] for place in kept], [columns[place] for place in kept]


def _in_its_place(text: str) -> str:
    """What to write in place of a cell that is no number."""
    share = text.removesuffix("%").strip()
    if share != text and share.replace(".", "", 1).isdecimal():
        return f"write {float(share) / 100.0:g} for {share} percent"
    if re.fullmatch(r"\d{1,3}(,\d{3}){2,}([.]\d+)?|\d{1,3},\d{3}[.]\d+", text):
        return f"write {text.replace(',', '')} if commas divide thousands"
    if re.fullmatch(r"-?\d+,\d+", text):
        return f"write {text.replace(',', '.')} if the comma divides a fraction"
    return "write a number, or leave the cell empty"


def checked_mixture(weights: Mapping[str, float], where: str) -> tuple[Mixture, float]:
    """The mixture with these shares, renormalised, and what they summed to.

    Raises:
        ConfigError: a share is negative, or they do not sum to one within 2 %.
    """
    for name, weight in weights.items():
        if weight < -ROUNDING:
            raise ConfigError(
                f"{where}: the share of {name} is negative ({weight:.6g}); correct it or leave the run out"
            )
    weights = {name: max(weight, 0.0) for name, weight in weights.items()}
    total = sum(weights.values())
    if not abs(total - 1.0) <= IMPORT_TOLERANCE + ROUNDING:
        advice = "; correct them or leave the run out"
        if abs(total / 100 - 1.0) <= IMPORT_TOLERANCE:
            advice = "; divide percentages by 100"
        elif total > 2.0:
            advice = "; divide counts by their sum"
        raise ConfigError(
            f"{where}: shares of {len(weights)} sources sum to {total:.6g}, not to 1 within"
            f" {IMPORT_TOLERANCE:.0%}{advice}"
        )
    # What is a mixture already keeps its bits, so that our own tables read back as they were.
    exact = abs(total - 1.0) <= SUM_TOLERANCE / 2
    return (Mixture.of(weights) if exact else Mixture.normalised(weights)), total
