"""Hugging Face datasets saved to disk, with a column ``input_ids``: one row, one document.

    dataset_info.json, state.json   about the data; state.json lists the files of it
    data-*.arrow                    Arrow streams (or files), memory-mapped: tokens are not copied

Only pyarrow is needed. The tokens of a file are named by their place in it, so that shards can refer to them.
Where all rows are of one length and documents end inside them, rows are packed: documents end at end-of-text
tokens then, and where a batch of rows does.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from cuvee.errors import BrokenRecord
from cuvee.sources.token_file import TokenFile
from cuvee.types import IntArray

NAME = "arrow"

_LOOKED_AT = 64

COLUMN = "input_ids"
"""The column with the tokens."""


def open_arrow(path: Path, end_of_text: int, vocabulary: int) -> TokenFile:
    """Open a file of a saved dataset.

    Raises:
        BrokenRecord: it is damaged, compressed inside, or has no such column of whole numbers.
    """
    try:
        with pa.memory_map(str(path)) as file:
            first = pa.py_buffer(file.read_buffer()).address
            found = list(_places(path, file, first))
    except (pa.ArrowException, OSError) as error:
        raise BrokenRecord(f"{path}: cannot be read as Arrow ({error}); save the dataset anew") from error
    if not found:
        raise BrokenRecord(f"{path}: has no row")
    dtype = found[0][0]
    starts, lengths = (np.concatenate([one[place] for one in found]) for place in (1, 2))
    file = TokenFile(path, NAME, dtype, starts, lengths)
    return _unpacked(file, end_of_text) if _is_packed(file, end_of_text) else file


def _is_packed(file: TokenFile, end_of_text: int) -> bool:
    """Whether rows hold several documents, by the first of them."""
    if file.documents < 2 or (file.lengths[:-1] != file.lengths[0]).any():
        return False
    first = (
        file.read(int(file.starts[row]), int(file.lengths[row]))
        for row in range(min(file.documents, _LOOKED_AT))
    )
    return any((row[1:-1] == end_of_text).any() for row in first)


def _unpacked(file: TokenFile, end_of_text: int) -> TokenFile:
    """The documents inside packed rows."""
    begins = file.starts[1:] != file.starts[:-1] + file.lengths[:-1]
    edges = np.concatenate(([0], np.flatnonzero(begins) + 1, [file.documents]))
    found = []
    for first, last in pairwise(edges.tolist()):  # rows that lie one behind the other
        start, stop = int(file.starts[first]), int(file.starts[last - 1] + file.lengths[last - 1])
        ends = np.flatnonzero(file.read(start, stop - start) == end_of_text) + start + 1
        ends = ends if len(ends) and ends[-1] == stop else np.append(ends, stop)
        found.append((np.concatenate(([start], ends[:-1])), ends))
    starts, ends = (np.concatenate([one[place] for one in found]) for place in (0, 1))
    return replace(file, starts=starts, lengths=ends - starts)


def _places(
    path: Path, file: pa.MemoryMappedFile, first: int
) -> Iterator[tuple[np.dtype[Any], IntArray, IntArray]]:
    """Of each batch of rows: type of a token, first token and tokens of each row."""
    rows, size = 0, path.stat().st_size
    for batch in _batches(path, file):
        column = _column(path, batch)
        values = column.values if hasattr(column, "values") else column.flatten()
        if column.null_count or values.null_count:
            raise BrokenRecord(f"{path}:{rows + 1}: column '{COLUMN}' has empty cells (null); leave them out")
        dtype = np.dtype(values.type.to_pandas_dtype())
        address = values.buffers()[1].address - first
        if not 0 <= address < size or address % dtype.itemsize:
            raise BrokenRecord(f"{path}: is compressed inside; save the dataset without compression")
        offsets = _offsets(column) + values.offset + address // dtype.itemsize
        yield dtype, offsets[:-1], np.diff(offsets)
        rows += len(batch)


def _batches(path: Path, file: pa.MemoryMappedFile) -> Iterator[pa.RecordBatch]:
    file.seek(0)
    if file.read(6) == b"ARROW1":
        reader = pa.ipc.open_file(file)
        yield from (reader.get_batch(index) for index in range(reader.num_record_batches))
        return
    file.seek(0)
    yield from (one for one in pa.ipc.open_stream(file) if len(one))


def _column(path: Path, batch: pa.RecordBatch) -> pa.Array:
    if COLUMN not in batch.schema.names:
        known = ", ".join(batch.schema.names) or "none"
        raise BrokenRecord(
            f"{path}: there is no column '{COLUMN}' (columns: {known}); save the tokenized dataset, or give "
            "text as Parquet"
        )
    column = batch.column(batch.schema.get_field_index(COLUMN))
    lists = (pa.ListArray, pa.LargeListArray, pa.FixedSizeListArray)
    if not isinstance(column, lists) or not pa.types.is_integer(column.type.value_type):
        raise BrokenRecord(f"{path}: column '{COLUMN}' holds {column.type}, not lists of whole numbers")
    return column


def _offsets(column: pa.Array) -> IntArray:
    """Where each row begins among the values, and the end, int64 [rows + 1]."""
    if isinstance(column, pa.FixedSizeListArray):
        return np.arange(len(column) + 1, dtype=np.int64) * int(column.type.list_size)
    offsets: IntArray = column.offsets.to_numpy().astype(np.int64)
    return offsets
