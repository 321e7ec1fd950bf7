"""Published tables, where they are at hand: the right rows, and the same runs through two formats."""

import csv
import os
import random
from pathlib import Path

import numpy as np
import pytest

from cuvee.errors import ConfigError
from cuvee.runs import ImportedTable, import_runs

ROOT = Path(os.environ.get("CUVEE_SHARED", Path(__file__).parents[3] / "shared")) / "runs"


def table(name: str, file: str = "runs.parquet") -> ImportedTable:
    path = ROOT / name / file
    if not path.exists():
        pytest.skip(f"{path} is not there; set CUVEE_SHARED to a folder with runs/NAME/runs.parquet")
    return import_runs([path])


@pytest.mark.parametrize(
    ("name", "rows", "sources", "metrics", "lower", "renormalised"),
    [
        ("aioli_skillgraph", 25, 3, 3, 0, 0),
        ("autoscale_ddo", 15, 7, 15, 15, 0),
        ("datablations_repeat", 308, 1, 1, 1, 0),
        ("dml_2mix", 110, 2, 2, 2, 0),
        ("dml_3mix", 1088, 3, 3, 3, 0),
        ("dml_5mix", 1425, 5, 23, 23, 0),
        ("regmix_1m", 768, 17, 13, 13, 436),
        ("regmix_60m", 256, 17, 13, 13, 133),
        ("skillit_ni23", 23, 23, 23, 0, 0),
    ],
)
def test_published_tables_are_read(
    name: str, rows: int, sources: int, metrics: int, lower: int, renormalised: int
) -> None:
    read = table(name)
    seen = read.observations
    assert (len(seen), len(seen.sources), len(seen.metrics)) == (rows, sources, metrics)
    assert (len(read.directions), read.renormalised) == (lower, renormalised)
    assert set(read.directions.values()) <= {"lower"}
    assert set(read.labels["table"]) == {name}


def test_rows_of_published_tables_can_be_chosen() -> None:
    runs = table("dml_3mix")
    assert len(set(runs.labels["run"])) == 41
    last = runs.where(step=30000, size_label="70M")
    assert 0 < len(last) == len(set(last.labels["run"]))
    assert set(last.observations.tokens.tolist()) == {30000 * 1048576}
    assert len(table("regmix_1m").where(split="train")) == 512


def test_a_table_without_metrics_is_half_a_table() -> None:
    with pytest.raises(ConfigError, match="no file has metrics"):
        table("autoscale_optima")


@pytest.mark.parametrize("name", ["autoscale_ddo", "datablations_repeat", "regmix_1m", "regmix_60m"])
def test_csv_gives_the_same(name: str) -> None:
    assert table(name, "runs.csv").observations == table(name).observations


def test_two_sets_of_regmix_become_the_same_runs_from_its_own_files(tmp_path: Path) -> None:
    paths = []
    tidy = {"train_1m": table("regmix_1m").where(split="train"), "test_60m": table("regmix_60m")}
    for name, read in tidy.items():
        split, size = name.split("_")
        seen = read.observations
        numbers = [key.rsplit("_", 1)[1] for key in seen.keys]
        sources = ["index", *(f"train_the_pile_{source}" for source in seen.sources)]
        losses = ["index", *(f"metric/the_pile_{metric}_val_loss" for metric in seen.metrics)]
        for file, header, cells in (
            (f"{split}_mixture_{size}.csv", sources, seen.shares),
            (f"{split}_pile_loss_{size}.csv", losses, seen.values),
        ):
            rows = [[n, *map(repr, row)] for n, row in zip(numbers, cells.tolist(), strict=True)]
            random.Random(file).shuffle(rows)
            paths.append(tmp_path / file)
            with paths[-1].open("w", newline="") as stream:
                csv.writer(stream).writerows([header, *rows])
    joined = import_runs(paths[::-1])
    assert len(joined) == 512 + 256
    for read in tidy.values():
        again = joined.where(key=read.observations.keys).observations
        order = [again.keys.index(key) for key in read.observations.keys]
        np.testing.assert_array_equal(again.select(order).shares, read.observations.shares)
        np.testing.assert_array_equal(again.select(order).values, read.observations.values)
