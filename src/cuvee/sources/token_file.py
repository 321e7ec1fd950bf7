"""A file of tokens that somebody else made: where its documents lie, read without copying it.

The file is memory-mapped. Where a limit on the address space forbids that (pools are larger than memory),
what is asked for is read piece by piece instead.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from cuvee.errors import BrokenRecord
from cuvee.types import AnyArray, BoolArray, IntArray

BLOCK_TOKENS = 1 << 22
"""Tokens that are looked at at once."""


@dataclass(frozen=True, eq=False)
class TokenFile:
    """D documents in a file. Pickling carries where they lie, not the tokens."""

    path: Path
    """The file."""

    format: str
    """What its format is called."""

    dtype: np.dtype[Any]
    """Of one token: integers, little endian."""

    starts: IntArray = field(repr=False)
    """Of each document its first token, counted from ``offset``, int64 [D]."""

    lengths: IntArray = field(repr=False)
    """Tokens of each document, int64 [D]; an end-of-text token behind them may be among them."""

    offset: int = 0
    """Byte at which the tokens begin."""

    @property
    def documents(self) -> int:
        """D."""
        return len(self.starts)

    @property
    def tokens(self) -> int:
        """Tokens of all documents."""
        return int(self.lengths.sum())

    @property
    def at_hand(self) -> int:
        """Tokens that there is room for in the file."""
        return max(0, self.path.stat().st_size - self.offset) // self.dtype.itemsize

    def location(self, index: int) -> str:
        """How a document is called in messages."""
        return f"{self.path}:{index + 1}"

    def read(self, start: int, length: int) -> AnyArray:
        """Some tokens by their place behind ``offset``, [length].

        Raises:
            BrokenRecord: the file became shorter.
        """
        if (mapped := self._mapped) is not None:
            return mapped[start : start + length]
        size = self.dtype.itemsize
        with self.path.open("rb", buffering=0) as stream:
            stream.seek(self.offset + start * size)
            data = stream.read(length * size)
        if len(data) < length * size:
            raise BrokenRecord(f"{self.path}: ends before token {start + length}; it became shorter")
        return np.frombuffer(data, self.dtype)

    def document(self, index: int, end_of_text: int) -> AnyArray:
        """The tokens of a document, without an end-of-text token at their end."""
        tokens = self.read(int(self.starts[index]), int(self.lengths[index]))
        return tokens[:-1] if len(tokens) and int(tokens[-1]) == end_of_text else tokens

    def ended(self, end_of_text: int) -> BoolArray:
        """Which documents have an end-of-text token at their end, bool [D]."""
        last = self.starts + self.lengths - 1
        found = np.zeros(self.documents, dtype=np.bool_)
        some = np.flatnonzero(self.lengths)
        if (mapped := self._mapped) is not None:
            found[some] = mapped[last[some]] == end_of_text
        else:
            found[some] = [int(self.read(int(last[one]), 1)[0]) == end_of_text for one in some]
        return found

    @cached_property
    def _mapped(self) -> AnyArray | None:
        """All of it, mapped; None where the address space does not hold it."""
        try:
            return np.memmap(self.path, self.dtype, "r", self.offset, (self.at_hand,))
        except (OSError, MemoryError):
            return None

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_mapped"}


def blocks_of(path: Path, dtype: np.dtype[Any], offset: int = 0) -> Iterator[AnyArray]:
    """All tokens of a file, so many at once that they take little memory."""
    with path.open("rb") as stream:
        stream.seek(offset)
        while data := stream.read(BLOCK_TOKENS * dtype.itemsize):
            yield np.frombuffer(data[: len(data) // dtype.itemsize * dtype.itemsize], dtype)


def divided_at(
    path: Path, dtype: np.dtype[Any], end_of_text: int, vocabulary: int, offset: int = 0
) -> tuple[IntArray, IntArray]:
    """Where documents begin and how long they are, with the end-of-text token of each.

    Tokens behind the last one are a document of their own.

    Raises:
        BrokenRecord: there is no such token, or a token of another vocabulary.
    """
    ends, before = [], 0
    for block in blocks_of(path, dtype, offset):
        check_range(block, vocabulary, str(path), before)
        ends.append(np.flatnonzero(block == end_of_text) + before + 1)
        before += len(block)
    found = np.concatenate(ends).astype(np.int64) if ends else np.zeros(0, np.int64)
    if not len(found):
        raise BrokenRecord(
            f"{path}: no end-of-text token (id {end_of_text}) among its {before:,} tokens, so documents "
            "have no borders; is `tokenizer.folder` the tokenizer that made them?"
        )
    if found[-1] < before:
        found = np.append(found, before)
    starts = np.concatenate(([0], found[:-1]))
    return starts, found - starts


def check_range(tokens: AnyArray, vocabulary: int, where: str, before: int = 0) -> None:
    """Refuse tokens that the tokenizer does not have.

    Raises:
        BrokenRecord: names the first one, at ``before`` plus its place.
    """
    if not len(tokens) or (int(tokens.max()) < vocabulary and int(tokens.min()) >= 0):
        return
    place = int(np.flatnonzero((tokens >= vocabulary) | (tokens < 0))[0])
    raise BrokenRecord(
        f"{where}: token {before + place} is {int(tokens[place])}, but the tokenizer has only {vocabulary}; "
        "name the tokenizer that made these tokens in `tokenizer.folder`"
    )


def in_order(path: Path, starts: IntArray, lengths: IntArray, tokens: int) -> None:
    """Refuse an index that leads out of the file.

    Raises:
        BrokenRecord: names the first such document.
    """
    wrong = np.flatnonzero((starts < 0) | (lengths < 0) | (starts + lengths > tokens))
    if len(wrong):
        first = int(wrong[0])
        raise BrokenRecord(
            f"{path}: document {first + 1} of the index lies at tokens {int(starts[first])} to "
            f"{int(starts[first] + lengths[first])}, and there are {tokens:,}; write both files anew"
        )
