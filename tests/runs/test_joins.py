"""How files are matched: by one key a call, and a row for each point, size and seed of a run."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cuvee.errors import ConfigError
from cuvee.runs import ImportedTable, import_runs

RATIOS = "run,index,web,code\n0,0,0.9,0.1\n9,1,0.5,0.5\n2,2,0.1,0.9\n1,9,0.3,0.7\n"
LOSSES = "run,index,web_val_loss\n0,0,1.0\n9,1,2.0\n2,2,3.0\n1,9,4.0\n"


def read(folder: Path, **files: str) -> ImportedTable:
    paths = []
    for stem, text in files.items():
        path = folder / f"{stem}.{'json' if text.startswith('{') else 'csv'}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        paths.append(path)
    return import_runs(paths)


def values(table: ImportedTable, metric: str) -> dict[str, float]:
    return dict(zip(table.observations.keys, table.observations.metric(metric).tolist(), strict=True))


# --- one key a call -------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", ["web_val_loss", "web_loss", "web_val_bpb", "metric/web_val_loss"])
def test_a_run_is_known_by_its_id_and_not_by_its_number(tmp_path: Path, metric: str) -> None:
    """Requeued runs: run 1 is the fourth row, and index 1 the second."""
    table = read(tmp_path, ratios=RATIOS, metrics=LOSSES.replace("web_val_loss", metric))
    assert list(values(table, table.observations.metrics[0]).items()) == [
        ("0", 1.0), ("9", 2.0), ("2", 3.0), ("1", 4.0),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("run", "index"),
    [("run,index", "index,run"), ("run_id,index", "run_id,index"), ("Run,Index", "run,index")],
)
def test_the_order_of_columns_and_capitals_change_nothing(tmp_path: Path, run: str, index: str) -> None:
    rows = [line.split(",") for line in LOSSES.splitlines()[1:]]
    if index.startswith("index"):
        rows = [[b, a, c] for a, b, c in rows]
    metrics = f"{index},web_val_loss\n" + "".join(",".join(row) + "\n" for row in rows)
    table = read(tmp_path, ratios=RATIOS.replace("run,index", run), metrics=metrics)
    assert values(table, "web_val_loss") == {"0": 1.0, "9": 2.0, "2": 3.0, "1": 4.0}


def test_ids_that_are_text_join(tmp_path: Path) -> None:
    ids = {"\n0,": "\nhz0d00,", "\n9,": "\npj0h,", "\n2,": "\n007,", "\n1,": "\n7,"}
    ratios, losses = RATIOS, LOSSES
    for old, new in ids.items():
        ratios, losses = ratios.replace(old, new), losses.replace(old, new)
    table = read(tmp_path, ratios=ratios, metrics=losses)
    assert values(table, "web_val_loss") == {"hz0d00": 1.0, "pj0h": 2.0, "007": 3.0, "7": 4.0}


def test_numbers_that_became_floats_are_the_same_ids(tmp_path: Path) -> None:
    (tmp_path / "ratios.csv").write_text(RATIOS)
    columns = {"run": [0.0, 9.0, 2.0, 1.0], "web_val_loss": [1.0, 2.0, 3.0, 4.0]}
    pq.write_table(pa.table(columns), tmp_path / "metrics.parquet")
    table = import_runs([tmp_path / "ratios.csv", tmp_path / "metrics.parquet"])
    assert values(table, "web_val_loss") == {"0": 1.0, "9": 2.0, "2": 3.0, "1": 4.0}


def test_a_number_in_both_files_joins_where_nothing_better_is(tmp_path: Path) -> None:
    table = read(tmp_path, ratios=RATIOS, metrics="index,web_val_loss\n9,4.0\n0,1.0\n1,2.0\n2,3.0\n")
    assert values(table, "web_val_loss") == {"0": 1.0, "9": 2.0, "2": 3.0, "1": 4.0}


def test_an_id_is_never_compared_with_a_number(tmp_path: Path) -> None:
    ratios = "run,web,code\n0,0.9,0.1\n9,0.5,0.5\n2,0.1,0.9\n1,0.3,0.7\n"
    with pytest.raises(ConfigError, match=r"a number \(index\) is never compared with a name"):
        read(tmp_path, ratios=ratios, metrics="index,web_val_loss\n0,1.0\n9,2.0\n2,3.0\n1,4.0\n")


def test_two_files_of_one_call_are_not_joined_by_two_keys(tmp_path: Path) -> None:
    """One knows runs by id alone, the other by number alone."""
    with pytest.raises(ConfigError, match="no run of"):
        read(
            tmp_path,
            ratios=RATIOS,
            metrics="run,web_acc\n0,.1\n9,.2\n2,.3\n1,.4\n",
            losses="index,web_val_loss\n0,1.0\n1,2.0\n2,3.0\n9,4.0\n",
        )


def test_names_stand_in_where_an_export_has_ids_of_its_own(tmp_path: Path) -> None:
    export = "ID,Name,State,eval/loss\nx1,a,finished,2\nx2,b,finished,3\n"
    table = read(tmp_path, export=export, shares="run,w:web,w:code\nb,0.5,0.5\na,1,0\n")
    assert values(table, "eval/loss") == {"b": 3.0, "a": 2.0}


# --- points, sizes and seeds ----------------------------------------------------------------------------

SEEDS = "run,{seed},m:web_loss\na,1,2.0\na,2,2.1\nb,1,3.0\nb,2,3.1\n"
SHARES = "run,w:web,w:code\na,1,0\nb,0.25,0.75\n"


@pytest.mark.parametrize("seed", ["seed", "data_seed", "trainer_seed", "rng_seed", "replicate"])
def test_metrics_of_several_seeds_join_the_one_mixture_as_replicates(tmp_path: Path, seed: str) -> None:
    table = read(tmp_path, mix=SHARES, metrics=SEEDS.format(seed=seed))
    mark = seed if seed in ("data_seed", "trainer_seed") else "seed"
    assert values(table, "web_loss") == {
        f"a {mark} 1": 2.0, f"a {mark} 2": 2.1, f"b {mark} 1": 3.0, f"b {mark} 2": 3.1,
    }  # fmt: skip
    np.testing.assert_array_equal(table.observations.shares[:, 0], [1, 1, 0.25, 0.25])
    assert table.runs == table.observations.keys
    if seed == "seed":
        assert table.observations.seed.tolist() == [1, 2, 1, 2]


def test_seeds_of_one_table(tmp_path: Path) -> None:
    text = "run,seed,data_seed,w:web,w:code,m:web_loss\n" + "".join(
        f"{run},{seed},{order},{web},{1 - web},{2 + seed}\n"
        for run, web in (("a", 1.0), ("b", 0.25))
        for seed in (1, 2)
        for order in (5, 6)
    )
    table = read(tmp_path, tidy=text)
    assert table.observations.keys[:2] == ("a seed 1 data_seed 5", "a seed 1 data_seed 6")
    assert len(table) == 8


def test_seeds_of_an_export(tmp_path: Path) -> None:
    export = "Name,State,config.seed,mixture.web,mixture.code,val/loss\n" + "".join(
        f"{run},finished,{seed},{web},{1 - web},{2 + seed / 10}\n"
        for run, web in (("a", 1.0), ("b", 0.25))
        for seed in (1, 2)
    )
    assert read(tmp_path, export=export).observations.keys == ("a seed 1", "a seed 2", "b seed 1", "b seed 2")


def test_olmix_metrics_at_several_steps(tmp_path: Path) -> None:
    metrics = "run,step,web_loss\n" + "".join(
        f"{r},{s},{s / 1000}\n" for r in (0, 9, 2, 1) for s in (500, 1000)
    )
    table = read(tmp_path, ratios=RATIOS, metrics=metrics)
    assert values(table, "web_loss")["9@500"] == 0.5 and len(table) == 8
    assert set(table.labels["step"]) == {"500", "1000"}


def test_files_of_several_sizes_are_several_rows_of_a_run(tmp_path: Path) -> None:
    loss = "run,web_loss\n0,{}\n9,{}\n2,{}\n1,{}\n"
    table = read(
        tmp_path, ratios=RATIOS, metrics_30m=loss.format(4, 5, 6, 7), metrics_1b=loss.format(2, 3, 4, 5)
    )
    assert values(table, "web_loss")["9 size 30M"] == 5 and values(table, "web_loss")["9 size 1B"] == 3
    paired = read(
        tmp_path / "pairs",
        ratios_30m=RATIOS,
        metrics_30m=loss.format(4, 5, 6, 7),
        ratios_1b=RATIOS,
        metrics_1b=loss.format(2, 3, 4, 5),
    )
    assert values(paired, "web_loss") == values(table, "web_loss")


def test_other_metrics_of_a_run_need_no_seed(tmp_path: Path) -> None:
    results = json.dumps({"results": {"quiz": {"acc,none": 0.5}}, "model_name": "a"})
    table = read(tmp_path, mix=SHARES, metrics="run,seed,m:web_loss\na,1,2\nb,1,3\n", results=results)
    assert table.observations.keys == ("a", "b")
    assert table.observations.values.tolist()[0] == [2.0, 0.5]


def test_the_same_row_twice_is_refused_with_what_would_tell_it_apart(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"row 2: run 'a' is already in row 1; rows of one run must differ"):
        read(tmp_path, tidy="run,seed,w:web,m:loss\na,1,1,2\na,1,1,3\n")


# --- sets of RegMix -------------------------------------------------------------------------------------


def test_the_names_of_regmix_tell_sets_and_sizes(tmp_path: Path) -> None:
    mixture = "index,train_web,train_code\n1,0.5,0.5\n2,1.0,0.0\n"
    loss = "index,metric/web_val_loss\n1,{}\n2,{}\n"
    files = {}
    for place, name in enumerate(("train_{}_1m", "test_{}_1m", "test_{}_60m", "test_{}_1b")):
        files[name.format("mixture")] = mixture
        files[name.format("pile_loss")] = loss.format(place + 1, place + 2)
    table = read(tmp_path, **files)
    assert len(table) == 8 and set(table.labels["size"]) == {"1m", "60m", "1b"}
    assert table.where(size="1m", split="train").observations.keys == ("train_1m_1", "train_1m_2")
    folders = {
        f"{size}/train_{what}": text
        for size in ("1m", "60m")
        for what, text in (("mixture", mixture), ("pile_loss", loss.format(1, 2)))
    }
    assert set(read(tmp_path / "in folders", **folders).labels["size"]) == {"1m", "60m"}


def test_runs_of_one_name_are_told_apart_by_their_ids(tmp_path: Path) -> None:
    export = "ID,Name,State,eval/loss\nx1,a,finished,2\nx2,a,finished,3\nx3,b,finished,4\n"
    table = read(tmp_path, export=export, mix=SHARES)
    assert values(table, "eval/loss") == {"a id x1": 2.0, "a id x2": 3.0, "b id x3": 4.0}
    with pytest.raises(ConfigError, match=r"row 2: run .a. is already in row 1.*or export the column ID too"):
        read(tmp_path, export=export.replace("ID,", "Created,"), mix=SHARES)
