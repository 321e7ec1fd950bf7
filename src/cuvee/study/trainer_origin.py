"""TrainerOrigin: what the answer of a user's trainer was made from, as far as it shows without text.

swarm/made_from.json    by command: what the study file asked, and the files that `trainer.command` named
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cuvee.hashing import digest, digest_file
from cuvee.seal import read_sealed, write_sealed
from cuvee.study.file.config import StudyConfig
from cuvee.study.file.folder import StudyFolder
from cuvee.types import Json

_FILE = "made_from.json"
_SECTIONS = ("limits", "target", "target_run", "split", "duplicates", "tokenizer")
_HOW = {"gpus", "timeout", "retries"}
"""Settings of a trainer that decide nothing of what its runs give."""
_DAMAGED = (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError)


@dataclass(frozen=True)
class SeenFile:
    """A file as it was when an answer was asked for."""

    digest: str
    size: int
    changed: int
    """Nanoseconds since 1970."""

    @classmethod
    def of(cls, path: Path) -> Self:
        """One that is there."""
        state = path.stat()
        return cls(digest_file(path), state.st_size, state.st_mtime_ns)

    def holds(self, path: Path) -> bool:
        """Whether a file still has this content; it is read only where size and time do not say."""
        with suppress(OSError):
            state = path.stat()
            if state.st_size != self.size:
                return False
            return state.st_mtime_ns == self.changed or digest_file(path) == self.digest
        return False


@dataclass(frozen=True)
class TrainerOrigin:
    """What was asked of a trainer, and its files."""

    asked: str
    """Digest of what `cuvee swarm` reads of the study file."""
    files: Mapping[str, SeenFile]
    """By the path that the command names."""

    @classmethod
    def of(cls, config: StudyConfig, folder: StudyFolder) -> Self:
        """Of a study as it is now."""
        files = {name: SeenFile.of(path) for name, path in _named(config, folder).items()}
        return cls(_asked(config), files)

    @classmethod
    def read(cls, folder: StudyFolder, command: str) -> Self | None:
        """That of the answer of a command; None where it is not known."""
        with suppress(*_DAMAGED):
            document = read_sealed(folder.swarm / _FILE)[command]
            files = {str(name): SeenFile(**one) for name, one in document["files"].items()}
            return cls(str(document["asked"]), files)
        return None

    def write(self, folder: StudyFolder, command: str) -> None:
        """Keep it beside those of other commands."""
        kept: Json = {}
        with suppress(*_DAMAGED):
            kept = dict(read_sealed(folder.swarm / _FILE))
        files = {name: vars(one) for name, one in self.files.items()}
        write_sealed(folder.swarm / _FILE, {**kept, command: {"asked": self.asked, "files": files}})

    def asks_as(self, config: StudyConfig) -> bool:
        """Whether a study file asks `cuvee swarm` for the same."""
        return self.asked == _asked(config)

    def changed_files(self, config: StudyConfig, folder: StudyFolder) -> tuple[str, ...]:
        """Those with other content, new or no more there."""
        named = _named(config, folder)
        same = {name for name, seen in self.files.items() if name in named and seen.holds(named[name])}
        return tuple(sorted({*named, *self.files} - same))


def _named(config: StudyConfig, folder: StudyFolder) -> dict[str, Path]:
    """The files of the command, those in the study by their path from there; none without a command."""
    root = folder.root.absolute()
    paths = config.trainer.template.files(root) if config.trainer.command else []
    return {str(path.relative_to(root) if path.is_relative_to(root) else path): path for path in paths}


def _asked(config: StudyConfig) -> str:
    """Keys at their defaults are left out, so that those of later versions change nothing."""
    said: Json = {
        name: getattr(config, name).model_dump(mode="json", by_alias=True, exclude_defaults=True)
        for name in _SECTIONS
    }
    trainer = config.trainer.model_dump(mode="json", exclude_defaults=True, exclude=_HOW)
    tokens = config.trainer.tokens or config.reference_training.tokens
    own = {"trainer": trainer, "tokens": tokens, "seed": config.seed, "sources": list(config.pool_sources)}
    return digest(said | own)
