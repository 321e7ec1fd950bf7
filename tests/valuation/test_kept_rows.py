"""Rows kept on disk."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from cuvee.errors import SourceError
from cuvee.types import AnyArray
from cuvee.valuation.kept_rows import KeptRows, by_blocks

SHAPE = (10, 3)


def rows_from(done: int, until: int = 10) -> Iterator[AnyArray]:
    for row in range(done, until):
        yield np.full((1, 3), row, dtype=np.float32)


def test_rows_are_made_once_and_gone_on_with(tmp_path: Path) -> None:
    begun: list[int] = []

    def stopped(done: int) -> Iterator[AnyArray]:
        begun.append(done)
        yield from rows_from(done, 4)
        raise KeyboardInterrupt

    def whole(done: int) -> Iterator[AnyArray]:
        begun.append(done)
        yield from rows_from(done)

    kept = KeptRows(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        kept.array("key", SHAPE, "float32", by_blocks(stopped))
    found = kept.array("key", SHAPE, "float32", by_blocks(whole))
    again = kept.array("key", SHAPE, "float32", by_blocks(whole))
    assert begun == [0, 4]
    np.testing.assert_array_equal(found, KeptRows().array("key", SHAPE, "float32", by_blocks(rows_from)))
    np.testing.assert_array_equal(found, again)
    assert isinstance(again, np.memmap)


def test_rows_begun_anew_forget_the_training_that_had_begun_them(tmp_path: Path) -> None:
    kept = KeptRows(tmp_path)

    def training(rows: AnyArray, done: int, note: Callable[[int], None]) -> None:
        note(0)
        state = kept.state_file("key")
        assert state is not None
        first = int(state.read_text()) if state.is_file() else 0
        rows[first:5] = 1.0
        if not state.is_file():
            state.write_text("5")
            raise KeyboardInterrupt
        rows[5:] = 1.0

    with pytest.raises(KeyboardInterrupt):
        kept.array("key", SHAPE, "float32", training)
    (tmp_path / ".key.part" / "done.json").unlink()  # as after a kill while the rows are sealed
    with pytest.raises(KeyboardInterrupt):
        kept.array("key", SHAPE, "float32", training)
    np.testing.assert_array_equal(kept.array("key", SHAPE, "float32", training), np.ones(SHAPE))
    assert kept.state_file("key") is not None
    assert [one.name for one in tmp_path.iterdir()] == ["key"]


def test_rows_that_are_missing_or_damaged_are_never_read(tmp_path: Path) -> None:
    kept = KeptRows(tmp_path)
    with pytest.raises(SourceError, match="rows are missing"):
        kept.array("short", SHAPE, "float32", by_blocks(lambda done: rows_from(done, 7)))
    kept.array("key", SHAPE, "float32", by_blocks(rows_from))
    file = tmp_path / "key" / "rows.npy"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with pytest.raises(SourceError, match="damaged"):
        kept.array("key", SHAPE, "float32", by_blocks(rows_from))


def test_a_key_of_another_shape_is_refused(tmp_path: Path) -> None:
    kept = KeptRows(tmp_path)
    kept.array("key", SHAPE, "float32", by_blocks(rows_from))
    with pytest.raises(SourceError, match="shape"):
        kept.array("key", (4, 3), "float32", by_blocks(rows_from))
