"""The fields of observations as tables on disk: CSV and Parquet, exactly there and back.

Columns, in this order: ``key, kind, role, estimand, seed, params, tokens, flops``, then one
``w:<source>`` per source (token share) and one ``m:<metric>`` per metric. An empty cell (null in
Parquet) is unknown or not measured. CSV is UTF-8 with line feeds; floats are written by ``repr``, the
shortest text that reads back to the same bits. pyarrow is loaded late.
"""

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cuvee.errors import ConfigError
from cuvee.files import atomic_path
from cuvee.runs.formats.columns import (
    METRIC_PREFIX,
    SHARE_PREFIX,
    check_header,
    csv_columns,
    number,
    parquet_columns,
    whole_number,
)
from cuvee.types import FloatArray

TEXT_COLUMNS = ("key", "kind", "role", "estimand")
WHOLE_COLUMNS = ("seed", "params", "tokens")
FIXED_COLUMNS = (*TEXT_COLUMNS, *WHOLE_COLUMNS, "flops")

Fields = Mapping[str, Any]
"""Of ``Observations``, by name."""


def to_table(fields: Fields) -> Any:
    """Observations as a ``pyarrow.Table``."""
    import pyarrow as pa

    columns = _columns(fields)
    types = {**dict.fromkeys(TEXT_COLUMNS, pa.string()), **dict.fromkeys(WHOLE_COLUMNS, pa.int64())}
    arrays = [pa.array(column, types.get(name, pa.float64())) for name, column in columns.items()]
    return pa.table(arrays, names=list(columns))


def from_table(table: Any) -> dict[str, Any]:
    """The inverse of ``to_table``.

    Raises:
        ConfigError: columns are missing, unknown or repeated, or hold what they must not.
    """
    return _from_columns(table.column_names, [column.to_pylist() for column in table.columns], "the table")


def write_parquet(fields: Fields, path: Path) -> None:
    """Write the table as Parquet, atomically."""
    import pyarrow.parquet as pq

    table = to_table(fields)
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary)


def read_parquet(path: Path) -> dict[str, Any]:
    """The inverse of ``write_parquet``."""
    names, columns = parquet_columns(path)
    return _from_columns(names, columns, str(path))


def write_csv(fields: Fields, path: Path) -> None:
    """Write the table as CSV, atomically."""
    columns = _columns(fields)
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(
            zip(*([_cell(value) for value in column] for column in columns.values()), strict=True)
        )


def read_csv(path: Path) -> dict[str, Any]:
    """The inverse of ``write_csv``."""
    names, columns = csv_columns(path)
    return _from_columns(names, columns, str(path))


def _columns(fields: Fields) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {
        "key": list(fields["keys"]),
        "kind": list(fields["kind"]),
        "role": list(fields["role"]),
        "estimand": list(fields["estimand"]),
        "seed": fields["seed"].tolist(),
        "params": [None if value is None else int(value) for value in _known(fields["params"])],
        "tokens": [None if value is None else int(value) for value in _known(fields["tokens"])],
        "flops": _known(fields["flops"]),
    }
    for place, name in enumerate(fields["sources"]):
        columns[SHARE_PREFIX + name] = fields["shares"][:, place].tolist()
    for place, name in enumerate(fields["metrics"]):
        columns[METRIC_PREFIX + name] = _known(fields["values"][:, place])
    return columns


def _known(array: FloatArray) -> list[float | None]:
    return [None if math.isnan(value) else value for value in array.tolist()]


def _cell(value: str | float | None) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else repr(value)


def _from_columns(names: Sequence[str], columns: Sequence[list[Any]], where: str) -> dict[str, Any]:
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
        return {
            "sources": tuple(name.removeprefix(SHARE_PREFIX) for name in shares),
            "metrics": tuple(name.removeprefix(METRIC_PREFIX) for name in metrics),
            "keys": tuple(table["key"]),
            "shares": np.array([numbers(name) for name in shares]).T.reshape(rows, len(shares)),
            "params": np.array([math.nan if value is None else value for value in whole("params")]),
            "tokens": np.array([math.nan if value is None else value for value in whole("tokens")]),
            "kind": tuple(table["kind"]),
            "seed": np.array(seeds, dtype=np.int64),
            "estimand": tuple(table["estimand"]),
            "role": tuple(table["role"]),
            "values": np.array([numbers(name) for name in metrics]).T.reshape(rows, len(metrics)),
            "flops": np.array(numbers("flops")),
        }
    except OverflowError as error:
        raise ConfigError(f"{where}: a whole number is too large") from error
