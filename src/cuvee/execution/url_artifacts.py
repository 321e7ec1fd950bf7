"""Artefacts of a study behind a URL, for nodes that have no folder in common with the command.

    <url>/<study>/artifacts/<name>/        what nodes pull; written by the command alone
    <url>/<study>/whole/<name>.json        written behind it: its digests
    <url>/<study>/attempts/<token>/lease   until the attempt is given up
    <url>/<study>/attempts/<token>/<n>/    what the attempt pushed, the n-th thing
    <url>/<study>/attempts/<token>/<n>.json    written behind it: what it is; or that something is gone

*Fencing* without a rename: an attempt writes below its own token alone. When it ends or is given up, the
command takes what is whole there into the folder of the study and below ``artifacts``, and never looks at
that token again. A worker that comes back late finds its lease gone; what it pushes all the same is nobody's.
"""

import platform
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any

from cuvee.errors import LostLease
from cuvee.execution.artifact import Artifact
from cuvee.execution.node_folder import NodeFolder, artifact_of
from cuvee.execution.object_store import ObjectStore
from cuvee.execution.portable import Pickles, PortablePickles
from cuvee.execution.sent import sendable_item, understood
from cuvee.execution.worker import Message
from cuvee.files import Lease, discard, under_lease
from cuvee.hashing import digest

_ATTEMPTS, _LEASE, _GIVEN = "attempts", "lease", "given"
_GIVEN_FILES = ("config.json", "tokenizer.json")


def _place(name: str) -> str:
    return f"artifacts/{name}"


def _whole(name: str) -> str:
    return f"whole/{name}.json"


# The command's side


@dataclass(eq=False)
class UrlArtifacts:
    """Of one study, in the command that holds it."""

    root: Path
    """The folder of the study."""
    store: ObjectStore
    """The part of it that belongs to the study."""
    _prefix: str = field(default_factory=lambda: secrets.token_hex(4))
    _tokens: "count[int]" = field(default_factory=lambda: count(1))
    _pushed: dict[str, tuple[int, Artifact]] = field(default_factory=dict)
    """What is known to lie there, with the state of its file when it was pushed."""
    _given: dict[Path, Artifact] = field(default_factory=dict)
    """What lies outside of the study."""

    @classmethod
    def begin(cls, root: Path, url: str) -> "UrlArtifacts":
        """For a command; what one that was killed left there is taken in.

        Raises:
            ConfigError: the URL cannot be written and read.
        """
        found = cls(root, ObjectStore.at(url).below(digest([platform.node(), str(root)])))
        names = found.store.names(_ATTEMPTS)
        for name in (one for one in names if one.endswith(f"/{_LEASE}")):
            found.collect(name.split("/")[1])
        found.store.remove(_ATTEMPTS)  # what came too late
        return found

    def send(self, index: int, item: Any) -> tuple[bytes, "UrlPermit"]:
        """See ``Handover``; what the item reads is pushed, unless it is there."""
        names: set[str] = set()

        def name_of(path: Path) -> str | None:
            if (name := self._name(path)) is not None:
                names.add(artifact_of(name))
            return name

        data = sendable_item(index, item, PortablePickles(name_of, self._path))
        for path in getattr(item, "reads", ()):
            name_of(path)
        there = [name for name in sorted(names) if "/" in name and self._path(name).exists()]
        token = f"{self._prefix}-{next(self._tokens)}"
        self.store.write(f"{_ATTEMPTS}/{token}/{_LEASE}", b"")
        return data, UrlPermit(self.store, token, tuple(self._at_url(name) for name in there))

    def take_back(self, permit: "UrlPermit") -> None:
        """See ``Handover``."""
        self.collect(permit.token)

    def understood(self, data: bytes) -> Message:
        """See ``Handover``."""
        return understood(data, PortablePickles(self._name, self._path))

    def end(self) -> None:
        """See ``Handover``; each permit was taken back when its attempt ended or was given up."""

    def collect(self, token: str) -> None:
        """Take what an attempt has pushed whole, and end it."""
        folder = f"{_ATTEMPTS}/{token}"
        self.store.remove(f"{folder}/{_LEASE}")
        for number, found in self._journal(folder):
            if found.files:
                self._take(found, f"{folder}/{number}")
            else:
                self._drop(found.name)
        self.store.remove(folder)

    def _journal(self, folder: str) -> list[tuple[int, Artifact]]:
        """The last that was said of each artefact, with its number."""
        names = [name.removeprefix(f"{folder}/") for name in self.store.names(folder)]
        numbers = sorted(int(name[:-5]) for name in names if name.endswith(".json") and name[:-5].isdigit())
        read = ((one, Artifact.loaded(self.store.read(f"{folder}/{one}.json"))) for one in numbers)
        last = {found.name: (number, found) for number, found in read if found is not None}
        return list(last.values())

    def _take(self, artifact: Artifact, place: str) -> None:
        path = self.root / artifact.name
        artifact.pull(self.store, place, path)
        self.store.remove(_place(artifact.name))
        self.store.move(place, _place(artifact.name))
        self._write_down(artifact, path)

    def _drop(self, name: str) -> None:
        discard(self.root / name)
        self._pushed.pop(name, None)
        self.store.remove(_whole(name))
        self.store.remove(_place(name))

    def _at_url(self, name: str) -> Artifact:
        """Push an artefact, unless it is there."""
        path = self._path(name)
        known = self._pushed.get(name)
        if known is not None and known[0] == _state(path):
            return known[1]
        artifact = Artifact.of(name, path)
        if Artifact.loaded(self.store.read(_whole(name))) != artifact:
            self.store.remove(_place(name))
            artifact.push(self.store, _place(name), path)
        self._write_down(artifact, path)
        return artifact

    def _write_down(self, artifact: Artifact, path: Path) -> None:
        self.store.write(_whole(artifact.name), artifact.dumped())
        self._pushed[artifact.name] = _state(path), artifact

    def _name(self, path: Path) -> str | None:
        # Steps upwards, as in `study/../models`, lead out of the study, whatever the words begin with.
        place = path.resolve() if ".." in path.parts else path
        for root in self._roots:
            if place.is_relative_to(root) and not _laid_there(root, place):
                return place.relative_to(root).as_posix()
        return self._given_at(path).name if path.is_absolute() and path.exists() else None

    @cached_property
    def _roots(self) -> tuple[Path, Path]:
        """The folder of the study as it is called, and where it really lies."""
        return self.root, self.root.resolve()

    def _given_at(self, path: Path) -> Artifact:
        """What a user gave, such as a checkpoint: named by its content."""
        if path not in self._given:
            files = Artifact.of("", path).files
            self._given[path] = Artifact(f"{_GIVEN}/{digest(dict(files))}", files)
        return self._given[path]

    def _path(self, name: str) -> Path:
        by_name = {artifact.name: path for path, artifact in self._given.items()}
        return by_name.get(name, self.root / name)


