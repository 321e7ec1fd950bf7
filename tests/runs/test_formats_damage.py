"""Damaged files of every format: whatever they hold, only errors raised on purpose come out."""

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cuvee.errors import CuveeError
from cuvee.runs import import_runs
from tests.runs.test_formats import EXPORT, LOSSES, METRICS, MIXTURES, RATIOS, SHARES, results

TIDY = "run,step,params,w:a,w:b,m:x,note\nr,1,7e7,0.5,0.5,2,n\nr,2,7e7,0.5,0.5,,n\ns,1,,1,0,3,\n"
DOREMI = json.dumps({"train_domain_weights": {"web": 0.5, "code": 0.5}, "eval_domain_weights": {"web": 1.0}})
MARKED = "experiment,weight_a,weight_b,a_loss,note\n1,0.5,0.5,2,n\n2,1,0,3,\n"
CHART = (
    "Step,r1 - val/loss,r1 - val/loss__MIN,r1 - val/loss__MAX,r2 - val/loss,r2 - val/loss__MIN\n"
    "100,3,3,3,4,4\n200,2,2,2,3,3\n"
)
FRAME = (
    "summary,config,name\n"
    "\"{'loss': 2.0, 'x': nan}\",\"{'mixture': {'a': 0.5, 'b': 0.5}}\",r1\n"
    "\"{'loss': 3.0}\",\"{'mixture': {'a': 1.0, 'b': 0.0}}\",r2\n"
)
FILES = {
    "tidy": {"t.csv": TIDY},
    "olmix": {"ratios.csv": RATIOS, "metrics.csv": METRICS},
    "regmix": {"train_mixture_1m.csv": MIXTURES, "train_pile_loss_1m.csv": LOSSES},
    "doremi": {"weights.json": DOREMI},
    "wandb": {"export.csv": EXPORT},
    "wandb_chart": {"chart.csv": CHART, "shares.csv": SHARES},
    "marked": {"runs.csv": MARKED},
    "wandb frame": {"frame.csv": FRAME},
    "lm_eval": {"shares.csv": SHARES, "r1.json": results(0.5), "r2.json": results(0.6)},
}
CELLS = [
    "", " ", "nan", "inf", "-inf", "-1", "0", "1e308", "1e400", "9" * 5000, "-" + "9" * 30, "0x1", "½", "٣",
    "1_0", "text", "a\tb", "\x00", "\ud800", '"', "w:", "m:", "run", "finished", "True", "NaN", "r1",
    "1.5", "2024-01-01",
]  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


def attempt(paths: list[Path]) -> None:
    """Read; what is read is whole, and what is refused is refused on purpose."""
    try:
        table = import_runs(paths)
    except CuveeError:
        return
    assert len(table) == len(table.observations) >= 1
    assert set(table.directions) | set(table.unknown) == set(table.observations.metrics)
    first = table.observations.keys[:1]
    assert table.where(key=first).observations.keys == first


def written(folder: Path, files: dict[str, str]) -> list[Path]:
    paths = []
    for name, text in files.items():
        path = folder / name
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        paths.append(path)
    return paths


@pytest.mark.parametrize("name", FILES)
def test_whole_files_are_read(name: str, tmp_path: Path) -> None:
    assert name.split(" ")[0] in import_runs(written(tmp_path, FILES[name])).format.split("+")


@pytest.mark.parametrize("suffix", [".csv", ".json", ".parquet"])
@given(data=st.binary(max_size=200))
def test_random_bytes(suffix: str, data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("bytes") / f"runs{suffix}"
    path.write_bytes(data)
    attempt([path])


def with_odd_cell(text: str, rng: random.Random) -> list[str]:
    """The lines of a table after one cell was replaced."""
    lines = [line.split(",") for line in text.split("\n")]
    line = rng.choice(lines)
    line[rng.randrange(len(line))] = rng.choice(CELLS)
    return [",".join(line) for line in lines]


@pytest.mark.parametrize("name", FILES)
def test_damaged_cells(name: str, tmp_path: Path) -> None:
    rng = random.Random(name)
    for _ in range(150):
        files = dict(FILES[name])
        for _ in range(rng.randint(1, 3)):
            which = rng.choice(list(files))
            files[which] = "\n".join(with_odd_cell(files[which], rng))
        attempt(written(tmp_path, files))


@pytest.mark.parametrize("name", FILES)
def test_damaged_bytes_and_ends(name: str, tmp_path: Path) -> None:
    rng = random.Random(name)
    for _ in range(150):
        paths = written(tmp_path, FILES[name])
        path = rng.choice(paths)
        data = bytearray(path.read_bytes())
        if rng.random() < 0.3:
            del data[rng.randrange(len(data)) :]
        else:
            data[rng.randrange(len(data))] = rng.randrange(256)
        path.write_bytes(data)
        attempt(paths)


@given(
    key=st.sampled_from(["results", "higher_is_better", "n-samples", "model_name", "train_domain_weights"]),
    value=JSON,
    inner=st.booleans(),
)
@settings(max_examples=300)
def test_random_json(key: str, value: Any, inner: bool, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("json")
    base = json.loads(results(0.5))
    if inner and isinstance(base.get(key), dict):
        base[key]["piqa"] = value
    else:
        base[key] = value
    files = {"r1.json": json.dumps(base), "shares.csv": SHARES}
    attempt(written(folder, files))
    attempt(written(folder, {"any.json": json.dumps({key: value}), "shares.csv": SHARES}))


def test_json_too_deep(tmp_path: Path) -> None:
    attempt(written(tmp_path, {"deep.json": '{"results":' + "[" * 100_000}))


@pytest.mark.parametrize(
    "column",
    [
        pa.array([b"1", b"\xff"]),
        pa.array([[1.0], None]),
        pa.array([{"a": 1}, {"a": 2}]),
        pa.array([True, False]),
        pa.array([10**17, 10**18]),
        pa.array([2**40, 2**40], pa.timestamp("s")),
        pa.array([1, 2], pa.duration("ns")),
        pa.array(["x", "y"]).dictionary_encode(),
        pa.nulls(2),
    ],
    ids=lambda column: str(column.type),
)
def test_parquet_columns_of_any_type(column: Any, tmp_path: Path) -> None:
    good = {"run": ["r", "s"], "w:a": [1.0, 1.0], "m:x": [1.0, 2.0], "step": [1, 2], "params": [1, 2]}
    path = tmp_path / "runs.parquet"
    for name in (*good, "note"):
        pq.write_table(pa.table({**good, name: column}), path)
        attempt([path])


def test_pyarrow_is_loaded_for_parquet_only(tmp_path: Path) -> None:
    paths = written(tmp_path, FILES["olmix"])
    code = (
        "import sys\nfrom pathlib import Path\nfrom cuvee.runs.imported import import_runs\n"
        f"assert len(import_runs([Path(p) for p in {[str(p) for p in paths]!r}])) == 3\n"
        "assert 'pyarrow' not in sys.modules and 'scipy' not in sys.modules\n"
    )
    source = str(Path(__file__).parents[2] / "src")
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": source},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
