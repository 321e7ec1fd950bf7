"""Progress on standard error: a live bar on a terminal, a line every few seconds elsewhere.

Both are ``cuvee.progress.Progress`` and context managers; leaving ends the last stage.
"""

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TextIO

from cuvee.invisible import all_spelt_out
from cuvee.quantities import of_unit, seconds, short

if TYPE_CHECKING:
    from rich.progress import Progress, Task, TaskID

QUIET_SECONDS = 5.0
"""Plain lines do not come more often than this."""

_WIDE = 110
"""Columns of a terminal from which on there is room for a bar of full length."""

_LEAST_SECONDS = 0.25
"""Results that come closer together show no pace: the first ones of several workers do."""

Clock = Callable[[], float]


class Pace:
    """How fast a stage goes, from its first result on: what comes before is starting, not working.

    A result is the first of this command. What an earlier one did is no result: the workers that go on with
    it have not even been started then.
    """

    def __init__(self, total: float, clock: Clock) -> None:
        self._clock = clock
        self.total, self.done = total, 0.0
        self._first: tuple[float, float] | None = None  # done then, and when
        self._last_at = 0.0

    def done_before(self, amount: float) -> None:
        """``amount`` was done by an earlier command."""
        self.done += amount

    def advance(self, amount: float) -> None:
        """``amount`` more is done."""
        if amount <= 0:
            return
        self.done, self._last_at = self.done + amount, self._clock()
        if self._first is None:
            self._first = self.done, self._last_at

    @property
    def rate(self) -> float | None:
        """A second; None before the second result."""
        if self._first is None:
            return None
        since, elapsed = self.done - self._first[0], self._last_at - self._first[1]
        return since / elapsed if since > 0 and elapsed >= _LEAST_SECONDS else None

    @property
    def left(self) -> float | None:
        """Seconds to go at this rate; None before the second result."""
        if self.rate is None:
            return None
        since = self._clock() - self._last_at
        return max((self.total - self.done) / self.rate - since, 0.0)


def progress_display(stream: TextIO | None = None) -> "LiveProgress | PlainProgress":
    """The display that suits ``stream`` (standard error)."""
    stream = sys.stderr if stream is None else stream
    return LiveProgress(stream) if stream.isatty() else PlainProgress(stream)


class PlainProgress:
    """Lines for logs: the beginning and the end of a stage, and how far it is in between."""

    def __init__(self, stream: TextIO, clock: Clock = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._title = self._unit = ""
        self._began = self._shown = 0.0
        self._pace = Pace(0.0, clock)

    def stage(self, title: str, total: float, unit: str) -> None:
        self._end_stage()
        self._title, self._unit, self._pace = title, unit, Pace(total, self._clock)
        self._began = self._shown = self._clock()
        self._line(f"{title}: {short(total)} {of_unit(total, unit)}")

    def done_before(self, amount: float) -> None:
        self._pace.done_before(amount)

    def advance(self, amount: float, note: str = "") -> None:
        self._pace.advance(amount)
        now = self._clock()
        if now - self._shown < QUIET_SECONDS:
            return
        self._shown = now
        pace = self._pace
        parts = [
            f"{self._title}: {short(pace.done)} of {short(pace.total)} {of_unit(pace.total, self._unit)}"
        ]
        if pace.rate is not None and pace.left is not None:
            parts += [f"{short(pace.rate)}/s", f"{seconds(pace.left)} left"]
        self._line(", ".join([*parts, *([note] if note else [])]))

    def message(self, text: str) -> None:
        self._line(all_spelt_out(text))

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
    """One line for each stage: bar, amount, time left, rate and the last note; messages stay above.

    Where a terminal is too narrow for all of it the note is clipped, then the title; percent and time stay.
    """

    def __init__(self, stream: TextIO, clock: Clock = time.monotonic) -> None:
        from rich.console import Console

        self._clock = clock
        self._bars = _bars(Console(file=stream, markup=False, highlight=False, emoji=False))
        self._task: TaskID | None = None
        self._pace = Pace(0.0, clock)

    def stage(self, title: str, total: float, unit: str) -> None:
        self._end_stage()
        self._pace = Pace(total, self._clock)
        self._task = self._bars.add_task(title, total=total, note="", pace=self._pace, unit=unit)

    def done_before(self, amount: float) -> None:
        if self._task is None:
            return
        self._pace.done_before(amount)
        self._bars.update(self._task, advance=amount)

    def advance(self, amount: float, note: str = "") -> None:
        if self._task is None:
            return
        self._pace.advance(amount)
        fields: dict[str, Any] = {"note": note} if note else {}
        self._bars.update(self._task, advance=amount, **fields)

    def message(self, text: str) -> None:
        self._bars.console.print(all_spelt_out(text))

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


def _bars(console: Any) -> "Progress":
    """The columns of the live display; only title and note give way."""
    from rich.progress import BarColumn, Progress, TextColumn
    from rich.table import Column

    class Figures(TextColumn):
        """A column whose text is made of the task and of its pace, at each drawing."""

        def __init__(self, figures: "Callable[[Task], str]", width: int) -> None:
            super().__init__("", markup=False, table_column=Column(no_wrap=True, min_width=width))
            self._figures = figures

        def render(self, task: "Task") -> Any:
            from rich.text import Text

            return Text(self._figures(task), justify="right")

    wide = console.width >= _WIDE
    title = Column(max_width=44 if wide else 28, no_wrap=True, overflow="ellipsis")
    note = Column(ratio=1, no_wrap=True, overflow="ellipsis")
    return Progress(
        TextColumn("{task.description}", markup=False, table_column=title),
        BarColumn(bar_width=24 if wide else 10),
        Figures(lambda task: f"{task.percentage:.0f}%", 4),
        Figures(_time, 7),
        Figures(_rate, 0),
        TextColumn("{task.fields[note]}", style="dim", markup=False, table_column=note),
        console=console,
        expand=True,
    )


def _time(task: "Task") -> str:
    """Time left while a stage goes on, time taken when it has ended."""
    if task.finished:
        return seconds(task.finished_time or 0.0)
    left = task.fields["pace"].left
    return "-" if left is None else f"{seconds(left)} left"


def _rate(task: "Task") -> str:
    rate = task.fields["pace"].rate
    return "" if rate is None else f"{short(rate)} {task.fields['unit']}/s"
