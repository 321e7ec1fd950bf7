"""Progress on standard error (floor 9): a live bar on a terminal, a line every few seconds elsewhere.

Both are ``cuvee.progress.Progress`` and context managers; leaving ends the last stage.
"""

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TextIO

from cuvee.cli.output import seconds, short

if TYPE_CHECKING:
    from rich.progress import TaskID

QUIET_SECONDS = 5.0
"""Plain lines do not come more often than this."""


def progress_display(stream: TextIO | None = None) -> "LiveProgress | PlainProgress":
    """The display that suits ``stream`` (standard error)."""
    stream = sys.stderr if stream is None else stream
    return LiveProgress(stream) if stream.isatty() else PlainProgress(stream)


class PlainProgress:
    """Lines for logs: the beginning and the end of a stage, and how far it is in between."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._title = ""
        self._total = self._done = 0.0
        self._unit = ""
        self._began = self._told = 0.0

    def stage(self, title: str, total: float, unit: str) -> None:
        self._end_stage()
        self._title, self._total, self._unit, self._done = title, total, unit, 0.0
        self._began = self._told = self._clock()
        self._line(f"{title}: {short(total)} {unit}")

    def advance(self, amount: float, note: str = "") -> None:
        self._done += amount
        now = self._clock()
        if now - self._told < QUIET_SECONDS:
            return
        self._told = now
        elapsed = now - self._began
        parts = [f"{self._title}: {short(self._done)} of {short(self._total)} {self._unit}"]
        if self._done > 0 and elapsed > 0:
            parts.append(f"{short(self._done / elapsed)}/s")
            parts.append(f"{seconds(max(self._total - self._done, 0.0) * elapsed / self._done)} left")
        self._line(", ".join([*parts, *([note] if note else [])]))

    def message(self, text: str) -> None:
        self._line(text)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._end_stage()

    def _end_stage(self) -> None:
        if self._title:
            self._line(f"{self._title}: done in {seconds(self._clock() - self._began)}")
            self._title = ""

    def _line(self, text: str) -> None:
        print(text, file=self._stream, flush=True)


class LiveProgress:
    """One line for each stage: bar, amount, rate, time left and the last note; messages stay above."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[rate]}", markup=False),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            TextColumn("{task.fields[note]}", style="dim", markup=False),
            console=Console(file=stream, markup=False, highlight=False, emoji=False),
        )
        self._task: TaskID | None = None
        self._unit = ""

    def stage(self, title: str, total: float, unit: str) -> None:
        self._end_stage()
        self._unit = unit
        self._task = self._bars.add_task(title, total=total, rate="", note="")

    def advance(self, amount: float, note: str = "") -> None:
        if self._task is None:
            return
        self._bars.advance(self._task, amount)
        task = next(task for task in self._bars.tasks if task.id == self._task)
        fields: dict[str, Any] = {"note": note} if note else {}
        if task.speed:
            fields["rate"] = f"{short(task.speed)} {self._unit}/s"
        self._bars.update(self._task, **fields)

    def message(self, text: str) -> None:
        self._bars.console.print(text)

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._end_stage()
        self._bars.stop()

    def _end_stage(self) -> None:
        """What was announced and not needed (a resumed stage, a dropped race) counts as done."""
        if self._task is not None:
            task = next(task for task in self._bars.tasks if task.id == self._task)
            self._bars.update(self._task, completed=task.total, note="")
            self._task = None
