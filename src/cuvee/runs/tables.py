"""Observations as tables on disk: CSV and Parquet, exactly there and back.

Columns, in this order: ``key, kind, role, estimand, seed, params, tokens, flops``, then one
``w:<source>`` per source (token share) and one ``m:<metric>`` per metric. An empty cell (null in
Parquet) is unknown or not measured. CSV is UTF-8 with line feeds; floats are written by ``repr``, the
shortest text that reads back to the same bits. This file alone knows pyarrow, and loads it late.
"""

import csv
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cuvee.errors import ConfigError
from cuvee.files import atomic_path
from cuvee.runs.observations import Observations
from cuvee.types import FloatArray

TEXT_COLUMNS = ("key", "kind", "role", "estimand")
WHOLE_COLUMNS = ("seed", "params", "tokens")
FIXED_COLUMNS = (*TEXT_COLUMNS, *WHOLE_COLUMNS, "flops")
SHARE_PREFIX = "w:"
METRIC_PREFIX = "m:"
LARGEST_CELL = 2**26
"""Characters of a cell; exports hold whole configurations in one, beyond the 131072 that csv allows."""


def to_table(observations: Observations) -> Any:
    """The observations as a ``pyarrow.Table``."""
    import pyarrow as pa

    columns = _columns(observations)
    types = {**dict.fromkeys(TEXT_COLUMNS, pa.string()), **dict.fromkeys(WHOLE_COLUMNS, pa.int64())}
    arrays = [pa.array(column, types.get(name, pa.float64())) for name, column in columns.items()]
    return pa.table(arrays, names=list(columns))


def from_table(table: Any) -> Observations:
    """The inverse of ``to_table``.

    Raises:
        ConfigError: columns are missing, unknown or repeated, or hold what they must not.
    """
    return _from_columns(table.column_names, [column.to_pylist() for column in table.columns], "the table")


def write_parquet(observations: Observations, path: Path) -> None:
    """Write the table as Parquet, atomically."""
    import pyarrow.parquet as pq

    table = to_table(observations)
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary)


def read_parquet(path: Path) -> Observations:
    """The inverse of ``write_parquet``."""
    names, columns = parquet_columns(path)
    return _from_columns(names, columns, str(path))


def write_csv(observations: Observations, path: Path) -> None:
    """Write the table as CSV, atomically."""
    columns = _columns(observations)
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(
            zip(*([_cell(value) for value in column] for column in columns.values()), strict=True)
        )


def read_csv(path: Path) -> Observations:
    """The inverse of ``write_csv``."""
    names, columns = csv_columns(path)
    return _from_columns(names, columns, str(path))


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


def _columns(observations: Observations) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {
        "key": list(observations.keys),
        "kind": list(observations.kind),
        "role": list(observations.role),
        "estimand": list(observations.estimand),
        "seed": observations.seed.tolist(),
        "params": [None if value is None else int(value) for value in _known(observations.params)],
        "tokens": [None if value is None else int(value) for value in _known(observations.tokens)],
        "flops": _known(observations.flops),
    }
    for place, name in enumerate(observations.sources):
        columns[SHARE_PREFIX + name] = observations.shares[:, place].tolist()
    for place, name in enumerate(observations.metrics):
        columns[METRIC_PREFIX + name] = _known(observations.values[:, place])
    return columns


def _known(array: FloatArray) -> list[float | None]:
    return [None if math.isnan(value) else value for value in array.tolist()]


def _cell(value: str | float | None) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else repr(value)


def _from_columns(names: Sequence[str], columns: Sequence[list[Any]], where: str) -> Observations:
    check_header(names, where)
    table = dict(zip(names, columns, strict=True))
    for name in FIXED_COLUMNS:
        if name not in table:
            raise ConfigError(f"{where} has no column {name!r}; read tables of others by import_runs")
    shares = [name for name in names if name.startswith(SHARE_PREFIX)]
    metrics = [name for name in names if name.startswith(METRIC_PREFIX)]
    for name in names:
        if name not in FIXED_COLUMNS and name not in shares and name not in metrics:
            raise ConfigError(f"{where} has an unknown column {name!r}; read tables of others by import_runs")
    rows = len(columns[0])

    def numbers(name: str) -> list[float]:
        return [number(value, f"{where}, row {row}, {name}") for row, value in enumerate(table[name], 1)]

    def whole(name: str) -> list[int | None]:
        return [
            whole_number(value, f"{where}, row {row}, {name}") for row, value in enumerate(table[name], 1)
        ]

    seeds = whole("seed")
    if None in seeds:
        raise ConfigError(f"{where}, row {seeds.index(None) + 1}: seed is missing")
    try:
        return Observations(
            sources=tuple(name.removeprefix(SHARE_PREFIX) for name in shares),
            metrics=tuple(name.removeprefix(METRIC_PREFIX) for name in metrics),
            keys=tuple(table["key"]),
            shares=np.array([numbers(name) for name in shares]).T.reshape(rows, len(shares)),
            params=np.array([math.nan if value is None else value for value in whole("params")]),
            tokens=np.array([math.nan if value is None else value for value in whole("tokens")]),
            kind=tuple(table["kind"]),
            seed=np.array(seeds, dtype=np.int64),
            estimand=tuple(table["estimand"]),
            role=tuple(table["role"]),
            values=np.array([numbers(name) for name in metrics]).T.reshape(rows, len(metrics)),
            flops=np.array(numbers("flops")),
        )
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error
    except OverflowError as error:
        raise ConfigError(f"{where}: a whole number is too large") from error
