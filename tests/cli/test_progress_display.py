"""Progress for people and for logs."""

import io
import re
from contextlib import suppress

import pytest

from cuvee.cli.output import show
from cuvee.cli.progress_display import LiveProgress, Pace, PlainProgress, progress_display
from cuvee.quantities import plain, seconds, short, tally
from cuvee.report.check_printout import check_grids
from tests.report.cases import once_each


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_plain_lines_come_every_few_seconds() -> None:
    stream, clock = io.StringIO(), Clock()
    with PlainProgress(stream, clock) as progress:
        progress.stage("train", 1000, "tokens")
        clock.now += 2
        progress.advance(100, "too early")
        clock.now += 8
        progress.advance(100, "loss 3.1")
        progress.message("web: 3 duplicates")
        clock.now += 30
        progress.stage("score", 5, "merges")
        clock.now += 6
        progress.advance(0)
    assert stream.getvalue().splitlines() == [
        "train: 1k tokens",
        "train: 200 of 1k tokens, 12.5/s, 1m04s left, loss 3.1",
        "web: 3 duplicates",
        "train: done in 40s",
        "score: 5 merges",
        "score: 0 of 5 merges",
        "score: done in 6s",
    ]


def test_time_left_counts_from_the_first_result() -> None:
    """Workers need long to start and compile: that is no part of the pace."""
    clock = Clock()
    pace = Pace(1000, clock)
    clock.now += 600
    pace.advance(10)
    assert pace.left is None
    clock.now += 10
    pace.advance(90)
    assert (pace.rate, pace.left) == (9.0, 100.0)
    clock.now += 40
    assert (pace.rate, pace.left) == (9.0, 60.0), "it counts down between two results"


def test_what_an_earlier_command_did_starts_no_clock() -> None:
    """A training that is gone on with compiles before its first step: "15h37m left" of a minute."""
    stream, clock = io.StringIO(), Clock()
    with PlainProgress(stream, clock) as progress:
        progress.stage("train", 1000, "steps")
        progress.done_before(400)
        clock.now += 60
        progress.advance(1)
        clock.now += 5
        progress.advance(100)
    assert stream.getvalue().splitlines()[1:3] == [
        "train: 401 of 1k steps",
        "train: 501 of 1k steps, 20/s, 25s left",
    ]


COMPILING, A_STEP, SAID = 60.0, 0.01, 0.5
"""Seconds of the first step, of any other, and between two reports of a training."""


def reports(starts: float, steps: int, items: int) -> list[tuple[float, int]]:
    """When one worker says that so many steps are done: one training after another, compiled once."""
    found: list[tuple[float, int]] = []
    now, said, unsaid = starts + COMPILING - A_STEP, starts, 0
    for step in range(1, steps * items + 1):
        now, unsaid = now + A_STEP, unsaid + 1
        if now - said >= SAID or step % steps == 0:
            found.append((now, unsaid))
            said, unsaid = now, 0
    return found


@pytest.mark.parametrize(
    ("starts", "items", "most"),
    [
        ([0.0], 1, 1.1),
        ([0.0], 12, 1.1),
        ([0.0, 0.0, 0.0, 0.001], 12, 1.1),
        ([0.0, 2.0, 4.0, 6.0], 12, 4.0),  # not longer than the worker that is there would take alone
    ],
)
def test_compiling_is_no_part_of_the_time_left(starts: list[float], items: int, most: float) -> None:
    """Steps of 10 ms after a first one of a minute, in one process and in several."""
    steps = 3000
    stream, clock = io.StringIO(), Clock()
    began, total = clock.now, steps * items * len(starts)
    events = sorted(event for start in starts for event in reports(start, steps, items))
    with PlainProgress(stream, clock) as progress:
        progress.stage("train", total, "steps")
        for at, done in events:
            clock.now = began + at
            progress.advance(done, f"at {at:.2f} s")
    said = re.findall(r"([\dhms]+) left, at ([\d.]+) s", stream.getvalue())
    assert len(said) >= 4
    for words, at in said:
        truth = events[-1][0] - float(at)
        # At the end those that began late are alone, so it takes longer than the rate of all says.
        assert truth - 1.5 - max(starts) <= in_seconds(words) <= most * truth + 1.5, (words, at, truth)


