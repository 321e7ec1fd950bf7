"""The tokens of a shard where another tool left them, read when they are asked for.

They behave like the array that a copy would be: the documents of the shard in its order, each followed by an
end-of-text token, in the type of the shard. A slice or some places cost a read of each document they touch.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from cuvee.errors import SourceError
from cuvee.hashing import digest_bytes
from cuvee.sources.token_file import TokenFile
from cuvee.types import AnyArray, IntArray

BLOCK, BLOCKS = 4096, 64
"""Bytes of a block, and blocks between the first and the last, by which the content of a file is known: 270
kB, however large it is."""


class Tokens(Protocol):
    """An array of tokens, or what can be read like one."""

    def __len__(self) -> int: ...

    def __getitem__(self, places: Any, /) -> Any: ...


@dataclass(frozen=True, eq=False)
class MappedTokens:
    """n tokens of D documents."""

    files: tuple[TokenFile, ...]
    """Where they lie; of these only the tokens are asked for, not their documents."""

    places: IntArray = field(repr=False)
    """File and first token there of each document, int64 [D, 2]."""

    offsets: IntArray = field(repr=False)
    """Where each document begins here, int64 [D + 1]."""

    end_of_text: int
    """The token behind every document."""

    dtype: np.dtype[Any]
    """Of the tokens here."""

    def __len__(self) -> int:
        return int(self.offsets[-1])

    def __getitem__(self, places: slice | IntArray) -> AnyArray:
        if isinstance(places, slice):
            first, last, step = places.indices(len(self))
            return (
                self._span(first, max(first, last))[::step]
                if step > 0
                else self._gather(np.arange(first, last, step))
            )
        return self._gather(np.asarray(places))

    def max(self) -> int:
        """The largest token; reads all of them."""
        return max(int(self._document(index).max()) for index in range(len(self.places)))

    def _document(self, index: int) -> AnyArray:
        return self._span(int(self.offsets[index]), int(self.offsets[index + 1]))

    def _span(self, first: int, last: int) -> AnyArray:
        """Tokens from one place to another."""
        found = np.full(last - first, self.end_of_text, dtype=self.dtype)
        document = int(np.searchsorted(self.offsets, first, side="right")) - 1
        at = first
        while at < last:
            begin, end = int(self.offsets[document]), int(self.offsets[document + 1]) - 1
            if (stop := min(last, end)) > at:
                file, start = self.places[document].tolist()
                found[at - first : stop - first] = self.files[file].read(start + at - begin, stop - at)
            at, document = end + 1, document + 1
        return found

    def _gather(self, places: IntArray) -> AnyArray:
        flat = np.where(places < 0, places + len(self), places).ravel()
        owners = np.searchsorted(self.offsets, flat, side="right") - 1
        found = np.empty(len(flat), dtype=self.dtype)
        for owner in np.unique(owners):
            mine = flat[owners == owner]
            found[owners == owner] = self._span(int(mine.min()), int(mine.max()) + 1)[mine - mine.min()]
        return found.reshape(places.shape)


def sample_hash(path: Path, size: int) -> str:
    """Hash of the first block of a file, the last, and some between them."""
    starts = np.unique(np.linspace(0, max(0, size - BLOCK), BLOCKS + 2).astype(np.int64))
    with path.open("rb", buffering=0) as stream:
        blocks = []
        for start in starts.tolist():
            stream.seek(start)
            blocks.append(stream.read(BLOCK))
    return digest_bytes(b"".join(blocks))


def _sample_of(path: Path, state: os.stat_result) -> str:
    # No file is replaced or written without another inode or time of its change.
    return _kept(path, state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino)


@lru_cache(maxsize=4096)
def _kept(path: Path, size: int, *state: int) -> str:
    return sample_hash(path, size)


def described(files: Sequence[TokenFile]) -> list[dict[str, Any]]:
    """Where tokens lie, to be written down, and the state of their files."""
    states = ((one, one.path.stat()) for one in files)
    return [
        {
            "path": str(one.path.absolute()),
            "dtype": one.dtype.str,
            "offset": one.offset,
            "bytes": state.st_size,
            "modified": state.st_mtime_ns,
            "sample": _sample_of(one.path, state),
        }
        for one, state in states
    ]


def opened(described: Sequence[Mapping[str, Any]]) -> Iterator[TokenFile]:
    """The files that were written down.

    Raises:
        SourceError: one is gone, or changed.
    """
    nothing = np.zeros(0, dtype=np.int64)
    for one in described:
        path = Path(one["path"])
        try:
            state = path.stat()
        except OSError as error:
            raise SourceError(
                f"the tokens lie in {path}, which cannot be opened: {error.strerror}"
            ) from error
        if (state.st_size, state.st_mtime_ns) != (one["bytes"], one["modified"]):
            raise SourceError(f"the tokens lie in {path}, which changed since")
        if one.get("sample", (found := _sample_of(path, state))) != found:  # earlier versions took none
            raise SourceError(
                f"the tokens lie in {path}, which holds others since, in the same size and time"
            )
        yield TokenFile(path, "", np.dtype(one["dtype"]), nothing, nothing, one["offset"])
