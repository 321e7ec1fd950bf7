"""Tidy tables and what is made of any table: what is accepted, mended, told, chosen, and refused."""

import os
import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cuvee.errors import ConfigError
from cuvee.mixture.mixture import Mixture
from cuvee.runs import ImportedTable, Observations, RunStore, import_runs, runs_of
from tests.runs.builders import observations


def write(folder: Path, text: str, name: str = "table.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def read(folder: Path, text: str) -> ImportedTable:
    return import_runs([write(folder, text)])


# --- what is accepted and mended ------------------------------------------------------------------------


def test_shares_within_two_percent_are_renormalised_and_told(tmp_path: Path) -> None:
    table = read(
        tmp_path,
        "run,w:web, w:code,params,tokens,seed,m:loss,m:accuracy,note\n"
        "r1,0.33,0.66,7e7,1000000000,3,2.5,,fine\n"
        "r2,1,,,,,2.25,0.5,\n\n",
    )
    seen = table.observations
    assert (table.renormalised, table.ignored, table.format) == (1, ("note",), "tidy")
    path = tmp_path / "table.csv"
    assert table.notes == (f"{path}: the shares of 1 row summed to 0.99 and were divided by their sum.",)
    assert seen.sources == ("web", "code")
    assert seen.metrics == ("loss", "accuracy")
    assert (seen.keys, seen.kind, seen.role) == (("r1", "r2"), ("imported",) * 2, ("imported",) * 2)
    assert seen.mixtures() == [
        Mixture.normalised({"web": 0.33, "code": 0.66}),
        Mixture.of({"web": 1.0, "code": 0.0}),
    ]
    np.testing.assert_array_equal(seen.params, [7e7, np.nan])
    np.testing.assert_array_equal(seen.tokens, [1e9, np.nan])
    np.testing.assert_array_equal(seen.seed, [3, 0])
    np.testing.assert_array_equal(seen.values, [[2.5, np.nan], [2.25, 0.5]])
    assert np.isnan(seen.flops).all()
    assert table.labels == {"run": ("r1", "r2"), "note": ("fine", "")}


@pytest.mark.parametrize("share", ["0.49", "0.51"])
def test_two_percent_are_within_two_percent(tmp_path: Path, share: str) -> None:
    assert read(tmp_path, f"w:a,w:b,m:x\n{share},{share},1\n").renormalised == 1


def test_parquet_gives_the_same(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    columns = {"w:a": [0.5, 1.0], "w:b": [0.5, None], "m:loss": [1.0, float("nan")], "seed": [1, 2]}
    pq.write_table(pa.table({**columns, "dedup": [True, False], "epochs": [1.0, 2.5]}), path)
    text = "w:a,w:b,m:loss,seed,dedup,epochs\n0.5,0.5,1.0,1,True,1.0\n1.0,,,2,False,2.5\n"
    assert import_runs([path]) == read(tmp_path, text)


def test_fractions_of_large_counts_are_rounded_and_told(tmp_path: Path) -> None:
    table = read(tmp_path, "run,tokens,w:a,m:x\nr,1085714285.7142856,1,1\n")
    assert table.observations.tokens.tolist() == [1085714286.0]
    assert table.notes == (f"{tmp_path / 'table.csv'}: counts with a fraction in tokens were rounded.",)


def test_rows_without_keys_are_named_by_content(tmp_path: Path) -> None:
    rows = "1,2\n1,2\n1,2\n1,3\n"
    first = read(tmp_path, "w:a,m:loss\n" + rows).observations
    assert len(set(first.keys)) == 4
    assert first.keys[1:3] == (f"{first.keys[0]}-2", f"{first.keys[0]}-3")
    with RunStore(tmp_path / "store") as store:
        assert store.add_many(runs_of(first)) == 4
        again = read(tmp_path, "w:a,m:loss\n1,4\n" + rows).observations
        assert store.add_many(runs_of(again)) == 1
        assert len(store.observations(kind="imported")) == 5


@given(seen=observations())
def test_what_we_write_is_read_again(seen: Observations, tmp_path_factory: pytest.TempPathFactory) -> None:
    names = seen.sources + seen.metrics + seen.keys
    assume(len(seen) and seen.metrics and all(name == name.strip() for name in names))
    assume((seen.seed > -(2**63)).all())  # one more than a run may have
    path = tmp_path_factory.mktemp("own") / "runs.parquet"
    seen.write_parquet(path)
    again = import_runs([path]).observations
    assert (again.keys, again.sources, again.metrics) == (seen.keys, seen.sources, seen.metrics)
    for column in ("shares", "values", "params", "tokens", "seed", "flops"):
        np.testing.assert_array_equal(getattr(again, column), getattr(seen, column))


# --- several rows a run ---------------------------------------------------------------------------------


def test_a_run_may_have_a_row_for_each_evaluation_point(tmp_path: Path) -> None:
    table = read(
        tmp_path,
        "run,step,tokens,w:a,m:x\nr,500,1000,1,3\nr,1000.0,2000,1,2\ns,,1500,1,4\n",
    )
    assert table.observations.keys == ("r@500", "r@1000", "s@1500")
    assert table.notes == (
        f"{tmp_path / 'table.csv'}: 2 runs in 3 rows: several points, sizes or seeds of one run.",
    )
    assert table.where(run="r").observations.tokens.tolist() == [1000, 2000]


def test_runs_of_one_row_keep_their_names(tmp_path: Path) -> None:
    assert read(tmp_path, "run,step,w:a,m:x\nr,500,1,3\ns,500,1,2\n").observations.keys == ("r", "s")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("run,step,w:a,m:x\nr,5,1,1\ns,5,1,1\nr,5.0,1,2\n", "row 3: run 'r' at 5 is already in row 1"),
        ("key,w:a,m:x\na,1,1\na,1,2\n", "row 2: run 'a' is already in row 1; rows of one run must differ"),
    ],
)
def test_the_same_run_at_the_same_point_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read(tmp_path, text)


