"""Rows of Parquet files as records (sources).

So many rows are read at once that they stay small, by the size of their column. Where values may be stored
once and referred to, a small file can hold a long text a million times; there a row is taken to be as large
as all values together.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from cuvee.errors import BrokenRecord
from cuvee.sources.decoded import not_utf8
from cuvee.sources.record import OnBroken, Record
from cuvee.sources.unpacked import UnreadableFile, require_data

_MOST_ROWS = 1024
_BATCH_BYTES = 1 << 29


def parquet_records(path: Path, field: str | None, broken: OnBroken) -> Iterator[Record]:
    """The rows of a file.

    Args:
        path: the file.
        field: the column that is wanted, or a path into one that holds structures; None reads all columns in
            which there are strings, the others are there without a value.
        broken: called for each row that cannot be read, and for the rest of a file that is damaged.

    Raises:
        BrokenRecord: the file cannot be opened, has two columns of one name, or lacks the wanted one.
    """
    row = 0
    try:
        require_data(path)
        with pq.ParquetFile(path) as file:
            names = _wanted(file.schema_arrow, field, str(path))
            for batch in file.iter_batches(_rows_at_once(file, names), columns=list(names)):
                for index in range(len(batch)):
                    row += 1
                    try:
                        yield _record(batch, index, field, file.schema_arrow, f"{path}:{row}")
                    except BrokenRecord as error:
                        broken(error)
    except UnreadableFile as error:
        raise BrokenRecord(f"{path}:1: {error}") from error
    except (pa.ArrowException, OSError) as error:
        if not row:
            raise BrokenRecord(f"{path}:1: cannot read on: {error}") from error
        broken(BrokenRecord(f"{path}:{row + 1}: cannot read on: {error}; the rest of the file is left out"))


def _record(batch: pa.RecordBatch, index: int, field: str | None, schema: pa.Schema, location: str) -> Record:
    values = {}
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        try:
            values[name] = column[index].as_py()
        except UnicodeDecodeError as error:
            if field is not None:
                raise BrokenRecord(f"{location}: {not_utf8(error.start, error)}") from error
        except (ValueError, OverflowError, pa.ArrowException):  # a time, beside the text, that Python lacks
            values[name] = None
    if field is None:
        values |= dict.fromkeys(name for name in schema.names if name not in values)
    elif field in values and values[field] is None:
        raise BrokenRecord(f"{location}: column '{field}' is empty (null)")
    return Record(values, location, 0)


def _wanted(schema: pa.Schema, field: str | None, where: str) -> Sequence[str]:
    """The columns to read.

    Raises:
        BrokenRecord: they cannot be read as text.
    """
    twice = next((name for place, name in enumerate(schema.names) if name in schema.names[:place]), None)
    if twice is not None:
        raise BrokenRecord(f"{where}: two columns '{twice}'; name one of them otherwise")
    if field is None:
        return [one.name for one in schema if any(True for _ in _paths(one.type, one.name))]
    if problem := _problem(schema, field):
        raise BrokenRecord(f"{where}: {problem}")
    return [field]


def _problem(schema: pa.Schema, field: str) -> str | None:
    kind: Any = schema
    for name in [field] if field in schema.names else field.split("."):
        inside = isinstance(kind, pa.Schema) or pa.types.is_struct(kind)
        found = [one for one in kind if one.name == name] if inside else []
        if len(found) > 1:
            return f"two fields '{name}' in one structure; name one of them otherwise"
        if not found:
            known = [path for one in schema for path in (*_paths(one.type, one.name), one.name)]
            return (
                f"there is no column '{field}'; set text_field to one of: {', '.join(dict.fromkeys(known))}"
            )
        kind = found[0].type
    if _is_string(kind) or (pa.types.is_nested(kind) and not pa.types.is_struct(kind)):
        return None
    inner = list(_paths(kind, field))
    advice = f" to one of: {', '.join(inner)}" if inner else ""
    return f"column '{field}' holds {kind}, not strings; set text_field{advice}"


def _is_string(kind: pa.DataType) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _paths(kind: pa.DataType, name: str) -> Iterator[str]:
    """The strings in a column, each with its path; a list is one where strings are in it."""
    if pa.types.is_struct(kind):
        for one in kind:
            yield from _paths(one.type, f"{name}.{one.name}")
    elif _is_string(kind) or (pa.types.is_nested(kind) and "string" in str(kind)):
        yield name


def _rows_at_once(file: pq.ParquetFile, names: Sequence[str]) -> int:
    """How many rows stay below ``_BATCH_BYTES``, as far as the file tells."""
    prefixes = tuple(f"{name}." for name in names)
    most = 1.0
    for group in map(file.metadata.row_group, range(file.metadata.num_row_groups)):
        a_row = 0.0
        for column in map(group.column, range(group.num_columns)):
            if column.path_in_schema in names or column.path_in_schema.startswith(prefixes):
                share = 1 if column.has_dictionary_page else max(group.num_rows, 1)
                a_row += column.total_uncompressed_size / share
        most = max(most, a_row)
    return max(1, min(_MOST_ROWS, int(_BATCH_BYTES / most)))
