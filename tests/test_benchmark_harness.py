"""The benchmark harness: order of turns, summaries, and the two files it writes."""

import json
import platform
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from benchmarks.harness import PACKAGES, Contender, Table, Timing, machine, measure, write


def ticking(step: float) -> Callable[[], float]:
    """A clock that moves on by ``step`` seconds at every look."""
    now = 0.0

    def clock() -> float:
        nonlocal now
        now += step
        return now

    return clock


def test_contenders_take_turns_and_each_begins_a_round() -> None:
    turns: list[str] = []
    contenders = [Contender(name, partial(turns.append, name)) for name in "abc"]
    timings = measure(contenders, repeats=3, warmups=1, clock=ticking(0.5))
    assert "".join(turns) == "abc" + "abc" + "bca" + "cab"
    assert timings == [Timing(name, (0.5, 0.5, 0.5)) for name in "abc"]


def test_summaries_are_median_and_half_the_quartile_distance() -> None:
    timing = Timing("a", (1.0, 2.0, 3.0, 4.0, 100.0))
    assert timing.median == 3.0
    assert timing.spread == 1.0
    assert timing.per_second(6.0) == 2.0


def test_equal_names_and_no_repeats_are_refused() -> None:
    twice = [Contender("a", int), Contender("a", int)]
    with pytest.raises(ValueError, match="different names"):
        measure(twice)
    with pytest.raises(ValueError, match="repeats >= 1"):
        measure([Contender("a", int)], repeats=0)


def test_a_row_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="2 columns"):
        Table("speed", ("way", "seconds"), (("loop",),))


def test_the_table_as_markdown() -> None:
    table = Table(
        "speed",
        ("way", "merges/s", "runs"),
        (("loop | old", 0.12345, 3), ("batched", 12345.6, None)),
        ("One thread.",),
    )
    assert table.markdown() == (
        "## speed\n\n"
        "| way | merges/s | runs |\n"
        "| --- | ---: | ---: |\n"
        "| loop \\| old | 0.123 | 3 |\n"
        "| batched | 12,346 | – |\n"
        "\nOne thread.\n"
    )


def test_both_files_are_written_and_name_no_path(tmp_path: Path) -> None:
    table = Table("speed", ("way", "seconds"), (("loop", 1.5),))
    timings = {"merging": [Timing("loop", (1.0, 2.0))]}
    write("merge_speed", "How fast?", [table], timings=timings, folder=tmp_path)
    text = (tmp_path / "results" / "merge_speed.json").read_text()
    found = json.loads(text)
    assert list(found) == sorted(found)
    assert found["command"] == "make bench-merge_speed"
    assert found["tables"][0]["rows"] == [["loop", 1.5]]
    assert found["timings"]["merging"][0]["median"] == 1.5
    page = (tmp_path / "merge_speed.md").read_text()
    assert page.startswith("# Merge speed\n\nHow fast?\n\nMade by `make bench-merge_speed` on: processor ")
    assert all(str(path) not in text + page for path in (Path.cwd(), Path.home(), tmp_path))


def test_the_machine_is_described() -> None:
    found = machine()
    software = {"system", "python", "commit", *PACKAGES}
    hardware = {"processor", "cores", "threads", "load_per_core", "memory_gib", "accelerator"}
    assert set(found) == software | hardware, "no host name, no path"
    assert found["cores"] >= 1
    assert found["python"] == platform.python_version()
    assert found["processor"]
    json.dumps(found, allow_nan=False)