def in_seconds(words: str) -> float:
    """What ``quantities.seconds`` wrote."""
    parts = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", words)
    assert parts is not None
    return sum(float(part or 0) * unit for part, unit in zip(parts.groups(), (3600, 60, 1), strict=True))


def test_first_results_that_come_together_show_no_pace() -> None:
    """Eight workers end compiling within a millisecond; at that rate the stage would end at once."""
    clock = Clock()
    pace = Pace(1e6, clock)
    for _ in range(8):
        clock.now += 0.0001
        pace.advance(1)
    assert pace.left is None
    clock.now += 0.5
    pace.advance(400)
    assert pace.left is not None and pace.left > 1000


def test_an_interrupted_stage_is_not_called_done() -> None:
    stream = io.StringIO()
    progress = PlainProgress(stream)
    progress.stage("train", 10, "tokens")
    progress.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert stream.getvalue() == "train: 10 tokens\n"


def test_a_terminal_gets_a_live_bar() -> None:
    stream = Terminal()
    with progress_display(stream) as progress:
        assert isinstance(progress, LiveProgress)
        progress.advance(1, "before any stage")
        progress.stage("train [all]", 1000, "tokens")
        progress.advance(500, "loss [3.1]")
        progress.message("web: [3] duplicates")
        progress.stage("score", 5, "merges")
    text = stream.getvalue()
    for piece in ("train [all]", "web: [3] duplicates", "score", "100%"):
        assert piece in text


@pytest.mark.parametrize("columns", [60, 80, 100, 120, 200])
def test_percent_and_time_stay_where_a_terminal_is_narrow(
    columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    stream, clock = Terminal(), Clock()
    with suppress(KeyboardInterrupt), LiveProgress(stream, clock) as progress:
        progress.stage("looking for evaluation text in training text", 1e6, "tokens")
        progress.advance(1e4)
        clock.now += 10
        progress.advance(4e5, "reference cpp+ml_code+prose: step 87/400 loss 3.123 lr 0.0029")
        raise KeyboardInterrupt  # draws once more, and ends no stage
    drawn = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", stream.getvalue())
    line = drawn[drawn.rindex("looking") :].split("\n")[0]
    assert len(line) <= columns
    assert line.startswith("looking for evaluation text")
    assert " 41%" in line and "15s left" in line and "40k tokens/s" in line
    assert ("step 87/400" in line) == (columns == 200), "the note is what gives way"


def test_a_pipe_gets_lines() -> None:
    assert isinstance(progress_display(io.StringIO()), PlainProgress)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (999, "999"),
        (999.6, "1k"),
        (1234, "1.23k"),
        (2.5e6, "2.5M"),
        (1.5e15, "1.5P"),
        (3e21, "3e+03E"),
    ],
)
def test_short_numbers(value: float, text: str) -> None:
    assert short(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(999.6, "1k"), (5888, "5.89k"), (2.5e10, "25B"), (1.5e12, "1.5T"), (2e15, "2e+03T")]
)
def test_tokens_and_parameters_are_written_as_people_write_them(value: float, text: str) -> None:
    assert tally(value) == text


@pytest.mark.parametrize(("value", "text"), [(0.4, "0s"), (59.7, "1m00s"), (185, "3m05s"), (7620, "2h07m")])
def test_durations(value: float, text: str) -> None:
    assert seconds(value) == text


def test_numbers_that_are_not_known() -> None:
    assert plain(float("nan")) == seconds(float("nan")) == "-"
    assert plain(1.23456, 2) == "1.23"


def test_what_is_not_known_of_a_check_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    show(check_grids(once_each()))
    told = " ".join(capsys.readouterr().out.split())
    assert "1 fresh training each" in told
    assert "not known" in told
    assert "nan" not in told
