"""The benchmarks for a GPU run at toy size on a CPU."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.gpu import ablation, pool, study
from benchmarks.gpu.places import pages, work_of
from benchmarks.harness import FOLDER
from cuvee.types import Json
from tests.study.tiny_study import LANGUAGES, texts


@pytest.mark.slow
def test_the_benchmark_of_pools_measures_resumes_and_writes_its_tables(tmp_path: Path) -> None:
    arguments = ["--toy", "--device", "cpu", "--repeats", "1"]
    assert pool.main([*arguments, "--warm"], tmp_path / "work", tmp_path) == 0
    assert not (tmp_path / "work").exists()
    assert pool.main(arguments, tmp_path / "work", tmp_path) == 0
    files = {part: tmp_path / "work" / f"pool-toy-{part}.json" for part in pool.PARTS}
    found = {part: json.loads(file.read_text()) for part, file in files.items()}
    same = [value for value in found["bytes"]["bytes"].values() if isinstance(value, bool)]
    assert len(same) == 5 and all(same)
    assert found["bytes"]["bytes"]["our loop and stack, largest difference of a loss"] < 1e-3
    names = {row["name"] for row in found["rates"]["rows"]}
    assert names >= {"our loop", "a step as one graph", "stack of 3"}
    assert "stack of 3" in (tmp_path / "gpu_pool.md").read_text()
    files["bytes"].unlink()
    written = files["rates"].stat().st_mtime_ns
    assert pool.main(arguments, tmp_path / "work", tmp_path) == 0
    assert files["rates"].stat().st_mtime_ns == written
    assert json.loads(files["bytes"].read_text())["bytes"] == found["bytes"]["bytes"]


@pytest.mark.slow
def test_a_part_that_fails_leaves_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(stage: pool.Stage, repeats: int) -> Json:
        raise RuntimeError("no kernel image")

    monkeypatch.setattr(pool, "PARTS", {"rates": fail, "busy": pool.busy})
    assert pool.main(["--toy", "--device", "cpu"], tmp_path, tmp_path) == 1
    assert [file.name for file in tmp_path.glob("pool-*.json")] == ["pool-toy-busy.json"]


@pytest.mark.slow
def test_a_small_study_says_the_same_again_and_after_a_kill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in LANGUAGES:
        _write(tmp_path / "corpus" / name / study.TRAIN, [{"text": text} for text in texts(name)])
    monkeypatch.setattr(study, "KILLED_AFTER_SECONDS", 0.0)
    monkeypatch.setenv("OUT", str(tmp_path))
    study.main([str(tmp_path / "corpus"), "--toy", "--work", str(tmp_path / "work")])
    found = {part: json.loads((tmp_path / "work" / f"study-{part}.json").read_text()) for part in study.PARTS}
    assert all(one["same"] == one["runs"] > 20 for one in found.values())
    assert found[study.KILLED]["killed_after"] > 0
    assert [title for title, _ in found[study.COLD]["stages"] if "seed" in title] == [
        "training the seed model"
    ]
    assert "A small study, end to end" in (tmp_path / "gpu_study.md").read_text()


@pytest.mark.slow
def test_toys_replace_no_table_and_no_result_of_a_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OUT", raising=False)
    assert pages(toy=False) == FOLDER and pages(toy=True) == work_of(None, toy=True) != work_of(
        None, toy=False
    )
    monkeypatch.setenv("OUT", "elsewhere")
    assert pages(toy=True) == pages(toy=False) == Path("elsewhere")


def test_the_ablation_is_cut_off_and_goes_on(tmp_path: Path) -> None:
    for name in LANGUAGES:
        rows = [{"text": text} for text in texts(name)]
        _write(tmp_path / "corpus" / name / ablation.TRAIN, rows)
    command = [sys.executable, "-m", "benchmarks.gpu.ablation", str(tmp_path / "corpus")]
    command += ["--toy", "--work", str(tmp_path / "work")]
    given = {**os.environ, "OUT": str(tmp_path / "out"), "OMP_NUM_THREADS": "1"}
    first = subprocess.run(
        [*command, "--seconds", "8"], env=given, capture_output=True, text=True, check=False
    )
    assert first.returncode == ablation.GOES_ON, first.stderr
    rest = subprocess.run(command, env=given, capture_output=True, text=True, check=False)
    assert rest.returncode == 0, rest.stderr
    assert "What predicts models of 0.15M parameters" in (tmp_path / "out" / "gpu_ablation.md").read_text()


def _write(path: Path, rows: list[dict[str, str]]) -> None:
    import pyarrow as pa

    path.parent.mkdir(parents=True)
    with pa.CompressedOutputStream(str(path), "zstd") as stream:
        for row in rows:
            stream.write(json.dumps(row).encode() + b"\n")
