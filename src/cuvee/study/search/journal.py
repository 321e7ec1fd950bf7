"""The journal of a search: what was asked for, batch by batch, written before it is made (floor 7).

What experiments measured stands in the study's store. Both together are the whole state of a search, and
one that was killed at any moment goes on as if it had not been.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from cuvee.errors import StoreError
from cuvee.files import write_text
from cuvee.search.space import Experiment
from cuvee.types import Json

Why = Literal["baseline", "method", "verify"]
"""What an experiment was asked for: to compare with, by the method, or to try what looked best at the end."""

_SCHEMA = 1


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
            "experiments": [{"shares": list(one.shares), "level": one.level} for one in self.experiments],
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
        """The journal of that name, or a new one that begins with what is told.

        A last line that was cut off by a kill is taken away: its experiments were never begun.

        Raises:
            StoreError: it is damaged elsewhere (line told), or another version wrote it.
        """
        if not path.is_file():
            journal = cls(path, pool_flops, tuple(known))
            path.parent.mkdir(parents=True, exist_ok=True)
            head = {"schema": _SCHEMA, "pool_flops": pool_flops, "known": list(known)}
            write_text(path, json.dumps(head) + "\n")
            return journal
        text = path.read_text(encoding="utf-8")
        lines = text.splitlines()
        if lines and not text.endswith("\n"):
            lines.pop()
            write_text(path, "".join(line + "\n" for line in lines))
        try:
            head = json.loads(lines[0])
            if head["schema"] != _SCHEMA:
                raise StoreError(f"{path}: of schema {head['schema']}; move it away to search anew")
            journal = cls(path, float(head["pool_flops"]), tuple(head["known"]))
        except (IndexError, KeyError, TypeError, ValueError) as error:
            raise _damaged(path, 1, error) from error
        for number, line in enumerate(lines[1:], start=2):
            try:
                journal.asked.append(Asked.from_json(json.loads(line)))
            except (KeyError, TypeError, ValueError) as error:
                raise _damaged(path, number, error) from error
        return journal

    def write(self, asked: Asked) -> None:
        """Add a batch; on disk when the call returns."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asked.as_json(), allow_nan=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self.asked.append(asked)


def _damaged(path: Path, line: int, error: Exception) -> StoreError:
    return StoreError(f"{path}: line {line} is damaged ({error!r}); move the file away to search anew")
