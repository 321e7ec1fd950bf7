"""Requests of a downstream task: what a language model is asked, and which answers are right (sources).

A task asks for likelihoods alone: of each choice given a context (``choice``), of one answer given a
context (``answer``), or of whole texts (``rolling``). Requests are text, so that one file serves every
tokenizer. They are made once (``harness.py``) and kept under the hash of what made them.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from cuvee.errors import ConfigError
from cuvee.hashing import digest
from cuvee.seal import read_sealed, write_sealed
from cuvee.types import Json

Kind = Literal["choice", "answer", "rolling"]


@dataclass(frozen=True)
class TaskItem:
    """One question, or one text."""

    requests: tuple[tuple[str, str], ...]
    """Context and continuation of every choice; one alone unless there is a choice. The context of a text is
    empty."""
    characters: tuple[int, ...]
    """Of each choice, by which its likelihood is normalised; words of a text."""
    bytes: tuple[int, ...]
    """UTF-8 bytes of each choice, or of the text."""
    gold: tuple[int, ...]
    """Which choices are right; bits per byte are those of the first."""

    def __post_init__(self) -> None:
        asked = len(self.requests)
        if not asked or not len(self.characters) == len(self.bytes) == asked:
            raise ConfigError(f"a question of {asked} choices needs as many lengths, and at least one")
        if not self.gold or not all(0 <= one < asked for one in self.gold):
            raise ConfigError(f"right answers {list(self.gold)} of a question of {asked} choices")
        if min(self.bytes) < 1 or min(self.characters) < 1:
            raise ConfigError("a choice or text is empty")


@dataclass(frozen=True)
class TaskRequests:
    """All questions of a task.

    Raises:
        ConfigError: there is none.
    """

    kind: Kind
    items: tuple[TaskItem, ...]

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ConfigError(f"unknown kind of task {self.kind!r}")
        if not self.items:
            raise ConfigError("the task has no questions")

    @property
    def key(self) -> str:
        """Hash of everything that is asked."""
        return digest(self.as_json())

    def as_json(self) -> Json:
        """Plain JSON; ``from_json`` reads it back."""
        rows = [
            {
                "requests": [list(one) for one in item.requests],
                "characters": list(item.characters),
                "bytes": list(item.bytes),
                "gold": list(item.gold),
            }
            for item in self.items
        ]
        return {"kind": self.kind, "items": rows}

    @classmethod
    def from_json(cls, value: Json) -> "TaskRequests":
        """The requests that ``as_json`` wrote."""
        return cls(value["kind"], tuple(_item(row) for row in value["items"]))

    def save(self, path: Path) -> None:
        """Write the requests with their digest."""
        write_sealed(path, self.as_json())

    @classmethod
    def open(cls, path: Path) -> "TaskRequests":
        """Read what ``save`` wrote.

        Raises:
            ConfigError: the file cannot be read or is damaged.
        """
        try:
            return cls.from_json(read_sealed(path))
        except (OSError, ValueError, KeyError, TypeError, ConfigError) as error:
            raise ConfigError(
                f"{path}: cannot be read ({error}); delete it to have the task read anew"
            ) from error


def _item(row: dict[str, Any]) -> TaskItem:
    return TaskItem(
        tuple((context, continuation) for context, continuation in row["requests"]),
        tuple(row["characters"]),
        tuple(row["bytes"]),
        tuple(row["gold"]),
    )
