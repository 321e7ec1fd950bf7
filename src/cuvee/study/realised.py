"""Realised shares: what trained models really read of each source, beside what was asked for.

Read from the logs that lie beside the models. The stream takes turns so fairly that shares differ by rounding
alone, and a source that ends is read again; more than that is a fault, of the log or of what wrote it.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from cuvee.quantities import counted
from cuvee.seal import read_sealed
from cuvee.study.file.folder import StudyFolder
from cuvee.study.plan.agenda import Intended
from cuvee.types import Json

_PASSPORT, _LOG = "cuvee.json", "training.json"  # their own files load torch
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
