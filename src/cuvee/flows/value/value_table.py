"""The values of documents as a Parquet file: one row a document, one column a method.

Each `cuvee value` for a target writes the file anew, with its own methods alone.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cuvee.errors import ConfigError
from cuvee.files import atomic_path
from cuvee.types import FloatArray
from cuvee.valuation.document_table import DocumentTable

FILE = "values.parquet"
_POOL, _UNITS = b"cuvee.pool", b"cuvee.units"
_FACTS = ("id", "source", "tokens")


def write_values(
    path: Path, pool: DocumentTable, values: Mapping[str, FloatArray], units: Mapping[str, str]
) -> None:
    """Write id, source and tokens of each document, and its value by each method (null where it has none).

    Values by other methods that the file has of the same documents stay.
    """
    values = {**_earlier(path, pool), **values}
    columns = {
        "id": pa.array([pool.id_of(row) for row in range(len(pool))]),
        "source": pa.DictionaryArray.from_arrays(pa.array(pool.source), list(pool.sources)),
        "tokens": pa.array(pool.length),
        **{name: pa.array(one, mask=~np.isfinite(one)) for name, one in values.items()},
    }
    said = "; ".join(f"{name}: {units[name]}" for name in values if name in units)
    table = pa.table(columns).replace_schema_metadata({_POOL: pool.key.encode(), _UNITS: said.encode()})
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary)


def _earlier(path: Path, pool: DocumentTable) -> dict[str, FloatArray]:
    """What the file has of the same documents; nothing where it is not there or cannot be read."""
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException):
        return {}
    if (table.schema.metadata or {}).get(_POOL) != pool.key.encode():
        return {}
    return {name: _column(table, name) for name in table.column_names if name not in _FACTS}


def _column(table: pa.Table, name: str) -> FloatArray:
    return np.asarray(table.column(name).to_numpy(zero_copy_only=False), dtype=np.float64)


def read_values(path: Path, pool: DocumentTable, method: str) -> FloatArray:
    """The values of one method for the documents of a pool [n]; NaN where it has none.

    Raises:
        ConfigError: there is no such file or method, or it was written for another pool.
    """
    if not path.is_file():
        raise ConfigError(
            f"{path}: there are no values yet; `cuvee value` makes them for an evaluation of the study, and "
            "says which there are"
        )
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise ConfigError(f"{path}: cannot be read ({error}); `cuvee value` writes it again") from error
    names = [name for name in table.column_names if name not in _FACTS]
    if method not in names:
        raise ConfigError(
            f"{path}: has no values by '{method}'; it has {', '.join(names)}; name one of these, "
            "or run `cuvee value` with it"
        )
    if (table.schema.metadata or {}).get(_POOL) != pool.key.encode():
        raise ConfigError(f"{path}: was written for other documents than the study has now; value them again")
    return _column(table, method)