# --- directions -----------------------------------------------------------------------------------------


def test_a_tidy_metric_is_a_loss_unless_its_name_says_otherwise(tmp_path: Path) -> None:
    table = read(tmp_path, "w:a,m:arxiv,m:mmlu_acc,m:loss_drop\n1,2,0.5,0.1\n")
    assert table.directions == {"arxiv": "lower", "mmlu_acc": "higher"}
    assert table.reasons == {
        "arxiv": "m: columns are losses unless their name says otherwise",
        "mmlu_acc": "the name says acc",
    }
    assert table.unknown == ("loss_drop",)


def test_negative_values_are_of_no_loss(tmp_path: Path) -> None:
    table = read(tmp_path, "w:a,m:x,m:y,m:y_loss\n1,-0.1,0.5,2\n")
    assert table.directions == {"y_loss": "lower"}
    assert "x has negative values" in table.notes[0]


# --- choosing rows --------------------------------------------------------------------------------------


@pytest.fixture
def table(tmp_path: Path) -> ImportedTable:
    return read(
        tmp_path,
        "run,split,step,params,w:a,w:b,m:x\n"
        "r,train,1000.0,70,0.5,0.5,1\ns,test,1000.0,70,1,0,2\nt,train,2000.0,160,0,1,3\n",
    )


