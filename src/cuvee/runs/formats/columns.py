"""Columns of any CSV or Parquet file, and what their cells say. pyarrow is loaded late, for Parquet."""

import csv
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cuvee.errors import ConfigError

SHARE_PREFIX = "w:"
METRIC_PREFIX = "m:"
LARGEST_CELL = 2**26
"""Characters of a cell; exports hold whole configurations in one, beyond the 131072 that csv allows."""


def csv_columns(path: Path) -> tuple[list[str], list[list[Any]]]:
    """Header and columns of any CSV file, all cells as text.

    Raises:
        ConfigError: the file cannot be read, is empty, or has a row of another length.
    """
    limit = csv.field_size_limit(LARGEST_CELL)
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, strict=True)
            header = next(reader, None)
            if header is None:
                raise ConfigError(f"{path} is empty; the first line must name the columns")
            _check_commas(header, path)
            rows = []
            for row in reader:
                if not row:
                    continue  # an empty line, often the last
                if len(row) != len(header):
                    raise ConfigError(
                        f"{path}, line {reader.line_num}: {len(row)} cells, but the header has {len(header)}"
                    )
                rows.append(row)
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror or error}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path} is not a CSV file in UTF-8: {error}") from error
    finally:
        csv.field_size_limit(limit)
    return header, [[row[place] for row in rows] for place in range(len(header))]


def _check_commas(header: Sequence[str], path: Path) -> None:
    """Refuse a file that another sign divides, as spreadsheets write it where commas divide fractions."""
    for sign, name in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars")):
        if len(header) == 1 and header[0].count(sign) > 1:
            raise ConfigError(
                f"{path}: {name} divide its columns; write it with commas, and fractions with points"
            )


def parquet_columns(path: Path) -> tuple[list[str], list[list[Any]]]:
    """Names and columns of any Parquet file as Python values.

    Raises:
        ConfigError: the file cannot be read.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # From memory and without threads: those that Arrow starts for a file sometimes abort the process as
        # it ends ("terminate called without an active exception", pyarrow 26).
        table = pq.ParquetFile(pa.BufferReader(path.read_bytes())).read(use_threads=False)
        return table.column_names, [column.to_pylist() for column in table.columns]
    except (OSError, ValueError, OverflowError, pa.ArrowException) as error:
        raise ConfigError(f"cannot read {path} as Parquet: {error}") from error


def number(value: Any, where: str) -> float:
    """A cell as a float; NaN if it is empty or null.

    Raises:
        ConfigError: it is no number; the message begins with ``where``.
    """
    if value is None or value == "":
        return math.nan
    if not isinstance(value, bool):
        try:
            return float(value)
        except (TypeError, ValueError, OverflowError):
            pass
    raise ConfigError(f"{where}: {value!r} is not a number")


def whole_number(value: Any, where: str) -> int | None:
    """A cell as an integer; None if it is empty or null. ``1e9`` and ``1000.0`` are whole numbers.

    Raises:
        ConfigError: it is no whole number.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and value.removeprefix("-").isdecimal():
        return int(value)  # not by way of a float, which is exact only up to 2**53
    result = number(value, where)
    if math.isnan(result):
        return None
    if math.isinf(result) or result != int(result):
        raise ConfigError(f"{where}: {value!r} is not a whole number")
    return int(result)


def check_header(names: Sequence[str], where: str) -> None:
    """Refuse repeated column names."""
    for place, name in enumerate(names):
        if name in names[:place]:
            raise ConfigError(f"{where} has two columns {name!r}")
