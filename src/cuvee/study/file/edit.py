"""Changing a ``study.yaml`` as a person would: comments and layout stay."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cuvee.errors import ConfigError
from cuvee.files import write_text
from cuvee.study.file.config import StudyConfig
from cuvee.study.file.template import yaml_value
from cuvee.study.file.yaml_edit import with_entry
from cuvee.yaml_file import parse_yaml, read_yaml


def append_source(path: Path, name: str, paths: Sequence[str], tokens: int | None = None) -> StudyConfig:
    """Add a source to the file, atomically, and return the study that it now says.

    A source that is there already with the same paths stays as it is, so that a command that was killed
    after it had changed the file goes on. A new one is written with ``in_seed: false``, so that the seed
    model and the branches that exist stay valid. Where the file lists its ``pool``, the source is added to
    that list too.

    Args:
        path: the ``study.yaml``.
        name: of the new source.
        paths: its files, as the file shall say them (relative ones from the file's folder).
        tokens: that the target run can draw on; left out, those of the files.

    Raises:
        ConfigError: the name is taken by other paths, or the file (before or after) is not a valid study.
            The file is then as it was.
    """
    old = read_yaml(path)
    before = StudyConfig.load(path)
    if name in before.sources:
        known = before.sources[name].paths
        if not same_places(known, paths, path.absolute().parent):
            raise ConfigError(
                f'{path}: sources: there is already a source "{name}", of {", ".join(known)}; choose another '
                "name"
            )
        if tokens not in (None, before.sources[name].tokens):
            raise ConfigError(
                f'{path}: sources: "{name}" is there already; change its `tokens` in the file and run again'
            )
        return before
    source: dict[str, Any] = {"paths": list(paths), "in_seed": False}
    if tokens is not None:
        source["tokens"] = tokens
    # Bytes, because reading as text would turn the line ends of other systems into ours.
    text = path.read_bytes().decode()
    wanted: dict[str, Any] = old | {"sources": old["sources"] | {name: source}}
    text = with_entry(text, ("sources",), f"{yaml_value(name)}: {yaml_value(source)}")
    if old.get("pool"):
        wanted["pool"] = [*old["pool"], name]
        text = with_entry(text, ("pool",), yaml_value(name))
    if parse_yaml(text, str(path)) != wanted:
        raise ConfigError(f"{path}: its layout is too unusual to be edited; add the source by hand")
    config = StudyConfig.parse(wanted, path.absolute().parent, str(path))
    write_text(path, text)
    return config


def same_places(known: Sequence[str], given: Sequence[str], folder: Path) -> bool:
    """Whether two lists of paths lead to the same files, however they are spelt."""

    def places(paths: Sequence[str]) -> list[str]:
        return [one if one.startswith("hub:") else os.path.realpath(folder / one) for one in paths]

    return places(known) == places(given)
