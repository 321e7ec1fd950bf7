"""One key a call: by which names the runs of several files are matched.

A file may call a run by an id, by a name beside it and by a running number. All files of one call are
matched by one of these: joined by two, metrics go to the runs of others. The first of ``KEYS`` that all
files have is the one, so that ``run`` stands before ``index``; where none is in all, names of any kind are
compared, but never a number with a name.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Self

from cuvee.runs.formats.part import KEYS, Part, Row

NUMBER = "index"
_NAMES = tuple(key for key in KEYS if key != NUMBER)


@dataclass(frozen=True)
class CallKey:
    """The key of one call."""

    key: str
    in_all: bool
    """All files have it; else files without it are matched by their other names."""

    @classmethod
    def of(cls, bases: Sequence[Part], additions: Sequence[Part]) -> Self | None:
        """None where no key serves all files.

        Args:
            bases: parts with shares.
            additions: parts of metrics alone.
        """
        rows = [row for part in (*bases, *additions) for row in part.rows]
        for key in KEYS:
            if all(key in row.by for row in rows):
                return cls(key, True)
        for key in _NAMES:
            one = cls(key, False)
            known = {name for part in bases for row in part.rows for name in one.of_base(row)}
            if all(any(one.found(row, known) for row in part.rows) for part in additions):
                return one
        return None

    def of_base(self, row: Row) -> tuple[str, ...]:
        """How a run with shares is called under the key."""
        if self.in_all or self.key in row.by:
            return row.by.get(self.key, ())
        return next((row.by[key] for key in _NAMES if key in row.by), ())

    def found(self, row: Row, known: Collection[str]) -> str:
        """The first name of a row of metrics that is among the known ones; empty where none is."""
        keys = (self.key,) if self.in_all else _NAMES
        return next((name for key in keys for name in row.by.get(key, ()) if name in known), "")
