"""The benchmarks for a GPU run at toy size on a CPU."""

import json
from pathlib import Path

import pytest

from benchmarks.gpu import pool


@pytest.mark.slow
def test_the_benchmark_of_pools_measures_resumes_and_writes_its_tables(tmp_path: Path) -> None:
    arguments = ["--toy", "--device", "cpu", "--repeats", "1"]
    pool.main(arguments, tmp_path / "work", tmp_path)
    file = tmp_path / "work" / "pool-toy.json"
    found = json.loads(file.read_text())
    same = [value for name, value in found["bytes"].items() if "difference" not in name]
    assert len(same) == 4 and all(same)
    assert found["bytes"]["our loop and stack, largest difference of a loss"] < 1e-3
    assert {row["name"] for row in found["rows"]} >= {"our loop", "a step as one graph", "stack of 3"}
    assert "stack of 3" in (tmp_path / "gpu_pool.md").read_text()
    written = file.stat().st_mtime_ns
    pool.main(arguments, tmp_path / "work", tmp_path)
    assert file.stat().st_mtime_ns == written
