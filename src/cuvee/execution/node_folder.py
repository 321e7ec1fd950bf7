"""The folder of a node that has none in common with others: what it pulled, and what attempts work on.

    <node>/kept/<name>/               artefacts, pulled once
    <node>/attempts/<token>/study/    the folder of the study as one attempt sees it: links to its inputs, and
                                      what it made; nobody else looks there
    <node>/pulled.txt                 a line for each artefact that was pulled

It lies in CUVEE_NODE_FOLDER, or among the temporary files of the machine.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cuvee.errors import ConfigError
from cuvee.execution.artifact import Artifact
from cuvee.execution.object_store import ObjectStore
from cuvee.execution.portable import PortablePickles
from cuvee.hashing import digest

_VARIABLE = "CUVEE_NODE_FOLDER"


@dataclass(frozen=True)
class NodeFolder:
    """Of one node, for one study."""

    path: Path

    @classmethod
    def of(cls, store: ObjectStore, node: str) -> "NodeFolder":
        """The folder of this node.

        Args:
            store: of the study.
            node: what the node is called.
        """
        given = os.environ.get(_VARIABLE)
        base = Path(given).absolute() if given else _temporary()
        return cls(base / digest(store.url) / digest(node))

    @property
    def pulled(self) -> Path:
        """What was pulled, line by line."""
        return self.path / "pulled.txt"

    @contextmanager
    def attempt(self, token: str) -> Iterator[Path]:
        """A place for one attempt, gone when it ends."""
        place = self.path / "attempts" / token
        place.mkdir(parents=True)
        try:
            yield place
        finally:
            shutil.rmtree(place, ignore_errors=True)

    def give(self, store: ObjectStore, inputs: Mapping[str, Artifact], study: Path) -> None:
        """Lay inputs into the folder of the study as an attempt sees it; what is not kept here is pulled.

        Args:
            store: where they come from.
            inputs: by their place there.
            study: that folder.
        """
        for place, artifact in inputs.items():
            target = study / artifact.name
            target.parent.mkdir(parents=True, exist_ok=True)
            if artifact.changes:
                artifact.pull(store, place, target)
            else:
                target.symlink_to(self._kept(store, place, artifact))

    def pickles(self, study: Path, kept: frozenset[str]) -> PortablePickles:
        """How paths are sent to an attempt: those of inputs that are kept are the same for all of them, so
        that what a process opened for one serves the next.

        Args:
            study: the folder of the study as the attempt sees it.
            kept: names of inputs.
        """

        def name_of(path: Path) -> str | None:
            for root in (study, self.path / "kept"):
                if path.is_relative_to(root):
                    return path.relative_to(root).as_posix()
            return None

        def path_of(name: str) -> Path:
            return (self.path / "kept" if artifact_of(name) in kept else study) / name

        return PortablePickles(name_of, path_of)

    def _kept(self, store: ObjectStore, place: str, artifact: Artifact) -> Path:
        path = self.path / "kept" / artifact.name
        with self._locked(artifact.name):  # several workers of a node may want the same
            if not path.exists():
                artifact.pull(store, place, path)
                with self.pulled.open("a", encoding="utf-8") as lines:
                    lines.write(f"{artifact.name}\n")
        return path

    @contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        import fcntl

        file = self.path / "locks" / digest(name)
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def clear(self) -> None:
        """Remove all of it, and what nodes that were lost left of the study on this machine."""
        shutil.rmtree(self.path.parent, ignore_errors=True)


def _temporary() -> Path:
    """A folder of this user among the temporary files of the machine.

    Raises:
        ConfigError: it belongs to somebody else, who could lay anything into it.
    """
    base = Path(tempfile.gettempdir(), f"cuvee-{os.getuid()}")
    base.mkdir(mode=0o700, exist_ok=True)
    if base.stat().st_uid != os.getuid():
        raise ConfigError(f"{base}: belongs to another user; set {_VARIABLE} to a folder of yours")
    return base


def artifact_of(name: str) -> str:
    """The artefact that a path is, or lies in: artefacts lie two levels below the folder of a study."""
    return "/".join(name.split("/")[:2])