def test_rows_are_chosen_by_labels_and_columns(table: ImportedTable) -> None:
    train = table.where(split="train")
    assert (train.observations.keys, train.labels["step"]) == (("r", "t"), ("1000.0", "2000.0"))
    assert (train.directions, train.ignored) == (table.directions, table.ignored)
    assert table.where(step="1000", split=("train", "test")).observations.keys == ("r", "s")
    assert table.where(params=160).labels["run"] == ("t",)
    assert table.where(key="s") == table.select([1]) == table.select(np.array([False, True, False]))
    assert table.select([2, 0]).labels["run"] == table.select([2, 0]).observations.keys == ("t", "r")
    assert table.where() == table


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        ({"size": 1}, "cannot be chosen by 'size'; there are: run, split, step, key, kind"),
        ({"split": "valid"}, "no row has split = valid; there are: train, test"),
        ({"split": "test", "params": 160}, r"no row has params = 160; there are: 70\.0$"),
    ],
)
def test_what_is_not_there_cannot_be_chosen(
    table: ImportedTable, conditions: dict[str, str], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        table.where(**conditions)


def test_names_that_look_like_numbers_are_names(tmp_path: Path) -> None:
    names = ("7", "007", "1e999", "2e999", "nan", "True", "1.5")
    table = read(tmp_path, "run,w:a,m:x\n" + "".join(f"{name},1,2\n" for name in names))
    for name in names:
        assert table.where(run=name).observations.keys == (name,)
    assert table.where(run=(7.0, 1.5)).observations.keys == ("7", "1.5")
    assert table.where(run=True).observations.keys == ("True",)


def test_a_table_is_a_value(table: ImportedTable) -> None:
    assert pickle.loads(pickle.dumps(table)) == table
    with pytest.raises(TypeError):
        table.labels["run"] = ()  # type: ignore[index]
    with pytest.raises(ConfigError, match="label 'x' has 1 rows for 3"):
        ImportedTable(table.observations, labels={"x": ("1",)})
    with pytest.raises(ConfigError, match="directions and reasons"):
        ImportedTable(table.observations, directions={"x": "lower"})


# --- what is refused ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "w:a,w:b,m:x\n0.5,0.5,1\n0.5,0.47,1\n",
            "row 2: shares of 2 sources sum to 0.97, not to 1 within 2%",
        ),
        ("w:a,w:b,m:x\n50,50,1\n", "row 1: shares .* sum to 100.* divide percentages by 100"),
        ("w:a,w:b,m:x\n3e8,1e9,1\n", "row 1: shares .* divide counts by their sum"),
        ("w:a,w:b,m:x\n1e308,1e308,1\n", "row 1: shares .* sum to inf"),
        ("w:a,w:b,m:x\n1.5,-0.5,1\n", r"row 1: the share of b is negative \(-0.5\)"),
        ("w:a,w:b,m:x\n1,nan,1\n", "row 1: the share w:b is NaN; write a number from 0 to 1"),
        ("w:a,w:b,m:x\n1,most,1\n", "row 1, w:b: 'most' is not a number; write a number"),
        ("w:a,m:x\n1,good\n", "row 1, m:x: 'good' is not a number; write a number, or leave the cell empty"),
        ("w:a,m:x\n1,inf\n", "row 1: m:x is infinite"),
        ("w:a,m:x,params\n1,1,1GB\n", "row 1, params: '1GB' is no count"),
        ("w:a,m:x,tokens\n1,1,0.5\n", "row 1, tokens: '0.5' is not a whole number"),
        ("w:a,m:x,tokens\n1,1,-5\n", "row 1: tokens of run"),
        ("w:a,m:x,seed\n1,1,1e30\n", "row 1: seed is 1e[+]30, too large"),
        ("w:a,m:x\n1\n", "line 2: 1 cells, but the header has 2"),
        (
            "web,x\n1,1\n",
            "no known format. It has the columns web, x. Looked for: wandb: .*; tidy: columns w:",
        ),
        ("m:x\n1\n", "there are metrics in .* but no file has the shares of the runs; add a table"),
        ("w:web,loss\n1,1\n", "there are shares in .* but no file has metrics; add columns m:"),
        ("w:a,w:a,m:x\n1,1,1\n", "two columns 'w:a'"),
        ("w:a, w:a,m:x\n1,1,1\n", "two columns 'w:a'"),
        ("w:a,m:x\n", "has a header but no rows"),
        ("", "is empty"),
    ],
)
def test_other_rows_are_refused_with_their_place(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ConfigError, match=message) as caught:
        import_runs([path])
    assert str(path) in str(caught.value)


