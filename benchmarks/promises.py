"""What the tests of real models, tokens and machines measure, as figures. (``make bench-promises``)

Each promise is held by tests, some of them slow or in need of an extra; they run here, and say what they
measured. Needs ``make venv``, and the extras ``adapters``, ``eval`` and ``ray`` for all rows. Some five
minutes.
"""

import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import harness
from benchmarks.ablation_study import ROOT
from benchmarks.harness import Cell, Contender, Table

HELP_REPEATS = 9


@dataclass(frozen=True)
class Promise:
    """A sentence, and the tests that hold it."""

    words: str
    file: str
    tests: tuple[str, ...]

    @property
    def ids(self) -> list[str]:
        """As pytest takes them."""
        return [f"{self.file}::{test}" for test in self.tests]


PROMISES = (
    Promise(
        "A merge in memory has the downstream metrics of the saved merge",
        "tests/evaluation/test_harness.py",
        ("test_a_merge_in_memory_has_the_metrics_of_the_saved_merge",),
    ),
    Promise(
        "A saved merge has the losses that the study has for it",
        "tests/study/test_merged_model.py",
        ("test_the_saved_merge_has_the_losses_of_the_study", "test_a_merge_of_adapters_is_a_whole_model"),
    ),
    Promise(
        "An adapter has the same logits in peft",
        "tests/models/test_adapters.py",
        ("test_peft_opens_the_folder_and_answers_the_same",),
    ),
    Promise(
        "Tokens lead to the shards of their text",
        "tests/sources/test_token_sources.py",
        ("test_tokens_lead_to_the_shards_of_their_text",),
    ),
    Promise(
        "Another tokenizer, files that are cut, and types that do not fit are refused",
        "tests/sources/test_token_sources.py",
        (
            "test_another_tokenizer",
            "test_megatron_files_that_are_cut",
            "test_megatron_files_that_do_not_fit",
            "test_a_type_that_is_not_that_of_the_index",
        ),
    ),
    Promise(
        "A pool four times as large as the address space",
        "tests/sources/test_larger_than_memory.py",
        ("test_a_pool_four_times_as_large_as_the_address_space",),
    ),
    Promise(
        "Two processes give the losses of one",
        "tests/training/test_shared.py",
        ("test_two_processes_give_the_losses_of_one",),
    ),
    Promise(
        "An array of jobs, shuffled and with failures, gives the decision of local runs",
        "tests/flows/swarm/test_swarm.py",
        ("test_emitted_runs_in_any_order_with_failures_give_the_decision_of_local_ones",),
    ),
    Promise(
        "A worker that comes back after it lost its lease cannot publish",
        "tests/execution/test_ray.py",
        ("test_a_paused_worker_that_comes_back_cannot_publish",),
    ),
)


@dataclass(frozen=True)
class Case:
    """One test with its parameters, and how it ended."""

    id: str
    outcome: str
    """``passed``, ``FAILED``, or ``not run: REASON``."""
    measured: str
    """What the test says; empty where it only holds or not."""


def main() -> None:
    """Run the tests, and write the tables."""
    found = cases([one for promise in PROMISES for one in promise.ids])
    harness.write(
        "promises",
        "What do the tests of real models, tokens and machines measure?",
        [promises_table(PROMISES, found), help_table(HELP_REPEATS)],
    )


def cases(ids: Sequence[str]) -> list[Case]:
    """Run tests in a process of their own."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", "--tb=line", "-p", "no:cacheprovider"]
        # Whether tests fail is in the report.
        subprocess.run(
            [*command, "-o", "junit_family=xunit1", f"--junitxml={report}", *ids], cwd=ROOT, check=False
        )
        return [_case(one) for one in ET.parse(report).iter("testcase")]


def promises_table(promises: Sequence[Promise], found: Sequence[Case]) -> Table:
    """A row for every promise; cases that say the same stand together."""
    rows: list[tuple[Cell, ...]] = []
    for promise in promises:
        own = [case for case in found if case.id.split("[")[0] in promise.ids]
        counts = {one: sum(case.outcome == one for case in own) for one in {case.outcome for case in own}}
        ended = "; ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))
        measured = dict.fromkeys(case.measured for case in own if case.measured)
        rows.append((promise.words, "; ".join(measured), ended or "NOT FOUND", f"`{promise.file}`"))
    return Table("Promises", ("promise", "measured", "cases", "tests"), tuple(rows))


def help_table(repeats: int) -> Table:
    """Wall-clock seconds of ``cuvee --help``."""
    command = [sys.executable, "-m", "cuvee", "--help"]
    # With byte code, as an installed cuvee has it.
    given = os.environ | {"PYTHONDONTWRITEBYTECODE": ""}
    contenders = [
        Contender(
            "cuvee --help", lambda: subprocess.run(command, env=given, capture_output=True, check=True)
        ),
        Contender("python -c pass", lambda: subprocess.run([sys.executable, "-c", "pass"], check=True)),
    ]
    rows = tuple((one.name, one.median, one.spread) for one in harness.measure(contenders, repeats))
    return Table("Start", ("command", "wall s, median", "spread"), rows)


def _case(one: ET.Element) -> Case:
    name = "/".join(str(one.get("classname")).split(".")) + f".py::{one.get('name')}"
    measured = [str(two.get("value")) for two in one.iter("property") if two.get("name") == "measured"]
    skipped = one.find("skipped")
    if skipped is not None:
        return Case(name, f"not run: {skipped.get('message')}", "")
    bad = one.find("failure") is not None or one.find("error") is not None
    return Case(name, "FAILED" if bad else "passed", "; ".join(measured))


if __name__ == "__main__":
    main()
