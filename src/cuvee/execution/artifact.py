"""An artefact: a folder or a file of a study under its name, with digests of all its files.

A name is a path below the folder of the study. What is hidden (``.KEY.state``) is under way and changes;
everything else is named by a hash of all that determines it, so that it never does.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cuvee.errors import WorkerError
from cuvee.execution.object_store import ObjectStore
from cuvee.files import atomic_folder, atomic_path
from cuvee.hashing import digest_file


@dataclass(frozen=True)
class Artifact:
    """What it is called and consists of."""

    name: str
    files: Mapping[str, str]
    """Name in the folder -> digest; a single file has the empty name."""

    def __post_init__(self) -> None:
        """Raises WorkerError: a name that leads out of its place, where anything could be removed by it."""
        for name in (self.name, *self.files):
            if name.startswith("/") or ".." in name.split("/"):
                raise WorkerError(f"artefact {self.name!r}: {name!r} leads out of the study")

    @classmethod
    def of(cls, name: str, path: Path) -> "Artifact":
        """What lies at a path."""
        if path.is_file():
            return cls(name, {"": digest_file(path)})
        files = sorted(one for one in path.rglob("*") if one.is_file())
        return cls(name, {one.relative_to(path).as_posix(): digest_file(one) for one in files})

    @property
    def changes(self) -> bool:
        """Another of this name may come after it."""
        return Path(self.name).name.startswith(".")

    def dumped(self) -> bytes:
        """As it is written down behind its files."""
        return json.dumps({"name": self.name, "files": dict(self.files)}, sort_keys=True).encode()

    @classmethod
    def loaded(cls, data: bytes | None) -> "Artifact | None":
        """What ``dumped`` gave; None where that was cut off, or is not there."""
        try:
            found = json.loads(data or b"")
        except ValueError:
            return None
        return cls(found["name"], found["files"])

    def push(self, store: ObjectStore, place: str, path: Path) -> None:
        """Copy it from a path to a place in the store."""
        for file in self.files:
            store.put(path / file if file else path, _joined(place, file))

    def pull(self, store: ObjectStore, place: str, path: Path) -> None:
        """Copy it from a place in the store to a path, where it appears when it is whole.

        Raises:
            WorkerError: it is not there, or not what was sent.
        """
        if "" in self.files:
            with atomic_path(path) as temporary:
                self._fetch(store, place, "", temporary)
        elif not path.exists():
            with atomic_folder(path) as temporary:
                for file in self.files:
                    (temporary / file).parent.mkdir(parents=True, exist_ok=True)
                    self._fetch(store, place, file, temporary / file)

    def _fetch(self, store: ObjectStore, place: str, file: str, target: Path) -> None:
        where = f"{store.url}/{_joined(place, file)}"
        try:
            store.get(_joined(place, file), target)
        except FileNotFoundError as error:
            raise WorkerError(
                f"{where}: is not there for this node; --artifacts must name what all nodes see"
            ) from error
        if digest_file(target) != self.files[file]:
            raise WorkerError(f"{where}: is not what was sent; run the command again")


def _joined(place: str, file: str) -> str:
    return f"{place}/{file}" if file else place
