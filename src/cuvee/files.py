"""Writing files so that a reader sees the old one or the new one, never half.

*Fencing*: a process that works under a ``Lease`` makes what it writes inside a folder that only this lease
names, and publishes it by renaming it out of there. Whoever takes the lease back renames that folder away. A
process that was taken for dead and comes back has nothing left to rename: one ``rename`` decides, without
clock or lock, also where many machines share the folder.
"""

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from cuvee.errors import ConfigError, DiskFull, LostLease

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class Witness(Protocol):
    """Hears what is published and removed under a lease."""

    def published(self, path: Path) -> None:
        """A file or a folder lies there, whole."""
        ...

    def removed(self, path: Path) -> None:
        """A file lies there no longer."""
        ...


@dataclass(frozen=True)
class Lease:
    """The right to publish below a folder."""

    root: Path
    """Below it, nothing is published without the lease; elsewhere nothing changes."""
    folder: Path
    """Made by who grants the lease and renamed away by who takes it back; on the file system of ``root``."""
    witness: Witness | None = None
    """Who hears what comes of it, where that has to be carried on."""

    @property
    def lost(self) -> bool:
        """It was taken back."""
        return not self.folder.is_dir()


_LEASE: ContextVar[Lease | None] = ContextVar("lease", default=None)


@contextmanager
def under_lease(lease: Lease | None) -> Iterator[None]:
    """Publish only as long as the lease is held; with None, as ever."""
    token = _LEASE.set(lease)
    try:
        yield
    finally:
        _LEASE.reset(token)


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; on success flush it to disk and rename it over ``path``.

    On an error the temporary file is removed and ``path`` is left as it was.

    Raises:
        DiskFull: there is no room for the file.
        LostLease: the lease under which this process works was taken back.
    """
    with _naming_faults(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=_workplace(path))
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
        _say_published(path)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """The same for a whole folder. If ``path`` exists at the end, the existing one is kept.

    Folders are keyed by content, so two writers of one key have written the same thing.

    Raises:
        DiskFull: there is no room for it.
        LostLease: the lease under which this process works was taken back.
    """
    with _naming_faults(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".tmp", dir=_workplace(path)))
        try:
            yield temporary
            for file in temporary.rglob("*"):
                if file.is_file():
                    _flush(file)
            temporary.chmod(0o777 & ~_umask())  # of a lease that was taken back there is none: it fails
            _rename_unless_there(temporary, path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        _flush(path.parent)
        _say_published(path)


def discard(path: Path) -> None:
    """Remove a file that ``atomic_path`` made, if it is there."""
    path.unlink(missing_ok=True)
    if (witness := _witness_of(path)) is not None:
        witness.removed(path)


def out_of_room(error: Exception) -> bool:
    """Whether an error says that the disk, a quota or a limit leaves no room.

    Libraries in Rust (safetensors, tokenizers) and NumPy's ``tofile`` give it no number.
    """
    if isinstance(error, OSError):
        return error.errno in _NO_ROOM or (error.errno is None and "requested and" in str(error))
    return any(f"(os error {number})" in str(error) for number in _NO_ROOM)


def _lease_of(path: Path) -> Lease | None:
    """Under which a path is written, if any."""
    lease = _LEASE.get()
    return lease if lease is not None and path.is_relative_to(lease.root) else None


def _witness_of(path: Path) -> Witness | None:
    """Who hears of a path, if anybody does; parts of what is being made are nobody's business."""
    lease = _lease_of(path)
    return None if lease is None or path.is_relative_to(lease.folder) else lease.witness


def _say_published(path: Path) -> None:
    if (witness := _witness_of(path)) is not None:
        witness.published(path)


def _workplace(path: Path) -> Path:
    """Where the temporary file or folder of a path is made."""
    lease = _lease_of(path)
    return path.parent if lease is None else lease.folder


def _rename_unless_there(temporary: Path, path: Path) -> None:
    if not path.exists():
        try:
            temporary.rename(path)
        except OSError:
            if not path.is_dir() or not temporary.is_dir():
                raise  # else another writer of this key was first


@contextmanager
def _naming_faults(path: Path) -> Iterator[None]:
    try:
        yield
    except (DiskFull, LostLease):
        raise
    except Exception as error:
        lease = _lease_of(path)
        if lease is not None and lease.lost:
            raise LostLease(
                f"{path}: not published; this worker was taken for lost and its job was given to another"
            ) from error
        if isinstance(error, OSError) and error.errno == errno.EXDEV:
            raise ConfigError(
                f"{path.parent}: lies on another file system than what is written there is made on "
                f"({_workplace(path)}); put both on one, or use the local executor"
            ) from error
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
