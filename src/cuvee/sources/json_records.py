"""Records of JSON: one object a line, one array, or objects one after another (sources).

``.jsonl`` and ``.ndjson`` have one object a line. In ``.json`` the first line decides: it begins an array, it
is an object, or it begins one that goes on over several lines. Arrays are read object by object.
"""

import codecs
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from cuvee.errors import BrokenRecord
from cuvee.sources.decoded import decoded, not_utf8
from cuvee.sources.record import OnBroken, Record, Repeated
from cuvee.sources.unpacked import UnreadableFile, blocks, in_words, lines

_NEAR_THE_END = 16  # characters; an error there may come from what is not read yet
_SPACE = " \t\r\n"


def json_records(path: Path, broken: OnBroken, limit: int) -> Iterator[Record]:
    """The records of a ``.json`` file.

    Args:
        path: the file.
        broken: called for each record that cannot be read, and for the rest of a file that is damaged.
        limit: bytes of the largest record.

    Raises:
        BrokenRecord: not one record can be read, since the file cannot be opened or begins with no JSON.
    """
    if _goes_on(path, limit):
        yield from _several_lines(path, broken, limit)
    else:
        yield from line_records(path, broken, limit)


def line_records(path: Path, broken: OnBroken, limit: int) -> Iterator[Record]:
    """The records of a file with one object a line; blank lines are passed over. Otherwise the same."""
    number = 0
    try:
        for number, line in enumerate(lines(path, limit), start=1):
            location = f"{path}:{number}"
            try:
                fields = _object_of(line, location, limit)
            except BrokenRecord as error:
                broken(error)
                continue
            if fields is not None:
                yield Record(fields, location, len(line or b"") + 1)
    except UnreadableFile as error:
        _end(f"{path}:{number + 1}: {error}", broken, number > 0)


def _goes_on(path: Path, limit: int) -> bool:
    """Whether the first line that is not blank begins an array, or an object that does not end there."""
    try:
        start = next(blocks(path), b"").removeprefix(codecs.BOM_UTF8).lstrip()
        if not start.startswith(b"{"):
            return start.startswith(b"[")
        first = next(line for line in lines(path, limit) if line is None or line.strip())
        json.loads(first or b"{}")
    except json.JSONDecodeError as error:
        return error.pos >= len(error.doc.rstrip()) - _NEAR_THE_END
    except (UnreadableFile, ValueError, RecursionError):
        pass  # refused in words when it is read
    return False


def _object_of(line: bytes | None, location: str, limit: int) -> dict[str, Any] | None:
    """The object of a line; None for a blank one."""
    if line is None:
        raise BrokenRecord(f"{location}: the record {_too_large(limit)}")
    if not line.strip():
        return None
    try:
        record = _DECODER.decode(line.decode())
    except UnicodeDecodeError as error:
        raise BrokenRecord(f"{location}: {not_utf8(error.start, error)}") from error
    except json.JSONDecodeError as error:
        why = f"{error.msg} at column {error.colno}"
        raise BrokenRecord(f"{location}: is no valid JSON: {why}") from error
    except (ValueError, RecursionError) as error:
        raise BrokenRecord(f"{location}: is no valid JSON: {error}") from error
    if isinstance(record, list):
        raise BrokenRecord(
            f"{location}: must be a JSON object, not an array; a file that is one array is named .json"
        )
    return _checked_object(record, location)


