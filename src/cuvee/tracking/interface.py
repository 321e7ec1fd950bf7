"""What a tracker is: a place that numbers and words of named runs are written to."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol


class Tracker(Protocol):
    """One tool's view of a study. Whatever it raises leaves it out from there on (``trackers.py``)."""

    def numbers(self, run: str, step: int, values: Mapping[str, float]) -> None:
        """Values by name after a step of a run.

        Steps rise, but for what was measured on the way of a run that was shown already: a tool that cannot
        go back leaves that out.
        """
        ...

    def words(self, run: str, title: str, text: str) -> None:
        """A text of a run."""
        ...

    def end(self, run: str) -> None:
        """Nothing more is written of this run."""
        ...

    def close(self) -> None:
        """Nothing more is written at all."""
        ...


Open = Callable[[str, Path], Tracker]
"""Opens a tracker: the name of the study, and a folder for what it writes.

Raises:
    ConfigError: its library is not installed.
"""
