"""Outdated answers: those made from another study file or other text than lie in the folder now."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cuvee.errors import CuveeError
from cuvee.study.file.config import StudyConfig
from cuvee.study.file.folder import CONFIG_NAME, StudyFolder
from cuvee.study.trainer_origin import TrainerOrigin
from cuvee.yaml_file import read_yaml

if TYPE_CHECKING:
    from cuvee.decisions.answers.recommendation import Recommendation

_SECTIONS = ("scale", "search", "order")
_ASKED = ("budget_flops", "method")
"""Keys of the answer of a search that the command line may have put in place of the study file's."""
_OTHER_FILE = "another study file, or by another version of cuvee"


def outdated(
    folder: Path, answers: Sequence["Recommendation"], shown: "Recommendation | None"
) -> dict[str, str]:
    """Flow -> what its answer was made from, where that is not the study file of the folder, or other text.

    Args:
        folder: of the study; a study file that cannot be read there dates nothing.
        answers: to be looked at.
        shown: whose text the others are compared with.
    """
    found = _of_other_files(folder, {one.flow: (one.created_from.config, one.asked) for one in answers})
    if shown is not None:
        text = {one.flow for one in answers if one.created_from.sources != shown.created_from.sources}
        found = dict.fromkeys(text, f"other text than that of {shown.command}") | found
    return {one.flow: found[one.flow] for one in answers if one.flow in found}


def outdated_files(folder: StudyFolder) -> dict[str, str]:
    """The same of the answers that lie in a folder, as far as their study file shows: what they hold besides
    is not read."""
    made: dict[str, tuple[str, dict[str, Any]]] = {}
    for flow, path in (("run", folder.decision), ("search", folder.search), ("scale", folder.scale)):
        with suppress(OSError, ValueError, LookupError, TypeError, RecursionError):
            document = json.loads(path.read_text(encoding="utf-8"))
            asked = {key: document[key] for key in _ASKED} if flow == "search" else {}
            made[flow] = str(document["created_from"]["config"]), asked
    swarm = _of_other_trainer(folder, "swarm") if (folder.swarm / "fit.json").is_file() else {}
    return _of_other_files(folder.root, made) | swarm


def _of_other_files(folder: Path, made: Mapping[str, tuple[str, Mapping[str, Any]]]) -> dict[str, str]:
    """Those of flows with the digest of their study file and what was asked that are not of this one."""
    try:
        configs = _configs(folder) if made else []
        other = {
            flow: _OTHER_FILE
            for flow, (config, asked) in made.items()
            if config not in _digests(configs, asked)
        }
    except CuveeError:
        return {}
    return (_of_other_trainer(StudyFolder(folder), "search") if "search" in made else {}) | other


def _of_other_trainer(folder: StudyFolder, command: str) -> dict[str, str]:
    """The command, where its answer came from the user's trainer as it is no more."""
    origin = TrainerOrigin.read(folder, command)
    if origin is None:
        return {}
    try:
        config = StudyConfig.load(folder.root)
    except CuveeError:
        return {}
    if command == "swarm" and not origin.asks_as(config):
        return {command: _OTHER_FILE}
    changed = origin.changed_files(config, folder) if _rests_on_trainer(command, config) else ()
    return {command: f"other content of {', '.join(changed)} (`trainer.command`)"} if changed else {}


def _rests_on_trainer(command: str, config: StudyConfig) -> bool:
    return command == "swarm" or bool(config.search.trainer_tokens)


def _configs(folder: Path) -> list[StudyConfig]:
    """The study as it is, and without what only another flow reads: that may have been added since."""
    kept = [read_yaml(folder / CONFIG_NAME)]
    for section in _SECTIONS:
        kept += [{key: one[key] for key in one if key != section} for one in kept if section in one]
    return [StudyConfig.parse(one, folder) for one in kept]


def _digests(configs: Sequence[StudyConfig], asked: Mapping[str, Any]) -> frozenset[str]:
    return frozenset((one.searching(asked) if asked else one).digest for one in configs)
