"""CommandTemplate: the command by which a trainer of the user's is called, with fields in braces.

It is divided into arguments as a shell would, and no shell runs it: a path with a space stays one argument,
wherever its field stands. What needs a shell says ``sh -c '...'``; a brace that is meant as such is doubled.
"""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Formatter

MIXTURE, OUTPUT = "mixture", "output"
FIELDS = (MIXTURE, "tokens", "seed", "parameters", "tokenizer", OUTPUT)
"""What may stand in braces."""
_OF_A_SHELL = frozenset({"|", "||", "&", "&&", ";", ">", ">>", "<", "2>&1"})

Piece = tuple[str, str]
"""Text, and the field that follows it (or none)."""


@dataclass(frozen=True)
class CommandTemplate:
    """The arguments of a command. Made by ``parse``."""

    arguments: tuple[tuple[Piece, ...], ...]
    """Each as its pieces."""

    @classmethod
    def parse(cls, text: str) -> "CommandTemplate":
        """Divide and check.

        Raises:
            ValueError: no command, quotes that do not close, or fields that cannot be filled in.
        """
        try:
            words = shlex.split(text)
        except ValueError as error:
            raise ValueError(f"cannot be divided into arguments ({error})") from None
        if not words:
            raise ValueError("must not be empty")
        if shell := [word for word in words if word in _OF_A_SHELL]:
            raise ValueError(f"holds {shell[0]}, but no shell runs it; write sh -c '...' around all of it")
        found = cls(tuple(map(_pieces, words)))
        for needed in (MIXTURE, OUTPUT):
            if needed not in found.fields:
                raise ValueError(f"needs {{{needed}}}, or every run would be the same")
        return found

    @property
    def fields(self) -> frozenset[str]:
        """The fields that stand in it."""
        return frozenset(field for pieces in self.arguments for _, field in pieces if field)

    def in_shell(self, values: Mapping[str, str]) -> str:
        """The command for a script; values are expressions of the shell, quoted where they need it."""
        words = (
            "".join((shlex.quote(text) if text else "") + values.get(field, "") for text, field in pieces)
            for pieces in self.arguments
        )
        return " ".join(word or "''" for word in words)

    def files(self, folder: Path) -> list[Path]:
        """Files that it names by a path from a folder: what they hold decides what a run gives.

        Of an absolute path as well, but for the program itself, which may be another one elsewhere.
        """
        found = []
        for place, pieces in enumerate(self.arguments):
            words = [text for text, _ in pieces]
            if len(pieces) > 1 or pieces[0][1]:
                continue
            named = words[0].rpartition("=")[2]
            path = folder / named
            program = place == 0 and (Path(named).is_absolute() or "/" not in named)
            if named and not program and path.is_file():
                found.append(path)
        return found


def _pieces(word: str) -> tuple[Piece, ...]:
    try:
        parsed = [
            (text, field, formatting, conversion)
            for text, field, formatting, conversion in Formatter().parse(word)
        ]
    except ValueError as error:
        raise ValueError(f"{word}: {error}; double a brace that is meant as such") from None
    for _, field, formatting, conversion in parsed:
        if field is not None and (field not in FIELDS or formatting or conversion):
            known = ", ".join(f"{{{one}}}" for one in FIELDS)
            raise ValueError(
                f"{word}: {{{field}}} is no field; there are {known}; double a brace that is meant as such"
            )
    return _joined([(text, field or "") for text, field, _, _ in parsed]) or (("", ""),)


def _joined(pieces: list[Piece]) -> tuple[Piece, ...]:
    """Doubled braces divide a text in two; it is one here."""
    found: list[Piece] = []
    for text, field in pieces:
        if found and not found[-1][1]:
            text = found.pop()[0] + text
        found.append((text, field))
    return tuple(found)
