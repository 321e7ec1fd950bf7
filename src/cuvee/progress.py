"""How long work reports its progress. The library reports, the command line prints."""

from dataclasses import dataclass
from typing import Protocol


class Progress(Protocol):
    """A listener to long work. All calls come from the main process and thread."""

    def stage(self, title: str, total: float, unit: str) -> None:
        """A new stage begins: ``total`` units of work (``tokens``, ``documents``, ``merges``, ...)."""
        ...

    def done_before(self, amount: float) -> None:
        """``amount`` of the current stage was done by an earlier command: it says nothing of how fast this
        one works."""
        ...

    def advance(self, amount: float, note: str = "") -> None:
        """``amount`` more units of the current stage are done; ``note`` is the latest fact."""
        ...

    def message(self, text: str) -> None:
        """One line that stays (a warning, a finding)."""
        ...


class Silent:
    """A listener that ignores everything."""

    def stage(self, title: str, total: float, unit: str) -> None:
        pass

    def done_before(self, amount: float) -> None:
        pass

    def advance(self, amount: float, note: str = "") -> None:
        pass

    def message(self, text: str) -> None:
        pass


@dataclass(frozen=True)
class Within(Silent):
    """Work that is part of another stage: its notes are shown, its own stages and amounts are not."""

    outer: Progress

    def advance(self, amount: float, note: str = "") -> None:
        self.outer.advance(0.0, note)

    def message(self, text: str) -> None:
        self.outer.message(text)
