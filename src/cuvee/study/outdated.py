"""Which answers of a study belong to another state of it (floor 7)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cuvee.errors import CuveeError
from cuvee.study.answer import Answer
from cuvee.study.config import StudyConfig
from cuvee.study.folder import CONFIG_NAME
from cuvee.study.yaml_file import read_yaml

_SECTIONS = ("scale", "search")


def outdated(folder: Path, answers: Sequence[Answer], shown: Answer | None) -> dict[str, str]:
    """Flow -> what its answer was made from, where that is not the study file of the folder, or other text.

    Args:
        folder: of the study; a study file that cannot be read there dates nothing.
        answers: to be looked at.
        shown: whose text the others are compared with.
    """
    try:
        configs = _configs(folder)
        files = {one.flow: _digests(configs, one.asked) for one in answers}
    except CuveeError:
        files = {}
    found = {}
    for answer in answers:
        if answer.flow in files and answer.created_from.config not in files[answer.flow]:
            found[answer.flow] = "another study file, or by another version of cuvee"
        elif shown is not None and answer.created_from.sources != shown.created_from.sources:
            found[answer.flow] = f"other text than that of {shown.command}"
    return found


def _configs(folder: Path) -> list[StudyConfig]:
    """The study as it is, and without what only another flow reads: that may have been added since."""
    kept = [read_yaml(folder / CONFIG_NAME)]
    for section in _SECTIONS:
        kept += [{key: one[key] for key in one if key != section} for one in kept if section in one]
    return [StudyConfig.parse(one, folder) for one in kept]


def _digests(configs: Sequence[StudyConfig], asked: Mapping[str, Any]) -> frozenset[str]:
    return frozenset((one.searching(asked) if asked else one).digest for one in configs)
