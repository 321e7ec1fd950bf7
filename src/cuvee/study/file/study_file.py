"""StudyFile: a ``study.yaml`` as text and as what it says, changed together."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from cuvee.errors import ConfigError
from cuvee.files import atomic_path, write_text
from cuvee.study.file.config import StudyConfig
from cuvee.study.file.template import yaml_value
from cuvee.study.file.yaml_edit import with_entry, with_value, without_entry
from cuvee.yaml_file import parse_yaml

COPIES = "study_files"
"""Sub-folder of a study with the files that it had before, as they were."""


@dataclass(frozen=True)
class StudyFile:
    """Text and meaning of a study file; every change is made to both."""

    path: Path
    text: str
    raw: Mapping[str, Any]
    """What the text shall say."""

    @classmethod
    def read(cls, path: Path) -> "StudyFile":
        """The file as it is.

        Raises:
            ConfigError: see ``parse_yaml``.
        """
        # Bytes, because reading as text would turn the line ends of other systems into ours.
        text = path.read_bytes().decode()
        return cls(path, text, parse_yaml(text, str(path)))

    def with_source(self, name: str, source: Mapping[str, Any]) -> "StudyFile":
        """One more source behind the others."""
        entry = f"{yaml_value(name)}: {yaml_value(source)}"
        sources = {**self.raw["sources"], name: dict(source)}
        return self._changed(lambda text: with_entry(text, ("sources",), entry), {"sources": sources})

    def with_pool(self, pool: Sequence[str]) -> "StudyFile":
        """Another pool; entries that stay keep their lines."""
        given = list(self.raw.get("pool") or ())
        kept = [name for name in given if name in pool]
        entries = {name: yaml_value(name) for name in pool}
        return self._changed(
            lambda text: _replaced(text, ("pool",), given, entries, yaml_value(pool)),
            {"pool": [*kept, *(name for name in pool if name not in given)]},
        )

    def with_weights(self, weights: Mapping[str, float]) -> "StudyFile":
        """Other weights of the target; those that are written keep their lines, and their values."""
        target = self.raw.get("target") or {}
        given = target.get("weights") or {}
        kept = {name: value for name, value in given.items() if name in weights}
        wanted = {**kept, **{name: value for name, value in weights.items() if name not in given}}
        entries = {name: f"{yaml_value(name)}: {yaml_value(value)}" for name, value in wanted.items()}
        return self._changed(
            lambda text: _replaced(text, ("target", "weights"), list(given), entries, yaml_value(wanted)),
            {"target": {**target, "weights": wanted}},
        )

    def _changed(self, edit: Callable[[str], str], keys: Mapping[str, Any]) -> "StudyFile":
        """Edit the text, and see that it then says what it shall.

        Raises:
            ConfigError: it does not.
        """
        raw = {**self.raw, **keys}
        try:
            text = edit(self.text)
            said = parse_yaml(text, str(self.path))
        except (ConfigError, yaml.YAMLError):
            said = {}
        if said != raw:
            raise ConfigError(f"{self.path}: its layout is too unusual to be edited; change it by hand")
        return replace(self, text=text, raw=raw)

    @property
    def config(self) -> StudyConfig:
        """The study that it says.

        Raises:
            ConfigError: that is no study.
        """
        return StudyConfig.parse(self.raw, self.path.absolute().parent, str(self.path))

    @property
    def differs(self) -> bool:
        """Whether the file that is there says something else."""
        return self.path.read_bytes() != self.text.encode()

    def write(self) -> Path:
        """Put it in the place of the file that is there, atomically, and keep that one.

        Returns:
            Where the old one lies.
        """
        old = self.path.read_bytes()
        folder = self.path.parent / COPIES
        folder.mkdir(exist_ok=True)
        copies = sorted(folder.glob("[0-9][0-9][0-9].yaml"))
        same = [copy for copy in copies if copy.read_bytes() == old]
        last = int(copies[-1].stem) if copies else 0
        copy = same[-1] if same else folder / f"{last + 1:03d}.yaml"
        if not same:
            with atomic_path(copy) as path:
                path.write_bytes(old)
        write_text(self.path, self.text)
        return copy


def _replaced(
    text: str, place: Sequence[str], given: Sequence[str], entries: Mapping[str, str], whole: str
) -> str:
    """The text with other entries at a place; ``whole`` is all of them, for a place that is empty."""
    if not given:
        return with_value(text, place, whole)
    for name, entry in entries.items():
        text = text if name in given else with_entry(text, place, entry)
    for name in given:
        text = text if name in entries else without_entry(text, place, name)
    return text
