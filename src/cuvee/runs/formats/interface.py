"""Format: how one program writes down runs, and how that is read."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from cuvee.runs.formats.document import JsonFile
from cuvee.runs.formats.part import Part
from cuvee.runs.formats.table import Table

File = Table | JsonFile


def _none(table: Table) -> Mapping[str, str]:
    return {}


@dataclass(frozen=True)
class Format:
    """A row of ``FORMATS``."""

    name: str
    looks_for: str
    """What a file of this format has, in words, for the message that none was recognised."""
    recognises: Callable[[File], bool]
    """Whether a file is of this format, by its columns or keys; earlier rows of the table are asked first."""
    read: Callable[[Sequence[File]], list[Part]]
    """All files of this format that were given, as parts. Raises ConfigError with file and row."""
    share_columns: Callable[[Table], Mapping[str, str]] = _none
    """Source of each column of shares in a table of this format, whatever its cells hold."""
