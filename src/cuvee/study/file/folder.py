"""The study on disk: which file and folder lies where. Knows paths, reads nothing.

    study.yaml            what the user wrote
    numerics.json         number format, device and compilation, chosen once
    paces.json            seconds of a training step here, as they were timed for a plan
    references.json       the mixtures that are really trained
    references.digests    digests of that file, as it was written
    agenda.json           what is to be trained, and what for
    store.sqlite          runs, observations, costs
    overlaps/<key>.json   n-grams of evaluations found in a source
    tokenizers/<key>/     tokenizers, as Hugging Face folders
    shards/<key>/         token shards
    checkpoints/<key>/    models, as Hugging Face folders
    pools/<key>/          branches of one seed model, flat
    ensembles/<key>/      token probabilities of the members of a pool
    merge_statistics/<key>/  what methods of merging other than linear need of a branch
    tasks/<key>.json      requests of downstream tasks, as text and as tokens
    kernels/<key>/        what was compiled for a GPU on one kind of machine; safe to delete
    fits/<key>.json       the fitted calibrators and their errors
    decision.json         the answer
    report.html           the answer to look at
    report.md             the same as text
    scale.json            the answer of `cuvee scale`
    scale.html            that answer to look at
    searches/<key>.jsonl  what `cuvee search` has asked for, batch by batch
    searches/<key>.charge what its pool cost when it began
    search.json           its answer
    search.html           that answer to look at
    search-documents.parquet  which documents its mixture reads, where it chose them
    swarm/runs/<key>/     runs of a trainer of the user's: mixture, script, log, output
    swarm/asked.json      which runs make up its design
    swarm/made_from.json  what its answer, and that of a search by the same trainer, was made from
    swarm/text/<key>/     what that trainer may train on, where its models are measured here
    swarm/                its runs as a table, and the answer that laws give of them
    swarm/optimise/       what `cuvee optimise STUDY/swarm` answers, which leaves that of `cuvee swarm` alone
    valuation/            what `cuvee value` found, one folder a target
    tracking/             what trackers show (`tracking` in the study file); never read
    study_files/          study files as they were before `cuvee change`

A key is the hash of all that determines what lies under it. All but ``study.yaml`` can be made again.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from cuvee.errors import ConfigError, StoreError
from cuvee.hashing import digest

CONFIG_NAME = "study.yaml"
SUFFIX = ".cuvee"
"""Of the folder of a study beside its data."""

_PLAIN_NAME = re.compile(r"\w[\w .-]*")
_LONGEST_NAME = 80
"""Bytes: file systems allow 255, and more is written behind it."""
_TAKEN = frozenset({"rows", "shards"})
"""Beside the targets in ``valuation``."""


@dataclass(frozen=True)
class StudyFolder:
    """The paths of one study."""

    root: Path
    """The folder in which ``study.yaml`` lies; made when first written to."""

    @classmethod
    def of(cls, path: Path) -> "StudyFolder":
        """The folder of a study, given as the folder itself or as its ``study.yaml``.

        Raises:
            ConfigError: nothing is there, or a folder without a ``study.yaml``.
        """
        root = path if path.is_dir() else path.parent
        config = path / CONFIG_NAME if path.is_dir() else path
        if not config.is_file():
            raise ConfigError(f"{config}: there is no study; {_advice(root)}")
        return cls(root.absolute())

    @property
    def store(self) -> Path:
        return self.root / "store.sqlite"

    @property
    def numerics(self) -> Path:
        return self.root / "numerics.json"

    @property
    def paces(self) -> Path:
        return self.root / "paces.json"

    @property
    def references(self) -> Path:
        return self.root / "references.json"

    @property
    def references_digests(self) -> Path:
        return self.root / "references.digests"

    @property
    def agenda(self) -> Path:
        return self.root / "agenda.json"

    @property
    def decision(self) -> Path:
        return self.root / "decision.json"

    @property
    def scale(self) -> Path:
        return self.root / "scale.json"

    @property
    def search(self) -> Path:
        return self.root / "search.json"

    @property
    def report(self) -> Path:
        return self.root / "report.html"

    @property
    def overlaps(self) -> Path:
        return self.root / "overlaps"

    @property
    def tokenizers(self) -> Path:
        return self.root / "tokenizers"

    @property
    def shards(self) -> Path:
        return self.root / "shards"

    @property
    def checkpoints(self) -> Path:
        return self.root / "checkpoints"

    @property
    def pools(self) -> Path:
        return self.root / "pools"

    @property
    def ensembles(self) -> Path:
        return self.root / "ensembles"

    @property
    def statistics(self) -> Path:
        return self.root / "merge_statistics"

    @property
    def tasks(self) -> Path:
        return self.root / "tasks"

    @property
    def kernels(self) -> Path:
        return self.root / "kernels"

    @property
    def fits(self) -> Path:
        return self.root / "fits"

    @property
    def searches(self) -> Path:
        return self.root / "searches"

    @property
    def search_documents(self) -> Path:
        return self.root / "search-documents.parquet"

    @property
    def tracking(self) -> Path:
        return self.root / "tracking"

    @property
    def swarm(self) -> Path:
        return self.root / "swarm"

    @property
    def valuation(self) -> Path:
        return self.root / "valuation"

    def valued(self, target: str) -> Path:
        """Where values for a target are written, under its name where that is a plain one."""
        return self.valuation / _plain(target)

    def tokenizer(self, key: str) -> Path:
        return self.tokenizers / key

    def shard(self, key: str) -> Path:
        return self.shards / key

    def checkpoint(self, key: str) -> Path:
        return self.checkpoints / key

    def pool(self, key: str) -> Path:
        return self.pools / key

    def fit(self, key: str) -> Path:
        return self.fits / f"{key}.json"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the study, so that two runs of it never work at the same time.

        The lock is the operating system's: it ends with the process, also when that is killed.

        Raises:
            StoreError: another process holds it.
        """
        import fcntl

        with self._opened(".lock") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise StoreError(f"{self.root}: another cuvee works on this study; wait for it") from error
            yield

    @contextmanager
    def observed(self) -> Iterator[None]:
        """Look at the study, also while it is held: what this process writes is not taken for a leftover."""
        import fcntl

        with self._opened(".observed") as handle:
            fcntl.flock(handle, fcntl.LOCK_SH)
            yield

    @property
    def at_work(self) -> bool:
        """Whether a command holds the study now; nothing is written to find out."""
        import fcntl

        try:
            with (self.root / ".lock").open() as handle:
                fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False  # there was none yet
        return False

    @contextmanager
    def unobserved(self) -> Iterator[bool]:
        """Keep observers out for a moment; False where there is one already."""
        import fcntl

        with self._opened(".observed") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True

    def _opened(self, name: str) -> TextIO:
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            return (self.root / name).open("w")
        except OSError as error:
            raise StoreError(
                f"{self.root / name}: cannot be written ({error.strerror or error}); a study needs a folder "
                "that it may write to: copy it to one, or make this one writable"
            ) from error


