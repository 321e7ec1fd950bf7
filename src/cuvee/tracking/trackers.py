"""Trackers of a study: all that it chose, of which one that fails is said once and left out.

They run libraries of others in the process of the study. So whatever these print or warn of is not shown,
which would spoil ``--json``, and none of their errors is one of the study.
"""

import io
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path

from cuvee.tracking.interface import Open, Tracker
from cuvee.tracking.registry import TRACKERS


@dataclass(eq=False)
class Trackers:
    """Writes to every tracker that still works."""

    say: Callable[[str], None]
    """Is given a line about one that failed."""
    _open: dict[str, Tracker] = field(default_factory=dict)

    @classmethod
    def opened(
        cls,
        names: Sequence[str],
        study: str,
        folder: Path,
        say: Callable[[str], None],
        table: Mapping[str, Open] = TRACKERS,
    ) -> "Trackers":
        """The trackers of these names, each with a folder of its own in ``folder``."""
        found = cls(say)
        for name in names:

            def opening(name: str = name) -> None:
                found._open[name] = table[name](study, folder / name)

            found._carefully(name, opening)
        return found

    @property
    def any(self) -> bool:
        """Whether there is one that works."""
        return bool(self._open)

    def each(self, write: Callable[[Tracker], None]) -> None:
        """Call with every tracker that works."""
        for name, tracker in list(self._open.items()):

            def writing(tracker: Tracker = tracker) -> None:
                write(tracker)

            self._carefully(name, writing)

    def close(self) -> None:
        """Close all of them."""
        self.each(lambda tracker: tracker.close())
        self._open.clear()

    def _carefully(self, name: str, act: Callable[[], None]) -> None:
        try:
            with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
                warnings.simplefilter("ignore")
                act()
        except Exception as error:  # of whatever kind a library of others raises
            self._open.pop(name, None)
            self.say(
                f"tracking: {name} failed and is left out from here on; the study goes on without it "
                f"({error or type(error).__name__})"
            )
