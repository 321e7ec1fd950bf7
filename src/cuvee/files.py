"""Writing files so that a reader sees the old one or the new one, never half."""

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cuvee.errors import DiskFull

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; on success flush it to disk and rename it over ``path``.

    On an error the temporary file is removed and ``path`` is left as it was.

    Raises:
        DiskFull: there is no room for the file.
    """
    with _naming_full_disk(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            _flush(temporary)
            temporary.chmod(0o666 & ~_umask())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        _flush(path.parent)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """The same for a whole folder. If ``path`` exists at the end, the existing one is kept.

    Folders are keyed by content, so two writers of one key have written the same thing.

    Raises:
        DiskFull: there is no room for it.
    """
    with _naming_full_disk(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent))
        try:
            yield temporary
            for file in temporary.rglob("*"):
                if file.is_file():
                    _flush(file)
            temporary.chmod(0o777 & ~_umask())
            if not path.exists():
                temporary.rename(path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        _flush(path.parent)


def out_of_room(error: Exception) -> bool:
    """Whether an error says that the disk, a quota or a limit leaves no room.

    Libraries in Rust (safetensors, tokenizers) and NumPy's ``tofile`` give it no number.
    """
    if isinstance(error, OSError):
        return error.errno in _NO_ROOM or (error.errno is None and "requested and" in str(error))
    return any(f"(os error {number})" in str(error) for number in _NO_ROOM)


@contextmanager
def _naming_full_disk(path: Path) -> Iterator[None]:
    try:
        yield
    except DiskFull:
        raise
    except Exception as error:
        if out_of_room(error):
            raise DiskFull(
                f"{path}: there is no room to write it ({error}); free some and run again"
            ) from error
        raise


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files and folders that killed writers left in ``folder``.

    Only while nobody else writes there. Does nothing where there is no such folder.
    """
    for leftover in folder.glob(".*.tmp"):
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Replace ``path`` by ``text`` (UTF-8), atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Replace ``path`` by indented JSON with sorted keys, atomically."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n")


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
