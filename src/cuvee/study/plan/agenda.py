"""What the commands of a study set out to train, stage by stage, and how far each training is.

    agenda.json    stage -> trainings: key, role, steps, FLOPs

A training under way saves where it stands, but does not say what it is for. With both, a study can be looked
at while it is at work or after a kill: nothing but a header is read, and no library for models is loaded.
"""

import json
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from cuvee.files import write_json
from cuvee.study.file.folder import StudyFolder
from cuvee.types import Json

_LENGTH_BYTES = 8  # of the length before the header of a safetensors file
_MOST_HEADER_BYTES = 1 << 27


@dataclass(frozen=True)
class Intended:
    """A training that a command set out to make."""

    key: str
    role: str
    """``seed``, ``branch``, ``reference``, ``replicate``, or what a run of a ladder is for."""
    steps: int
    flops: float
    """Of all its steps."""

    def done(self, folder: StudyFolder) -> float:
        """Which part of it is made, as last saved: 0 to 1."""
        if folder.checkpoint(self.key).is_dir():
            return 1.0
        return min(saved_step(folder, self.key) / self.steps, 1.0)


@dataclass(frozen=True)
class Agenda:
    """All that was set out to be trained. Made by ``read``."""

    stages: dict[str, tuple[Intended, ...]]

    @classmethod
    def read(cls, folder: StudyFolder) -> "Agenda":
        """The agenda of a study; an empty one where none is there or it cannot be read."""
        try:
            stages = json.loads(folder.agenda.read_text(encoding="utf-8"))
            return cls({title: tuple(Intended(**one) for one in rows) for title, rows in stages.items()})
        except (OSError, ValueError, TypeError, AttributeError, RecursionError):
            return cls({})

    def of_roles(self, roles: Collection[str]) -> list[Intended]:
        """The trainings for these purposes, each once."""
        rows = (one for stage in self.stages.values() for one in stage if one.role in roles)
        return list({one.key: one for one in rows}.values())


def set_out(folder: StudyFolder, title: str, trainings: Sequence[Intended]) -> None:
    """Write down what a stage is to train, in place of what it was to train before."""
    stages = Agenda.read(folder).stages | {title: tuple(trainings)}
    write_json(folder.agenda, {name: [asdict(one) for one in rows] for name, rows in stages.items()})


def saved_step(folder: StudyFolder, key: str) -> int:
    """The step at which a training was last saved; 0 if there is none."""
    try:
        return int(saved_facts(folder, key)["step"])
    except (ValueError, TypeError, KeyError):
        return 0


def saved_facts(folder: StudyFolder, key: str) -> Json:
    """What the last saved state of a training says beside its tensors (``training/state.py`` writes it);
    nothing if there is none."""
    try:
        with folder.checkpoint(f".{key}.state").open("rb") as file:
            length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
            header: Any = json.loads(file.read(length)) if length <= _MOST_HEADER_BYTES else {}
        facts = json.loads(header["__metadata__"]["facts"])
    except (OSError, ValueError, TypeError, KeyError):
        return {}
    return facts if isinstance(facts, dict) else {}
