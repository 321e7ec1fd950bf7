"""Realised shares: what trained models really read of each source, beside what was asked for.

Read from the logs that lie beside the models. The stream takes turns so fairly that shares differ by rounding
alone, and a source that ends is read again; more than that is a fault, of the log or of what wrote it.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from cuvee.decisions.read_shares import ReadShares, ReadSource
from cuvee.quantities import counted
from cuvee.seal import read_sealed
from cuvee.study.file.folder import StudyFolder
from cuvee.study.plan.agenda import Agenda, Intended
from cuvee.types import Json

_PASSPORT, _LOG = "cuvee.json", "training.json"  # their own files load torch
_ALIKE = 1e-6
_REPEATED = 1.05
"""Epochs above which a source counts as read again."""


@dataclass(frozen=True)
class RealisedShare:
    """A source in one training."""

    source: str
    asked: float
    """Share of the tokens."""
    realised: float
    epochs: float
    """How often it was read."""
    rounding: float
    """By how much the two shares may differ."""

    @property
    def as_asked(self) -> bool:
        return abs(self.realised - self.asked) <= self.rounding


@dataclass(frozen=True)
class RealisedTraining:
    """A training that went to its end."""

    key: str
    role: str
    shares: tuple[RealisedShare, ...]

    def is_of(self, mixture: Mapping[str, float]) -> bool:
        """Whether it was trained on a mixture, up to how shares are written down."""
        asked = {one.source: one.asked for one in self.shares}
        return all(abs(asked.get(name, 0.0) - mixture.get(name, 0.0)) < _ALIKE for name in {*asked, *mixture})

    def as_json(self) -> Json:
        return {"key": self.key, "role": self.role, "shares": [asdict(one) for one in self.shares]}

    @property
    def warning(self) -> str:
        """What it read that was not asked for; empty where that is rounding."""
        off = [
            f"{one.realised:.2%} of {one.source} where {one.asked:.2%} were asked for"
            for one in self.shares
            if not one.as_asked
        ]
        return f"training {self.key} ({self.role}) read {', '.join(off)}" if off else ""


def realised_trainings(folder: StudyFolder, intended: Iterable[Intended]) -> tuple[RealisedTraining, ...]:
    """Of those trainings whose models are there; a log that cannot be read is left out, as it is refused when
    it is needed. Cost: two small files a model."""
    found = []
    for one in intended:
        try:
            shares = _shares(folder.checkpoint(one.key))
        except (OSError, ValueError, LookupError, TypeError, AttributeError, ZeroDivisionError):
            continue
        found.append(RealisedTraining(one.key, one.role, shares))
    return tuple(found)


def read_shares(folder: StudyFolder, pick: Mapping[str, float]) -> ReadShares | None:
    """What all trainings that a study set out to make read of each source; None where none left a log.

    Args:
        folder: of the study.
        pick: its shares by source, in the order of display.
    """
    intended = {one.key: one for rows in Agenda.read(folder).stages.values() for one in rows}
    made = realised_trainings(folder, intended.values())
    if not made:
        return None
    own = [one for one in made if one.is_of(pick)]
    rows = [_read(name, share, made, own) for name, share in pick.items()]
    return ReadShares(tuple(rows), len(made), len(own), sum(bool(one.warning) for one in made))


def _read(
    name: str, share: float, made: Sequence[RealisedTraining], own: Sequence[RealisedTraining]
) -> ReadSource:
    read = [one.realised for training in own for one in training.shares if one.source == name]
    average = sum(read) / len(own) if own else math.nan
    differences = [
        (abs(one.realised - one.asked), f"{training.key} ({training.role})")
        for training in made
        for one in training.shares
        if one.source == name
    ]
    largest, where = max(differences, default=(0.0, ""), key=lambda pair: pair[0])
    return ReadSource(name, share if own else math.nan, average, largest, where if largest else "")


def sentences_on(trainings: Iterable[RealisedTraining]) -> list[str]:
    """Warnings if there are any, else that all is well; and what was read most often."""
    trainings = list(trainings)
    if not trainings:
        return []
    warnings = [f"warning: {one.warning}" for one in trainings if one.warning]
    well = f"shares of {counted(len(trainings), 'training')}: read as asked for, up to rounding"
    most, training = max(
        ((share, one) for one in trainings for share in one.shares), key=lambda pair: pair[0].epochs
    )
    again = (
        [f"read most often: {most.source}, {most.epochs:.1f} times by {training.role} {training.key}"]
        if most.epochs > _REPEATED
        else []
    )
    return [*(warnings or [well]), *again]


def _shares(model: Path) -> tuple[RealisedShare, ...]:
    details = read_sealed(model / _PASSPORT)["details"]
    log = json.loads((model / _LOG).read_text(encoding="utf-8"))
    asked: Mapping[str, float] = {name: share for name, share in details["mixture"].items() if share}
    tokens: Mapping[str, int] = log["tokens"]
    total, context = sum(tokens.values()), int(details["recipe"]["context_length"])
    return tuple(
        RealisedShare(
            name,
            share,
            tokens.get(name, 0) / total,
            float(log["epochs"].get(name, 0.0)),
            # The bound of ``sources/interleave.py``, in windows.
            (0.5 + share * len(asked) / 2) * context / total + 1e-9,
        )
        for name, share in asked.items()
    )