def test_files_that_are_not_there_are_told(tmp_path: Path) -> None:
    for name in ("none.csv", "none.parquet", "none.json"):
        with pytest.raises(ConfigError, match="cannot read"):
            import_runs([tmp_path / name])
    with pytest.raises(ConfigError, match="no file of runs was given"):
        import_runs([])
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="has no CSV, Parquet or JSON file"):
        import_runs([tmp_path / "empty"])


@pytest.mark.parametrize("name", ["pipe.csv", "pipe.json", "pipe.parquet"])
def test_pipes_and_devices_are_refused(tmp_path: Path, name: str) -> None:
    """Opening a pipe would wait for ever, and a device never ends."""
    os.mkfifo(tmp_path / name)
    write(tmp_path, "w:a,w:b,m:loss\n0.5,0.5,1\n")
    (tmp_path / "zero.csv").symlink_to("/dev/zero")
    for place in (tmp_path / name, tmp_path / "zero.csv", Path("/dev/zero"), tmp_path):
        with pytest.raises(ConfigError, match="is no regular file"):
            import_runs([place])


def test_a_folder_named_like_a_file_is_looked_into(tmp_path: Path) -> None:
    (tmp_path / "runs.csv").mkdir()
    write(tmp_path / "runs.csv", "w:a,w:b,m:loss\n0.5,0.5,1\n")
    assert len(import_runs([tmp_path])) == 1


# --- any order ------------------------------------------------------------------------------------------


@given(
    rows=st.permutations(range(4)),
    columns=st.permutations(range(6)),
    scale=st.sampled_from([1.0, 0.985, 1.0199]),
)
def test_order_and_rounding_change_nothing_else(
    rows: list[int], columns: list[int], scale: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("order")
    header = ["run", "w:a", "w:b", "w:c", "m:x", "m:y"]
    shares = np.random.default_rng(0).dirichlet(np.ones(3), 4)
    cells = [
        [f"r{i}", *(repr(float(s)) for s in row), str(i), "" if i == 1 else str(10 - i)]
        for i, row in enumerate(shares)
    ]
    straight = read(folder, "\n".join(",".join(line) for line in (header, *cells)))
    scaled = [[c[0], *(repr(scale * float(x)) for x in c[1:4]), *c[4:]] for c in cells]
    mixed = [[line[k] for k in columns] for line in (header, *(scaled[i] for i in rows))]
    table = read(folder, "\n".join(",".join(line) for line in mixed))
    assert table.observations.keys == tuple(f"r{i}" for i in rows)
    assert table.renormalised == (0 if scale == 1.0 else 4)
    for row, i in enumerate(rows):
        mixture = table.observations.mixtures()[row].as_dict()
        assert mixture == pytest.approx(straight.observations.mixtures()[i].as_dict(), rel=1e-12)
        for metric in ("x", "y"):
            np.testing.assert_equal(
                table.observations.metric(metric)[row], straight.observations.metric(metric)[i]
            )
    assert table.directions == straight.directions


def test_runs_are_left_out_by_name(tmp_path: Path) -> None:
    (tmp_path / "runs.csv").write_text("run,w:web,w:code,m:loss\na,1,0,3\nb,0.5,0.5,900\nc,0,1,2\n")
    table = import_runs([tmp_path / "runs.csv"])
    kept = table.without(["b"])
    assert kept.observations.keys == ("a", "c")
    assert kept.notes[-1] == "Left out as asked: b."
    assert table.without([]) is table
    with pytest.raises(ConfigError, match="no run 'd' to leave out; there are: a, b, c"):
        table.without(["d"])
    with pytest.raises(ConfigError, match="keep some"):
        table.without(["a", "b", "c"])