def _laid_there(root: Path, path: Path) -> bool:
    """A model or tokenizer that a user laid into the very folder of the study, beside folders of folders."""
    return path.parent == root and any((path / name).is_file() for name in _GIVEN_FILES)


def _state(path: Path) -> int:
    """Of a file that may change; folders do not."""
    return path.stat().st_mtime_ns if path.is_file() else 0


# The worker's side


@dataclass(frozen=True)
class UrlPermit:
    """See ``Permit``."""

    store: ObjectStore
    """See ``UrlArtifacts``."""
    token: str
    """Of the attempt."""
    inputs: tuple[Artifact, ...]
    """What it reads."""

    @property
    def name(self) -> str:
        """See ``Permit``."""
        return self.token

    @property
    def lost(self) -> bool:
        """See ``Permit``."""
        return self.store.read(f"{_ATTEMPTS}/{self.token}/{_LEASE}") is None

    @contextmanager
    def at(self, node: str) -> Iterator[Pickles]:
        """See ``Permit``."""
        folder = NodeFolder.of(self.store, node)
        with folder.attempt(self.token) as place:
            study, made = place / "study", place / "made"
            study.mkdir()
            made.mkdir()
            folder.give(self.store, {_place(one.name): one for one in self.inputs}, study)
            kept = frozenset(one.name for one in self.inputs if not one.changes)
            with under_lease(Lease(study, made, _Pushing(self, study))):
                yield folder.pickles(study, kept)


@dataclass(eq=False)
class _Pushing:
    """Hands over what an attempt publishes. See ``Witness``."""

    permit: UrlPermit
    study: Path
    """The folder of the study as the attempt sees it."""
    _numbers: "count[int]" = field(default_factory=lambda: count(1))
    _last: dict[str, int] = field(default_factory=dict)
    """Artefact -> number under which it was pushed last; what came before is removed."""

    def published(self, path: Path) -> None:
        """Push it."""
        self._say(path, Artifact.of(path.relative_to(self.study).as_posix(), path))

    def removed(self, path: Path) -> None:
        """Say so."""
        self._say(path, Artifact(path.relative_to(self.study).as_posix(), {}))

    def _say(self, path: Path, artifact: Artifact) -> None:
        if self.permit.lost:
            raise LostLease(
                f"{self.permit.store.url}: the lease of this attempt is gone, so {artifact.name} is not "
                "published: the job was given to another worker, or what --artifacts names was removed; give "
                "the command again"
            )
        store, folder, number = self.permit.store, f"{_ATTEMPTS}/{self.permit.token}", next(self._numbers)
        artifact.push(store, f"{folder}/{number}", path)
        store.write(f"{folder}/{number}.json", artifact.dumped())
        if (before := self._last.get(artifact.name)) is not None:
            store.remove(f"{folder}/{before}.json")
            store.remove(f"{folder}/{before}")
        self._last[artifact.name] = number
