"""The bytes of a file, unpacked on the way, in blocks or in lines of a limited length (sources).

Only regular files are opened: a pipe would wait for ever, a device never ends. Memory is bounded by a block,
the longest line allowed, and the window of the compression, which has a limit of its own.
"""

import bz2
import codecs
import gzip
import lzma
import stat
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from shlex import quote
from typing import BinaryIO, Protocol

import pyarrow as pa

from cuvee.sources.file_types import COMPRESSIONS, is_pointer

BLOCK_BYTES = 1 << 16
"""Small, because all of a block is lost where a file ends too early."""
LARGEST_WINDOW = 1 << 27
"""Bytes that unpacking may look back: all that zstd unpacks without being asked twice."""

_MAGIC = {".gz": b"\x1f\x8b", ".zst": b"\x28\xb5\x2f\xfd", ".bz2": b"BZh", ".xz": b"\xfd7zXZ\x00"}
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_CONVERT = "convert the file, for example with iconv -f utf-16 -t utf-8"
_SKIPPABLE = b"\x2a\x4d\x18"  # behind one byte that may be any: a frame of zstd without data
_HEAD_BYTES = 18
_PIECE_BYTES = 1 << 20
_MOST_UNPACKED = 1 << 24
_DAMAGE = (pa.ArrowException, OSError, EOFError, zlib.error, lzma.LZMAError)
_MOST_BLANK = 1 << 20
_PATIENCE = 64
"""A line is looked through for its end up to so many times the limit."""


class UnreadableFile(Exception):
    """The file cannot be opened or unpacked (any further); its text is the reason."""


class _Stream(Protocol):
    def read(self, size: int, /) -> bytes: ...


