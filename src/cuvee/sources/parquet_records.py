"""Rows of Parquet files as records (sources).

So many rows are read at once that they stay small. Where values are stored once and referred to, a small file
can hold a long text a million times; so a row is taken to be as large as its whole group.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from cuvee.errors import BrokenRecord
from cuvee.sources.decoded import not_utf8
from cuvee.sources.record import OnBroken, Record, shown, too_large
from cuvee.sources.unpacked import UnreadableFile, require_data

_MOST_ROWS = 1024
_BATCH_BYTES = 1 << 29
_GLANCE_BYTES = 1 << 16
_NAMED = 24


def parquet_records(path: Path, field: str | None, broken: OnBroken, limit: int) -> Iterator[Record]:
    """The rows of a file.

    Args:
        path: the file.
        field: the column that is wanted, or a path into one that holds structures; None reads all columns in
            which there are strings.
        broken: called for each row that cannot be read, and for the rest of a file that is damaged.
        limit: bytes of the largest text.

    Raises:
        BrokenRecord: the file cannot be opened, has two columns of one name, or lacks the wanted one.
    """
    row = 0
    try:
        require_data(path)
        with pq.ParquetFile(path) as file:
            names = _wanted(file.schema_arrow, field, str(path))
            for batch in file.iter_batches(_rows_at_once(file), columns=list(names)):
                for index in range(len(batch)):
                    row += 1
                    try:
                        yield Record(_values(batch, index, field, f"{path}:{row}", limit), f"{path}:{row}", 0)
                    except BrokenRecord as error:
                        broken(error)
    except UnreadableFile as error:
        raise BrokenRecord(f"{path}:1: {error}") from error
    except (pa.ArrowException, OSError, ValueError, LookupError) as error:
        if not row:
            raise BrokenRecord(f"{path}:1: cannot read on: {error}") from error
        broken(BrokenRecord(f"{path}:{row + 1}: cannot read on: {error}; nothing after it can be read"))


def _values(
    batch: pa.RecordBatch, index: int, field: str | None, location: str, limit: int
) -> dict[str, Any]:
    """The cells of a row by column."""
    cells = zip(batch.schema.names, batch.columns, strict=True)
    if field is None:
        return {name: _glance(column[index]) for name, column in cells}
    values = {name: _value(column[index], name, location, limit) for name, column in cells}
    if field in values and values[field] is None:
        raise BrokenRecord(f"{location}: column '{field}' is empty (null)")
    return values


def _glance(cell: pa.Scalar) -> Any:
    """A cell of any column: the beginning of a long string, None for what cannot be read."""
    buffer = _string_in(cell)
    if buffer is not None and buffer.size > _GLANCE_BYTES:
        return buffer[:_GLANCE_BYTES].to_pybytes().decode(errors="ignore")
    try:
        return cell.as_py()
    except (ValueError, OverflowError, pa.ArrowException):  # such as a time that Python lacks
        return None


def _value(cell: pa.Scalar, name: str, location: str, limit: int) -> Any:
    buffer = _string_in(cell)
    if buffer is not None and buffer.size > limit:
        raise BrokenRecord(f"{location}: {too_large(name, buffer.size, limit)}")
    try:
        return cell.as_py()
    except UnicodeDecodeError as error:
        raise BrokenRecord(f"{location}: {not_utf8(error.start, error)}") from error


def _string_in(cell: pa.Scalar) -> pa.Buffer | None:
    """The bytes of a string, before they are copied; None for anything else."""
    cell = cell.value if isinstance(cell, pa.DictionaryScalar) else cell
    strings = (pa.StringScalar, pa.LargeStringScalar, pa.StringViewScalar)
    return cell.as_buffer() if isinstance(cell, strings) else None


def _wanted(schema: pa.Schema, field: str | None, where: str) -> Sequence[str]:
    """The columns to read.

    Raises:
        BrokenRecord: they cannot be read as text.
    """
    twice = next((name for place, name in enumerate(schema.names) if name in schema.names[:place]), None)
    if twice is not None:
        raise BrokenRecord(f"{where}: two columns '{shown(twice)}'; name one of them otherwise")
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
            return f"there is no column '{field}'; set text_field to one of: {_listed(known)}"
        kind = found[0].type
    if _is_string(kind) or (pa.types.is_nested(kind) and not pa.types.is_struct(kind)):
        return None
    inner = list(_paths(kind, field))
    advice = f" to one of: {_listed(inner)}" if inner else ""
    return f"column '{field}' holds {shown(str(kind))}, not strings; set text_field{advice}"


def _listed(names: Sequence[str]) -> str:
    different = list(dict.fromkeys(names))
    return ", ".join(map(shown, different[:_NAMED])) + (", ..." if len(different) > _NAMED else "")


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


def _rows_at_once(file: pq.ParquetFile) -> int:
    """How many rows stay below ``_BATCH_BYTES``, as far as the file says.

    By the size of whole row groups: to ask for that of a column aborts the process where the file is damaged
    (pyarrow 26).
    """
    groups = range(file.metadata.num_row_groups)
    largest = max((file.metadata.row_group(group).total_byte_size for group in groups), default=1)
    return max(1, min(_MOST_ROWS, _BATCH_BYTES // max(largest, 1)))
