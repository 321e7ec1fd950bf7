"""Megatron-LM's indexed datasets: tokens in NAME.bin, documents in NAME.idx.

    "MMIDIDX" 0 0, version 1 (u64), type (u8), sequences S (u64), document marks M (u64),
    tokens of each sequence (i32 [S]), its first byte (i64 [S]), the first sequence of each document (i64
    [M]), modes (i8 [S]) of multimodal data, which are not read

Read from megatron/core/datasets/indexed_dataset.py, core 0.19.2. All is little endian.
"""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cuvee.errors import BrokenRecord
from cuvee.sources.token_file import TokenFile, in_order
from cuvee.types import IntArray

NAME = "megatron"

_MAGIC = b"MMIDIDX\x00\x00"
_HEAD = struct.Struct("<9sQBQQ")
_TYPES = {1: "u1", 2: "i1", 3: "<i2", 4: "<i4", 5: "<i8", 8: "<u2"}


def index_of(path: Path) -> Path:
    """The index beside a file of tokens."""
    return path.with_suffix(".idx")


@dataclass(frozen=True, eq=False)
class _Index:
    dtype: np.dtype[Any]
    lengths: IntArray
    """Tokens of each sequence [S]."""
    begins: IntArray
    """First byte of each sequence [S]."""
    marks: IntArray
    """First sequence of each document, and the end [M]."""


def tokens_in(path: Path) -> int:
    """Tokens of NAME.bin by its size and the head of its index.

    Raises:
        BrokenRecord: the index cannot be read, or is none.
    """
    index = index_of(path)
    try:
        with index.open("rb") as stream:
            code, _, _ = _head(index, stream.read(_HEAD.size))
    except OSError as error:
        raise BrokenRecord(f"{index}: cannot be opened ({error.strerror})") from error
    return path.stat().st_size // np.dtype(_TYPES[code]).itemsize


def open_megatron(path: Path, end_of_text: int, vocabulary: int) -> TokenFile:
    """Open NAME.bin by its index, which says all: the tokenizer is not asked.

    Raises:
        BrokenRecord: one of both is damaged, or they do not fit together.
    """
    index = _read(index_of(path))
    size = index.dtype.itemsize
    _check_size(path, index, path.stat().st_size)
    first = np.concatenate((index.begins // size, [0]))[index.marks[:-1]]
    sums = np.concatenate(([0], np.cumsum(index.lengths, dtype=np.int64)))
    lengths = np.diff(sums[index.marks])
    first[lengths == 0] = 0
    in_order(index_of(path), first, lengths, path.stat().st_size // size)
    return TokenFile(path, NAME, index.dtype, first, lengths)


def _read(path: Path) -> _Index:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BrokenRecord(
            f"{path}: cannot be opened ({error.strerror}); a .bin of Megatron needs its .idx beside it"
        ) from error
    code, sequences, marks = _head(path, data)
    needed = _HEAD.size + 12 * sequences + 8 * marks
    if len(data) not in (needed, needed + sequences):
        raise BrokenRecord(
            f"{path}: {sequences:,} sequences and {marks:,} marks take {needed:,} bytes, it has "
            f"{len(data):,}; "
            f"{'it is truncated, ' if len(data) < needed else ''}write it anew"
        )
    lengths = np.frombuffer(data, "<i4", sequences, _HEAD.size).astype(np.int64)
    begins = np.frombuffer(data, "<i8", sequences, _HEAD.size + 4 * sequences)
    starts = np.frombuffer(data, "<i8", marks, _HEAD.size + 12 * sequences)
    if not marks or starts[0] != 0 or starts[-1] != sequences or (np.diff(starts) < 0).any():
        raise BrokenRecord(f"{path}: its documents do not divide its {sequences:,} sequences; write it anew")
    index = _Index(np.dtype(_TYPES[code]), lengths, begins, starts)
    _check_contiguous(path, index)
    return index


def _head(path: Path, data: bytes) -> tuple[int, int, int]:
    """Type, sequences and marks, as the first bytes of an index say."""
    if len(data) < _HEAD.size:
        raise BrokenRecord(f"{path}: has {len(data)} bytes and no whole head; it is truncated, write it anew")
    magic, version, code, sequences, marks = _HEAD.unpack_from(data)
    if magic != _MAGIC:
        raise BrokenRecord(f"{path}: is no index of Megatron: it does not begin with MMIDIDX")
    if version != 1 or code not in _TYPES:
        raise BrokenRecord(f"{path}: version {version} and type {code} are not known (1; {[*_TYPES]})")
    return code, sequences, marks


def _check_contiguous(path: Path, index: _Index) -> None:
    """The sequences of a document stand one behind the other."""
    behind = index.begins[:-1] + index.lengths[:-1] * index.dtype.itemsize
    apart = np.flatnonzero(index.begins[1:] != behind) + 1
    inside = apart[~np.isin(apart, index.marks)]
    if len(inside) or (index.begins % index.dtype.itemsize).any():
        raise BrokenRecord(
            f"{path}: sequence {int(inside[0]) if len(inside) else 0} does not stand behind the one before "
            "it in its document; write the dataset anew"
        )


def _check_size(path: Path, index: _Index, size: int) -> None:
    tokens, width = int(index.lengths.sum()), index.dtype.itemsize
    ends = index.begins + index.lengths * width
    if not len(ends) or size == int(ends.max()):
        return
    other = [one for one in (1, 2, 4, 8) if one != width and size == tokens * one]
    if other:
        raise BrokenRecord(
            f"{path}: {tokens:,} tokens of type {index.dtype.name}, as its .idx says, take "
            f"{tokens * width:,} bytes; "
            f"it has {size:,}, which are {other[0]} a token: .bin and .idx are of different types"
        )
    what = "is truncated" if size < int(ends.max()) else "is longer than its index"
    raise BrokenRecord(
        f"{path}: {what}: its .idx says {tokens:,} tokens, {int(ends.max()):,} bytes, and it has {size:,}; "
        "write both anew"
    )
