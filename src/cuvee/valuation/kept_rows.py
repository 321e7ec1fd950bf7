"""Costly rows, kept on disk by what determines them, and gone on with after a break.

    FOLDER/<key>/rows.npy    one row a document, memory-mapped
    FOLDER/<key>/meta.json   its digest
    FOLDER/.<key>.part/      rows on their way, and how many are there

Equal keys mean equal rows. Without a folder rows are kept in memory alone.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cuvee.errors import SourceError
from cuvee.files import write_json
from cuvee.seal import FILES, damage, digests_of, read_sealed, write_sealed
from cuvee.types import AnyArray

_ROWS, _META, _DONE = "rows.npy", "meta.json", "done.json"

Fill = Callable[[AnyArray, int, Callable[[int], None]], None]
"""Fills rows from a number on, and notes how many are there."""


def by_blocks(blocks: Callable[[int], Iterator[AnyArray]]) -> Fill:
    """Fill from what a function yields, given the number of rows that are there."""

    def fill(rows: AnyArray, done: int, note: Callable[[int], None]) -> None:
        for block in blocks(done):
            rows[done : done + len(block)] = block
            done += len(block)
            note(done)

    return fill


@dataclass(frozen=True)
class KeptRows:
    """Where rows are kept."""

    folder: Path | None = None
    """None: in memory."""

    def state_file(self, key: str) -> Path | None:
        """Where a training that makes the rows of a key may keep its state."""
        return self.folder / f".{key}.state" if self.folder is not None else None

    def array(self, key: str, shape: tuple[int, ...], dtype: Any, fill: Fill) -> AnyArray:
        """Rows of a key: those on disk, else made now.

        Args:
            key: hash of all that determines the rows.
            shape: of all of them, rows first.
            dtype: of a number.
            fill: makes what follows the rows that are there.

        Raises:
            SourceError: what is kept is damaged, or has another shape.
        """
        if self.folder is None:
            rows = np.full(shape, np.nan, dtype)
            fill(rows, 0, lambda _: None)
            return rows
        folder = self.folder / key
        if folder.is_dir():
            return _opened(folder, shape)
        part = self.folder / f".{key}.part"
        done = _done(part, shape, dtype)
        if done is None:
            shutil.rmtree(part, ignore_errors=True)
            self._forget_state(key)  # a training that went on from it would leave the first rows empty
            part.mkdir(parents=True)
            begun = np.lib.format.open_memmap(part / _ROWS, mode="w+", dtype=dtype, shape=shape)
            begun[:] = np.nan  # a row that nobody filled must not pass for zeros
        rows = np.lib.format.open_memmap(part / _ROWS, mode="r+")

        def note(count: int) -> None:
            rows.flush()
            write_json(part / _DONE, {"rows": count})

        fill(rows, done or 0, note)
        rows.flush()
        if np.isnan(rows).any():
            raise SourceError(f"{part}: rows are missing; remove it to have them made again")
        (part / _DONE).unlink(missing_ok=True)
        write_sealed(part / _META, {FILES: digests_of(part, (_ROWS,))})
        part.rename(folder)
        self._forget_state(key)
        return _opened(folder, shape)

    def _forget_state(self, key: str) -> None:
        if (state := self.state_file(key)) is not None:
            state.unlink(missing_ok=True)


def _opened(folder: Path, shape: tuple[int, ...]) -> AnyArray:
    try:
        meta = read_sealed(folder / _META)
        if wrong := damage(folder, meta[FILES], (_ROWS,)):
            raise ValueError(wrong)
        rows: AnyArray = np.load(folder / _ROWS, mmap_mode="r")
        if rows.shape != shape:
            raise ValueError(f"it has shape {rows.shape}, not {shape}")
        return rows
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SourceError(f"{folder}: damaged ({error}); remove it to have it made again") from error


def _done(part: Path, shape: tuple[int, ...], dtype: Any) -> int | None:
    """Rows of an earlier try that can be used; None where there was none."""
    try:
        count = int(json.loads((part / _DONE).read_text(encoding="utf-8"))["rows"])
        rows = np.load(part / _ROWS, mmap_mode="r")
    except (OSError, ValueError, KeyError, TypeError):
        return None
    fits = rows.shape == shape and rows.dtype == np.dtype(dtype) and 0 <= count <= len(rows)
    return count if fits else None
