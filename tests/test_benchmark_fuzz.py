"""``make bench-fuzz`` at a hundredth of its size: no command ends in a traceback, and one would be seen."""

from pathlib import Path
from random import Random
from typing import Any

import pytest

from benchmarks import fuzz, fuzz_inputs


def test_no_command_ends_in_a_traceback() -> None:
    outcomes = fuzz.main(scale=0.005, seed=7)
    assert [one.kind for one in outcomes] == ["doctor", "init", "fit", "optimise", "export"]
    assert [text for one in outcomes for text in one.tracebacks] == []
    shown: list[Any] = list(fuzz.table(outcomes).rows)
    assert shown[-1][0] == "all" and shown[-1][4] == 0
    assert all(row[1] == row[2] + row[3] for row in shown), "answered or refused"
    assert all(row[3] for row in shown), "some input was bad"


def test_a_traceback_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Path) -> None:
        raise ZeroDivisionError("of the test")

    monkeypatch.setattr("cuvee.study.start.inspection.inspect", broken)
    with fuzz.in_process() as fitted:
        kind = next(one for one in fuzz.kinds(fitted, 0.0003) if one.name == "init")
        found = fuzz.outcome(kind, 0)
    assert len(found.tracebacks) == kind.count
    assert "ZeroDivisionError: of the test (test_benchmark_fuzz.py:" in found.tracebacks[0]


def test_damage_is_a_function_of_its_seed_and_changes_things() -> None:
    files = [item for table in fuzz_inputs.tables().values() for item in table.items()]
    changed = 0
    for name, content in files:
        one, again = (fuzz_inputs.damaged(name, content, Random(3)) for _ in range(2))
        assert one == again
        changed += one != content
    assert changed >= len(files) - 2
