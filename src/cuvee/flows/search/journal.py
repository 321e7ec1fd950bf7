"""The journal of a search: what was asked for, batch by batch, written before it is made.

What experiments measured stands in the study's store. Both together are the whole state of a search, and
one that was killed at any moment goes on as if it had not been. Batches stay as they were asked where a
trainer's failed runs, tried again by a later command, have measured something since. Each line has a digest
of itself and of all text before it, so that a line that is lost or damaged is found.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cuvee.decisions.search.result import Why
from cuvee.errors import StoreError
from cuvee.files import write_text
from cuvee.hashing import digest
from cuvee.search.space import Experiment
from cuvee.types import Json

_SCHEMA = 1
_DIGEST = "digest"
_KEYS = {"schema", "pool_flops", "known"} | {
    "experiments", "why", "gain", "sure", "spent", "budget_flops"
}  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """Experiments that are made side by side."""

    experiments: tuple[Experiment, ...]
    why: tuple[Why, ...]
    """One for each."""
    gain: float
    """What was expected, before, of knowing everything: nats per token below the best; NaN if not known."""
    sure: int = 0
    """How often in a row, before, nothing better was probable."""
    spent: float = 0.0
    """FLOPs spent before, the pool included."""
    budget_flops: float = 0.0
    """Of the search when it asked; more may be given later."""

    def as_json(self) -> Json:
        """A line."""
        return {
            "experiments": [{"shares": list(one.shares), "level": one.fidelity} for one in self.experiments],
            "why": list(self.why),
            "gain": None if self.gain != self.gain else self.gain,
            "sure": self.sure,
            "spent": self.spent,
            "budget_flops": self.budget_flops,
        }

    @classmethod
    def from_json(cls, line: Json) -> "Asked":
        """Read one back."""
        gain = float("nan") if line["gain"] is None else float(line["gain"])
        made = tuple(Experiment(tuple(one["shares"]), int(one["level"])) for one in line["experiments"])
        money = (float(line.get(name, 0.0)) for name in ("spent", "budget_flops"))
        return cls(made, tuple(line["why"]), gain, int(line["sure"]), *money)


@dataclass
class Journal:
    """All batches, in order. Made by ``opened``."""

    path: Path
    pool_flops: float
    """What the pool still cost when the search began."""
    known: tuple[str, ...]
    """Keys of runs of earlier searches that were known when it began."""
    asked: list[Asked] = field(default_factory=list)

    @classmethod
    def opened(cls, path: Path, pool_flops: float, known: Sequence[str]) -> "Journal":
        """The journal of that name, or a new one that begins with the given facts.

        A last line that was cut off by a kill is taken away: its experiments were never begun.

        Raises:
            StoreError: it is damaged elsewhere (the message names the line), or another version wrote it.
        """
        if not path.is_file():
            journal = cls(path, pool_flops, tuple(known))
            path.parent.mkdir(parents=True, exist_ok=True)
            first = {"schema": _SCHEMA, "pool_flops": pool_flops, "known": list(known)}
            write_text(path, _line(first, ""))
            return journal
        lines = _lines(path)
        try:
            head: Any = lines[0]
            if head["schema"] != _SCHEMA:
                raise StoreError(f"{path}: of schema {head['schema']}; move it away to search anew")
            journal = cls(path, float(head["pool_flops"]), tuple(head["known"]))
        except (IndexError, KeyError, TypeError, ValueError) as error:
            raise _damaged(path, 1, error) from error
        for number, line in enumerate(lines[1:], start=2):
            try:
                journal.asked.append(Asked.from_json(line))
            except (KeyError, TypeError, ValueError) as error:
                raise _damaged(path, number, error) from error
        return journal

    def write(self, asked: Asked) -> None:
        """Add a batch; on disk when the call returns."""
        line = _line(asked.as_json(), self.path.read_text(encoding="utf-8"))
        with self.path.open("a", encoding="utf-8") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        self.asked.append(asked)


def _line(content: Json, before: str) -> str:
    """A line that can stand behind the text of a journal."""
    return json.dumps({**content, _DIGEST: digest([before, content])}, allow_nan=False) + "\n"


def _lines(path: Path) -> list[Json]:
    """The content of all lines; a last one that was cut off is taken away.

    Journals of earlier versions have lines without digests, before all others.

    Raises:
        StoreError: a line is damaged, or one before it was lost.
    """
    try:
        text = path.read_bytes().decode()
    except UnicodeDecodeError as error:
        raise _damaged(path, 1 + error.object[: error.start].count(b"\n"), error) from error
    whole, end, cut = text.rpartition("\n")
    if cut:
        write_text(path, whole + end)
    found: list[Json] = []
    before, chained = "", False
    for number, line in enumerate(whole.split("\n") if whole else [], start=1):
        try:
            content = json.loads(line)
            written = content.pop(_DIGEST, None)
            if set(content) - _KEYS:
                raise ValueError(f"unknown: {', '.join(sorted(set(content) - _KEYS))}")
            if (chained or written is not None) and written != digest([before, content]):
                raise ValueError("it is not as it was written, or one before it is lost")
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise _damaged(path, number, error) from error
        found.append(content)
        before, chained = f"{before}{line}\n", chained or written is not None
    return found


def _damaged(path: Path, line: int, error: Exception) -> StoreError:
    return StoreError(f"{path}: line {line} is damaged ({error!r}); move the file away to search anew")
