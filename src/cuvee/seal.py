"""Digests kept with what they are of and compared when it is read, so that damage is found.

    {..., "digest": "..."}                              an object with the digest of all the rest of it
    {..., "files": {"NAME": "..."}, "digest": "..."}    one that describes a folder, with those of its files

What was written without digests is read as it is. The digest is the one of ``hashing.py``, SHA-256: 1.9 GB a
second on a processor with instructions for it (BLAKE2 1.4, CRC-32 6.4 there), where summing what is mapped
from the page cache takes 3.1. Parameters have it already, so pools need no other. A file is read for it once
a process.
"""

import json
import time
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar, cast

from cuvee.files import write_json
from cuvee.hashing import DIGEST_CHARACTERS, digest, digest_file
from cuvee.types import Json

Found = TypeVar("Found")

FILES = "files"
DIGEST = "digest"
_JUST_NOW_NS = 1_000_000_000


def sealed(value: Json) -> Json:
    """The object with its digest."""
    return {**value, DIGEST: digest(value)}


def unsealed(document: Any) -> Any:
    """What ``sealed`` was given; anything without a digest comes back as it is.

    Raises:
        ValueError: it is not what the digest was made of.
    """
    written = document.get(DIGEST) if isinstance(document, dict) else None
    if not (isinstance(written, str) and len(written) == DIGEST_CHARACTERS):
        return document
    value = {name: one for name, one in document.items() if name != DIGEST}
    if digest(value) != written:
        raise ValueError("it is not as it was written: its digest is another")
    return value


def write_sealed(path: Path, value: Json) -> None:
    """Replace ``path`` by the object with its digest, atomically."""
    write_json(path, sealed(value))


def read_sealed(path: Path) -> Any:
    """The JSON in a file, its digest compared and taken off.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no JSON, or not what was written.
    """
    try:
        return unsealed(json.loads(path.read_text(encoding="utf-8")))
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def digests_of(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """Name -> digest of files in a folder."""
    return {name: digest_file(folder / name) for name in names}


def damage(folder: Path, digests: Mapping[str, str], names: Iterable[str]) -> str:
    """What is wrong with files of a folder: one that is missing or differs from its digest. Empty where all
    is well; a file of which no digest is known is passed over."""
    for name in names:
        if name not in digests:
            continue
        try:
            found = once(digest_file, folder / name)
        except OSError as error:
            return f"{name} cannot be read ({error.strerror or error})"
        if found != digests[name]:
            return f"{name} is not as it was written: its digest is {found} and was {digests[name]}"
    return ""


def once(find: Callable[[Path], Found], path: Path) -> Found:
    """What a function finds in a file; once a process, as long as the file stays as it is.

    A clock of files ticks some milliseconds apart: one that was written just now may change without showing
    it.
    """
    state = path.stat()
    if time.time_ns() - state.st_mtime_ns < _JUST_NOW_NS:
        return find(path)
    return cast(Found, _found(find, path, state.st_ino, state.st_size, state.st_mtime_ns))


@lru_cache(maxsize=4096)
def _found(find: Callable[[Path], Any], path: Path, inode: int, size: int, changed: int) -> Any:
    return find(path)