def _plain(name: str) -> str:
    """The name of an evaluation as that of one folder of its own, whatever stands in it."""
    if _PLAIN_NAME.fullmatch(name) and len(name.encode()) <= _LONGEST_NAME and name not in _TAKEN:
        return name
    readable = re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")[:_LONGEST_NAME]
    return f"{readable or 'evaluation'}-{digest(name)}"


def beside(data: Path) -> Path:
    """The folder that a study of a folder of data gets where none is named: ``texts.cuvee`` for ``texts``."""
    plain = data if data.name not in ("", "..") else Path(os.path.normpath(data.absolute()))
    return plain.with_name(f"{plain.name}{SUFFIX}") if plain.name else plain / f"study{SUFFIX}"


def study_around(place: Path) -> Path | None:
    """The folder of the study to which an answer belongs by where it lies: in it, or in its ``swarm``."""
    place = place.absolute()
    return next(
        (
            root
            for root in (place, *place.parents[:2])
            if (root / CONFIG_NAME).is_file()
            and (place == root or place.is_relative_to(StudyFolder(root).swarm))
        ),
        None,
    )


def owner_of(place: Path) -> str:
    """The command whose answer a folder of a study is for; empty for any other folder."""
    root = study_around(place)
    if root is None:
        return ""
    return {root: "run", StudyFolder(root).swarm: "swarm"}.get(place.absolute(), "")


def _advice(root: Path) -> str:
    study = beside(root)
    if (study / CONFIG_NAME).is_file():
        return f"that of its data lies in {study}"
    return f"write one by hand or with `cuvee init {root}`"


GENERATED = frozenset(
    {
        "overlaps",
        "tokenizers",
        "shards",
        "checkpoints",
        "pools",
        "ensembles",
        "merge_statistics",
        "tasks",
        "kernels",
        "fits",
        "searches",
        "study_files",
        "tracking",
        "swarm",
        "valuation",
    }
)
"""The sub-folders that cuvee makes itself; never taken for sources."""

GENERATED_FILES = frozenset(
    {
        "numerics.json",
        "paces.json",
        "references.json",
        "agenda.json",
        "decision.json",
        "scale.json",
        "search.json",
        "search-documents.parquet",
        "report.md",
    }
)
"""The files that cuvee makes itself and that would look like data."""