def _checked_object(record: object, location: str) -> dict[str, Any]:
    if not isinstance(record, dict):
        raise BrokenRecord(f"{location}: must be a JSON object with fields, not {type(record).__name__}")
    return record


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object that remembers which of its names stood twice."""
    fields = dict(pairs)
    return fields if len(fields) == len(pairs) else Repeated(pairs)


_DECODER = json.JSONDecoder(object_pairs_hook=_object)


def _several_lines(path: Path, broken: OnBroken, limit: int) -> Iterator[Record]:
    """The objects of an array, or objects one after another."""
    text = _Text(decoded(path), limit)
    count = 0
    try:
        array = text.passes("[")
        while not (text.passes("]") if array else text.ended()):
            location = f"{path}:{text.line}" + (f"[{count}]" if array else "")
            record, size = text.value()
            count += 1
            try:
                yield Record(_checked_object(record, location), location, size)
            except BrokenRecord as error:
                broken(error)
            if array and not text.passes(",") and not text.passes("]", keep=True):
                text.fail("a comma or the end of the array is missing")
        if not text.ended():
            text.fail("something follows the end of the array")
    except UnreadableFile as error:
        _end(f"{path}:{text.line}: {error}", broken, count > 0)


class _Text:
    """Text that is read as it is needed; errors name the line through ``line``."""

    def __init__(self, fragments: Iterator[str], limit: int) -> None:
        self._fragments = fragments
        self._limit = limit
        self._buffer = ""
        self._place = 0
        self._line = 1
        self._counted = 0  # up to where the line ends of the buffer are counted

    @property
    def line(self) -> int:
        """The line at which the reading stands."""
        self._line += self._buffer.count("\n", self._counted, self._place)
        self._counted = self._place
        return self._line

    def ended(self) -> bool:
        """Whether nothing but space is left."""
        blank = 0
        while True:
            start = self._place
            while self._place < len(self._buffer) and self._buffer[self._place] in _SPACE:
                self._place += 1
            blank += self._place - start
            if blank > self._limit:
                self.fail(f"more than {in_words(self._limit)} of blank space")
            if self._place < len(self._buffer):
                return False
            if not self._fill():
                return True

    def passes(self, mark: str, keep: bool = False) -> bool:
        """Whether the mark comes next; it is passed unless it is to be kept."""
        comes = not self.ended() and self._buffer[self._place] == mark
        self._place += comes and not keep
        return comes

    def value(self) -> tuple[object, int]:
        """The next value and its size in bytes."""
        if self.ended():
            self.fail("the file ends too early")
        while True:
            try:
                value, end = _DECODER.raw_decode(self._buffer, self._place)
            except json.JSONDecodeError as error:
                self._more_or_fail(error)
                continue
            except (ValueError, RecursionError) as error:
                self.fail(f"is no valid JSON: {error}")
            size = len(self._buffer[self._place : end].encode(errors="replace"))
            if size > self._limit:
                self.fail(f"the record {_too_large(self._limit)}")
            self._place = end
            return value, size

    def fail(self, why: str) -> NoReturn:
        raise UnreadableFile(why)

    def _more_or_fail(self, error: json.JSONDecodeError) -> None:
        """Read on, twice as much as is there, if that can mend the error."""
        have = len(self._buffer) - self._place
        unfinished = error.msg.startswith("Unterminated") or error.pos >= len(self._buffer) - _NEAR_THE_END
        if have > self._limit:
            self.fail(f"the record {_too_large(self._limit)}")
        if not unfinished or not self._fill(2 * have):
            self._place = min(error.pos, len(self._buffer))
            self.fail(f"is no valid JSON: {error.msg}")

    def _fill(self, wanted: int = 1) -> bool:
        """Read on until so many characters are there; what is passed is dropped."""
        parts = [self._buffer[self._place :]]
        size = len(parts[0])
        while (size < wanted or len(parts) == 1) and (fragment := next(self._fragments, None)) is not None:
            parts.append(fragment)
            size += len(fragment)
        if len(parts) == 1:
            return False
        self._line = self.line
        self._buffer = "".join(parts)
        self._place = self._counted = 0
        return True


def _end(why: str, broken: OnBroken, begun: bool) -> None:
    """What becomes of a file that cannot be read on: an error if nothing was read of it."""
    if not begun:
        raise BrokenRecord(why)
    broken(BrokenRecord(f"{why}; nothing after it can be read"))


def _too_large(limit: int) -> str:
    return f"is larger than {in_words(limit)}, the most that is read; cut it into several"
