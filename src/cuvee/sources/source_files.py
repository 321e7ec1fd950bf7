"""Which files a source is made of, and which of those beside them are passed over (sources).

Whatever reads a folder asks here, so that all see the same files. A file that is named itself is taken by its
type alone; in folders and among the matches of a pattern, cards, licences, pointers of Git LFS and empty
files are left.
"""

import glob
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NoReturn

from cuvee.errors import MissingSource
from cuvee.sources.arrow_state import belongs
from cuvee.sources.file_types import (
    KNOWN,
    TOKEN_TYPES,
    TYPES,
    ending_of,
    is_card,
    is_companion,
    is_pointer,
    type_of,
)
from cuvee.sources.separated_tokens import is_array_of_tokens

Reason = Literal["card", "pointer", "empty", "unknown", "special", "hidden", "link"]

_WORDS: dict[Reason, tuple[str, str]] = {
    "card": ("card or licence", "cards and licences"),
    "pointer": ("pointer of Git LFS, whose data `git lfs pull` fetches", "pointers of Git LFS, whose data "
                "`git lfs pull` fetches"),
    "empty": ("empty file", "empty files"),
    "unknown": ("file of unknown kind", "files of unknown kind"),
    "special": ("that is no regular file", "that are no regular files"),
    "hidden": ("hidden file", "hidden files"),
    "link": ("link to a folder, which is not followed", "links to folders, which are not followed"),
}  # fmt: skip
_NAMED = 3


@dataclass(frozen=True)
class FileList:
    """The files of a place, and those that are passed over."""

    files: tuple[Path, ...]
    """By name."""

    passed_over: tuple[tuple[Path, Reason], ...] = ()
    """The others, by name, each with the reason."""

    @property
    def left_out(self) -> tuple[str, ...]:
        """What was passed over, counted and named, one text a reason."""
        return passed_over_in_words(self.passed_over)


def files_in(folder: Path) -> FileList:
    """The files that can be read in a folder, at any depth but not in hidden places.

    Raises:
        MissingSource: a folder in it cannot be opened.
    """
    files: list[Path] = []
    over: list[tuple[Path, Reason]] = []
    for file, reason in _walk(folder):
        if reason is None:
            files.append(file)
        else:
            over.append((file, reason))
    return FileList(tuple(sorted(files)), tuple(sorted(over)))


def files_of(path: str, source: str) -> FileList:
    """The files that a path of a source means: a file, a folder, or a pattern.

    Raises:
        MissingSource: there is nothing that can be read.
    """
    place = Path(path)
    if place.is_file() and place.suffix != ".idx":
        return FileList((place,))
    # Megatron calls its two files by what their names have in common.
    stem = place.with_suffix("") if place.suffix == ".idx" else place
    if Path(f"{stem}.idx").is_file() and Path(f"{stem}.bin").is_file():
        return FileList((Path(f"{stem}.bin"),))
    if place.is_dir():
        found = files_in(place)
    else:
        matches = sorted(map(Path, glob.glob(path, recursive=True)))  # noqa: PTH207 (pathlib has no absolute patterns)
        if not matches:
            _missing(path, source, "is no regular file" if place.exists() else "does not exist")
        found = _chosen(matches, explicit=is_card(place) and not glob.has_magic(place.name))
    if not found.files:
        why = f": {'; '.join(found.left_out)}" if found.left_out else ""
        _missing(path, source, f"has no file of a known type{why}")
    return found


def passed_over_in_words(passed_over: Iterable[tuple[Path, Reason]]) -> tuple[str, ...]:
    """Counted and named, one text a reason."""
    by_reason: dict[Reason, list[Path]] = {}
    for path, reason in passed_over:
        by_reason.setdefault(reason, []).append(path)
    return tuple(_counted(reason, by_reason[reason]) for reason in _WORDS if reason in by_reason)


def _walk(folder: Path) -> Iterator[tuple[Path, Reason | None]]:
    def cannot(error: OSError) -> NoReturn:
        raise MissingSource(f"{error.filename}: cannot be opened: {error.strerror}") from error

    for place, folders, names in os.walk(folder, onerror=cannot):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from ((Path(place, name), "link") for name in folders if Path(place, name).is_symlink())
        for file in (Path(place, name) for name in names):
            if is_companion(file):
                continue
            if not file.name.startswith("."):
                yield file, reason_to_pass_over(file)
            elif type_of(file) in TYPES:
                yield file, "hidden"


def _chosen(matches: Iterable[Path], explicit: bool) -> FileList:
    """The matches of a pattern; an explicit one names what would be a card."""
    verdicts = [
        (file, reason_to_pass_over(file)) for file in matches if not file.is_dir() and not is_companion(file)
    ]
    # A file of unknown kind is refused in words when it is read: the pattern asks for it.
    read = {None, "unknown", "card"} if explicit else {None, "unknown"}
    return FileList(
        tuple(file for file, why in verdicts if why in read),
        tuple((file, why) for file, why in verdicts if why is not None and why not in read),
    )


def reason_to_pass_over(file: Path) -> Reason | None:
    """Why a file is passed over; None for one that is read."""
    if not file.is_file():
        return "special"
    if is_card(file):
        return "card"
    if type_of(file) not in TYPES:
        return "unknown"
    if file.stat().st_size == 0:
        return "empty"
    if is_pointer(file):
        return "pointer"
    return None if type_of(file) not in TOKEN_TYPES or _holds_tokens(file) else "unknown"


def _holds_tokens(file: Path) -> bool:
    """Whether a file with the name of one of tokens may be one; models and pictures have such names, too."""
    if type_of(file) == ".bin":
        return file.with_suffix(".idx").is_file()
    if type_of(file) == ".npy":
        return is_array_of_tokens(file)
    return type_of(file) != ".arrow" or belongs(file)


def _counted(reason: Reason, files: list[Path]) -> str:
    one, many = _WORDS[reason]
    names = ", ".join(file.name for file in files[:_NAMED]) + (", ..." if len(files) > _NAMED else "")
    if reason == "unknown":
        endings = sorted({ending_of(file) for file in files})
        names = f"{', '.join(endings[:_NAMED])}{', ...' if len(endings) > _NAMED else ''}: {names}"
    return f"{len(files)} {one if len(files) == 1 else many} ({names})"


def _missing(path: str, source: str, reason: str) -> NoReturn:
    raise MissingSource(
        f"path '{path}' of source '{source}' {reason} (known types: {KNOWN}; relative paths start at "
        f"{Path.cwd()})"
    )
