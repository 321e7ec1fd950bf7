"""Arrays of tokens with an end-of-text token behind each document, as OLMo-core and dolma write them.

    NAME.npy      tokens without a header, little endian; a real .npy of one dimension is read as well
    NAME.csv.gz   optional: a line for each document, beginning with its first token and its end

The width of a token is not written down. It is the narrowest that holds the vocabulary, as OLMo-core takes
it, unless the metadata need another; or every second place is empty, which tokens of that width never are.
Read from olmo_core/data/utils.py, OLMo-core 3.0.0, and dolma's memmap_writer.py.
"""

import gzip
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from cuvee.errors import BrokenRecord
from cuvee.sources.token_file import TokenFile, blocks_of, check_range, divided_at, in_order
from cuvee.types import IntArray

NAME = "olmo"

_NUMPY = b"\x93NUMPY"
_WIDTHS = (1, 2, 4, 8)


def is_array_of_tokens(path: Path) -> bool:
    """Whether a .npy may hold tokens: without a header, or whole numbers of one dimension."""
    if not has_header(path):
        return True
    try:
        dtype, _, shape = _header(path)
    except BrokenRecord:
        return False
    return len(shape) == 1 and dtype.kind in "iu"


def has_header(path: Path) -> bool:
    """Whether it is a real .npy, which OLMo-core would read as tokens from its first byte on."""
    with path.open("rb") as stream:
        return stream.read(len(_NUMPY)) == _NUMPY


def metadata_of(path: Path) -> Path:
    """The list of documents beside an array."""
    return path.with_suffix(".csv.gz")


def open_separated(path: Path, end_of_text: int, vocabulary: int) -> TokenFile:
    """Open an array of tokens.

    Raises:
        BrokenRecord: it holds no such tokens, no end-of-text token, or its metadata do not fit.
    """
    listed = _listed(metadata_of(path))
    if has_header(path):
        dtype, offset, shape = _header(path)
        if len(shape) != 1 or dtype.kind not in "iu":
            raise BrokenRecord(f"{path}: holds {dtype.name} of shape {shape}, not a row of tokens")
    else:
        dtype, offset = _width(path, vocabulary, listed), 0
    if listed is None:
        return TokenFile(path, NAME, dtype, *divided_at(path, dtype, end_of_text, vocabulary, offset), offset)
    before = 0
    for block in blocks_of(path, dtype, offset):
        check_range(block, vocabulary, str(path), before)
        before += len(block)
    starts, lengths = listed
    in_order(metadata_of(path), starts, lengths, before)
    return TokenFile(path, NAME, dtype, starts, lengths, offset)


def _header(path: Path) -> tuple[np.dtype[Any], int, tuple[int, ...]]:
    """Type, first byte and shape of a real .npy."""
    try:
        with path.open("rb") as stream:
            version = np.lib.format.read_magic(stream)
            read = {(1, 0): np.lib.format.read_array_header_1_0}.get(
                version, np.lib.format.read_array_header_2_0
            )
            shape, _, dtype = read(stream)
            offset = stream.tell()
    except Exception as error:  # NumPy's reader of headers raises whatever its parser does
        raise BrokenRecord(f"{path}: its header cannot be read ({error}); write it anew") from error
    size = path.stat().st_size - offset
    if size != int(np.prod(shape)) * dtype.itemsize:
        raise BrokenRecord(f"{path}: {shape} of {dtype.name} do not take {size:,} bytes; it is damaged")
    return dtype, offset, shape


def _width(path: Path, vocabulary: int, listed: tuple[IntArray, IntArray] | None) -> np.dtype[Any]:
    """The type of the tokens of an array without a header."""
    size = path.stat().st_size
    if listed is not None and len(listed[0]):
        count = int((listed[0] + listed[1]).max())
        for width in _WIDTHS:
            if size == width * count:
                return np.dtype(f"<u{width}")
        raise BrokenRecord(
            f"{path}: {count:,} tokens, as {metadata_of(path).name} says, do not take {size:,} bytes at any "
            "width: one of both is truncated or of another array"
        )
    narrowest = next(width for width in _WIDTHS if vocabulary <= 1 << 8 * width)
    for width in (one for one in _WIDTHS if one >= max(narrowest, 1)):
        dtype = np.dtype(f"<u{width}")
        first = next(blocks_of(path, dtype), np.zeros(0, dtype))
        if size % width == 0 and (len(first) < 4 or first[1::2].any()):
            return dtype
    raise BrokenRecord(
        f"{path}: its {size:,} bytes are no tokens of {narrowest} or more bytes; it is truncated"
    )


def _listed(path: Path) -> tuple[IntArray, IntArray] | None:
    """Starts and lengths of the documents that metadata name; None where there are none."""
    if not path.is_file():
        return None
    rows = []
    try:
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                pieces = line.split(",", 2)
                if number == 1 and pieces[0].strip().strip('"') == "start":
                    continue
                rows.append((int(pieces[0]), int(pieces[1])))
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise BrokenRecord(f"{path}: cannot be read ({error}); write it anew or take it away") from error
    except (ValueError, IndexError) as error:
        raise BrokenRecord(f"{path}:{number}: needs the first token and the end of a document") from error
    table = np.array(rows, dtype=np.int64).reshape(-1, 2)
    return table[:, 0], table[:, 1] - table[:, 0]
