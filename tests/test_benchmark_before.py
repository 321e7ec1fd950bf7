"""The comparison with an earlier commit, at toy size."""

import json
import subprocess
from pathlib import Path

import pytest

from benchmarks import before
from benchmarks.before_checkout import EARLIER, ROOT
from benchmarks.before_study import COMMANDS
from benchmarks.harness import Timing

WORKS = (
    before.Work("training", 400_000, 2, "bfloat16", False, 32, batch_tokens=128),
    before.Work("merges", 400_000, 3, "float32", False, 32, windows=8),
    before.Work("ensemble", 400_000, 20, "float32", False, 32, windows=8),
)


def has_earlier_commit() -> bool:
    command = ["git", "cat-file", "-e", f"{EARLIER}^{{commit}}"]
    try:
        return subprocess.run(command, cwd=ROOT, check=False, capture_output=True).returncode == 0
    except OSError:
        return False


def test_ratios_are_of_turns_that_lie_side_by_side() -> None:
    slow_minute = 10.0
    found = before.Compared(
        Timing("before", (1.0, 1.0, slow_minute, 1.0)), Timing("now", (1.1, 1.1, 1.1 * slow_minute, 1.1))
    )
    *_, ratio, spread = found.cells
    assert ratio == pytest.approx(1.1)
    assert spread == pytest.approx(0.0, abs=1e-9)


@pytest.mark.slow
@pytest.mark.skipif(not has_earlier_commit(), reason=f"git has no commit {EARLIER} here")
def test_both_versions_do_the_same_work_and_both_files_are_written(tmp_path: Path) -> None:
    amounts = before.Amounts(WORKS, repeats=2, study_repeats=1)
    before.main(amounts, tmp_path / "work", tmp_path)
    found = json.loads((tmp_path / "results" / "before.json").read_text())
    works, study = found["tables"]
    assert [row[0] for row in works["rows"]] == [work.title for work in WORKS]
    assert [row[-1] for row in works["rows"]] == ["yes"] * len(WORKS), "bytes are those of before"
    assert all(cell > 0 for row in works["rows"] for cell in row[1:4])
    assert [row[0] for row in study["rows"]] == [f"`cuvee {title}`" for title in COMMANDS]
    assert set(found["timings"]["cuvee run"][0]) >= {"seconds", "median"}
