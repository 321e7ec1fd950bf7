"""The benchmark of merges at toy size on the processor, stage by stage."""

import json
from pathlib import Path

import pytest
import torch

from benchmarks.gpu import merges
from benchmarks.gpu.busy import Busy
from benchmarks.gpu.merge_case import TOYS, MergeCase

CPU = torch.device("cpu")
FAST = ("floor", "floor graph", "device", "graph", "check", "before")


def made(root: Path, *stages: str) -> Path:
    merges.main(["toy"], stages, CPU, False, root / "work", root / "out")
    return root / "out"


def test_each_stage_writes_its_own_file_and_is_made_once(tmp_path: Path) -> None:
    out = made(tmp_path, *FAST)
    speed, checks = json.loads((out / "results" / "gpu_merges.json").read_text())["tables"]
    assert [row[1] for row in speed["rows"]] == [merges.WAYS[one] for one in merges.WAYS if one in FAST]
    assert all(row[2] > 0 and row[5] > 0 for row in speed["rows"])
    ((size, error, graph, *same),) = checks["rows"]
    assert (size, same) == ("toy", ["same bytes"] * 3)
    assert error == graph < 1e-3
    files = {file: file.stat().st_mtime_ns for file in (tmp_path / "work").rglob("*.json")}
    assert len(files) == len(FAST)
    lost = next(file for file in files if file.name == "graph.json")
    lost.unlink()
    made(tmp_path, *FAST)
    assert {file for file, time in files.items() if file.stat().st_mtime_ns != time} == {lost}


@pytest.mark.slow
def test_the_naive_way_goes_through_transformers(tmp_path: Path) -> None:
    out = made(tmp_path, "naive", "floor")
    assert "merge, save, load, transformers" in (out / "gpu_merges.md").read_text()


def test_all_ways_score_the_same_merges() -> None:
    case = MergeCase(TOYS["toy"], CPU, False)
    few, many = case.scored(2), case.scored(4)
    assert few.tobytes() == many[:2].tobytes()
    assert case.small_batches.score(case.pool.seed).nats == pytest.approx(
        case.evaluator.score(case.pool.seed).nats, rel=1e-2
    )


def test_a_gpu_that_is_not_there_is_not_busy() -> None:
    busy = Busy()
    with busy.watching(CPU):
        pass
    assert busy.share is None
    assert Busy([50.0, 100.0]).share == 0.75
