"""The benchmark of promises: every test that it names is there, and what it says is what the test said."""

from benchmarks.ablation_study import ROOT
from benchmarks.promises import PROMISES, Case, Promise, cases, promises_table


def test_every_test_that_is_named_is_there() -> None:
    for promise in PROMISES:
        text = (ROOT / promise.file).read_text(encoding="utf-8")
        for test in promise.tests:
            assert f"def {test}(" in text


def test_cases_are_counted_by_how_they_ended() -> None:
    promise = Promise("It holds", "tests/test_it.py", ("test_it",))
    found = [
        Case("tests/test_it.py::test_it[a]", "passed", "a: 1"),
        Case("tests/test_it.py::test_it[b]", "passed", "a: 1"),
        Case("tests/test_it.py::test_it[c]", "FAILED", ""),
        Case("tests/test_it.py::test_other", "FAILED", "no"),
    ]
    assert promises_table([promise], found).rows == (
        ("It holds", "a: 1", "1 FAILED; 2 passed", "`tests/test_it.py`"),
    )
    assert promises_table([promise], []).rows[0][2] == "NOT FOUND"


def test_a_test_runs_in_a_process_of_its_own() -> None:
    name = f"tests/test_benchmark_promises.py::{test_every_test_that_is_named_is_there.__name__}"
    assert cases([name]) == [Case(name, "passed", "")]