def require_data(path: Path) -> None:
    """Refuse what is no regular file, and pointers of Git LFS.

    Raises:
        UnreadableFile: says which.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise UnreadableFile("is no regular file; give files, not pipes or devices")
        if is_pointer(path):
            raise UnreadableFile("is a pointer of Git LFS and not the data; fetch that with `git lfs pull`")
    except OSError as error:
        raise UnreadableFile(f"cannot be opened: {error.strerror or error}") from error


def blocks(path: Path) -> Iterator[bytes]:
    """The unpacked bytes of a file in blocks of about ``BLOCK_BYTES``.

    Raises:
        UnreadableFile: it cannot be read on.
    """
    require_data(path)
    suffix = path.suffix.lower()
    try:
        with path.open("rb") as file:
            _check_head(file.read(_HEAD_BYTES), suffix, path)
            file.seek(0)
            for number, block in enumerate(_UNPACKERS.get(suffix, _read)(file)):
                if number == 0 and block.startswith(_UTF16):
                    raise UnreadableFile(f"is UTF-16, not UTF-8; {_CONVERT}")
                yield block
    except _DAMAGE as error:
        raise UnreadableFile(f"cannot read on: {_reason(error, path)}") from error


def lines(path: Path, limit: int) -> Iterator[bytes | None]:
    """The lines of a file, without their ends and a byte-order mark; None for one longer than the limit.

    None comes before the rest of that line is read.

    Raises:
        UnreadableFile: it cannot be read on, or nothing but blank lines or one line without an end comes.
    """
    blank = 0
    for number, line in enumerate(_limited_lines(path, limit)):
        if number == 0 and line is not None:
            line = line.removeprefix(codecs.BOM_UTF8)
        blank = blank + len(line) + 1 if line is not None and (not line or line.isspace()) else 0
        if blank > _MOST_BLANK:
            raise UnreadableFile(f"more than {in_words(_MOST_BLANK)} of blank lines")
        yield line


def expansion(path: Path) -> float:
    """Bytes that a byte of a regular file unpacks to, by its first piece; 1 where it is not compressed."""
    suffix = path.suffix.lower()
    if suffix not in COMPRESSIONS:
        return 1.0
    unpacked = packed = 0
    with path.open("rb") as file, suppress(*_DAMAGE):
        for block in _UNPACKERS[suffix](file):
            unpacked, packed = unpacked + len(block), file.tell()
            if packed >= _PIECE_BYTES or unpacked >= _MOST_UNPACKED:
                break
    return max(unpacked, 1) / max(packed, 1)


def in_words(size: int) -> str:
    """A number of bytes in the unit that suits it: ``16 MB``."""
    for unit, bytes_ in (("GB", 1 << 30), ("MB", 1 << 20), ("kB", 1 << 10)):
        if size >= bytes_:
            return f"{size / bytes_:.3g} {unit}"
    return f"{size} bytes"


def _limited_lines(path: Path, limit: int) -> Iterator[bytes | None]:
    parts: list[bytes] = []
    size = 0  # of the line so far
    too_long = False
    for block in blocks(path):
        head, *tail = block.split(b"\n")
        size += len(head)
        if not too_long:
            parts.append(head)
        for line in tail:
            if not too_long:
                yield b"".join(parts) if size <= limit else None
            parts, size, too_long = [line], len(line), False
        if size > limit and not too_long:
            yield None
            parts, too_long = [], True
        if size > _PATIENCE * limit:
            raise UnreadableFile(f"a line does not end within {in_words(_PATIENCE * limit)}")
    if size and not too_long:
        yield b"".join(parts)


def _read(stream: _Stream) -> Iterator[bytes]:
    while block := stream.read(BLOCK_BYTES):
        yield block


def _gunzipped(file: BinaryIO) -> Iterator[bytes]:
    with gzip.GzipFile(fileobj=file) as stream:  # passes over zeros at the end
        yield from _read(stream)


def _bunzipped(file: BinaryIO) -> Iterator[bytes]:
    with bz2.BZ2File(file) as stream:
        yield from _read(stream)


def _unzstd(file: BinaryIO) -> Iterator[bytes]:
    with pa.PythonFile(file, mode="r") as raw, pa.CompressedInputStream(raw, "zstd") as stream:
        yield from _read(stream)


def _unxz(file: BinaryIO) -> Iterator[bytes]:
    """By hand, because ``LZMAFile`` takes no limit of memory."""
    data = b""
    while data := data.lstrip(b"\0") or file.read(BLOCK_BYTES):
        if not data.strip(b"\0"):  # padding between streams
            continue
        stream = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=2 * LARGEST_WINDOW)
        while not stream.eof:
            if stream.needs_input and not data and not (data := file.read(BLOCK_BYTES)):
                raise EOFError("the file ends too early")
            block, data = stream.decompress(data, BLOCK_BYTES), b""
            if block:
                yield block
        data = stream.unused_data


_UNPACKERS: dict[str, Callable[[BinaryIO], Iterator[bytes]]] = {
    ".gz": _gunzipped,
    ".zst": _unzstd,
    ".bz2": _bunzipped,
    ".xz": _unxz,
}


def _check_head(head: bytes, suffix: str, path: Path) -> None:
    """Refuse a file whose first bytes contradict its name, and one that needs too much memory."""
    looks = next((one for one, magic in _MAGIC.items() if head.startswith(magic)), "")
    skippable = suffix == ".zst" and head[1:4] == _SKIPPABLE
    if suffix in COMPRESSIONS and looks != suffix and not skippable:
        what = f"but {COMPRESSIONS[looks]}" if looks else "though its name says so"
        raise UnreadableFile(f"cannot read on: it is no {COMPRESSIONS[suffix]} file, {what}; rename it")
    if looks and suffix not in COMPRESSIONS:
        raise UnreadableFile(
            f"cannot read on: it is compressed with {COMPRESSIONS[looks]}; name it {path.name}{looks}"
        )
    if looks == ".zst" and (window := _window(head.ljust(_HEAD_BYTES, b"\0"))) > LARGEST_WINDOW:
        raise UnreadableFile(_too_wide(path, window))


def _window(head: bytes) -> int:
    """Bytes that the first frame of a zstd file looks back (RFC 8878, 3.1.1.1)."""
    single_segment, dictionary, size = head[4] >> 5 & 1, head[4] & 3, head[4] >> 6
    if not single_segment:
        exponent, mantissa = head[5] >> 3, head[5] & 7
        return (1 << 10 + exponent) // 8 * (8 + mantissa)
    start = 5 + (0, 1, 2, 4)[dictionary]
    return int.from_bytes(head[start : start + (1, 2, 4, 8)[size]], "little")


def _too_wide(path: Path, window: int | None = None) -> str:
    how = f"--long={min((window - 1).bit_length(), 31)}" if window else "--long=31"
    wide = in_words(window) if window else f"more than {in_words(LARGEST_WINDOW)}"
    new = path.with_name(f"new-{path.name}")
    return (
        f"cannot read on: it is compressed with a window of {wide} (zstd {how}); write it again with "
        f"`zstd -d {how} -c {quote(str(path))} | zstd -o {quote(str(new))}` and take the new file instead"
    )


def _reason(error: Exception, path: Path) -> str:
    text = str(error)
    if "requires too much memory" in text:
        return _too_wide(path).removeprefix("cannot read on: ")
    if "Memory usage limit" in text:
        return (
            f"unpacking needs more than {in_words(2 * LARGEST_WINDOW)} of memory; write it again with `xz -6`"
        )
    if "Unknown frame descriptor" in text:
        new = path.with_name(f"new-{path.name}")
        return f"{text}; write it again with `zstd -dc {quote(str(path))} | zstd -o {quote(str(new))}`"
    return text
