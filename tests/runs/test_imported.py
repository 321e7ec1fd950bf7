"""Tables of others: what is accepted, mended, ignored, and refused with its row."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cuvee.errors import ConfigError
from cuvee.mixture.mixture import Mixture
from cuvee.runs import RunStore, import_table, runs_of


def write(folder: Path, text: str) -> Path:
    path = folder / "table.csv"
    path.write_text(text)
    return path


def test_shares_within_two_percent_are_renormalised_and_counted(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "run,w:web, w:code,params,tokens,seed,m:loss,m:accuracy,note\n"
        "r1,0.33,0.66,7e7,1000000000,3,2.5,,fine\n"
        "r2,1,,,,,2.25,0.5,\n",
    )
    table = import_table(path)
    seen = table.observations
    assert (table.renormalised, table.ignored) == (1, ("note",))
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


def test_parquet_gives_the_same(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    columns = {"w:a": [0.5, 1.0], "w:b": [0.5, None], "m:loss": [1.0, 2.0], "seed": [1, 2]}
    pq.write_table(pa.table(columns), path)
    text = write(tmp_path, "w:a,w:b,m:loss,seed\n0.5,0.5,1.0,1\n1.0,,2.0,2\n")
    assert import_table(path) == import_table(text)


def test_rows_without_keys_are_named_by_content(tmp_path: Path) -> None:
    rows = "1,2\n1,2\n1,2\n1,3\n"
    first = import_table(write(tmp_path, "w:a,m:loss\n" + rows)).observations
    assert len(set(first.keys)) == 4
    assert first.keys[1:3] == (f"{first.keys[0]}-2", f"{first.keys[0]}-3")
    with RunStore(tmp_path / "store") as store:
        assert store.add_many(runs_of(first)) == 4
        again = import_table(write(tmp_path, "w:a,m:loss\n1,4\n" + rows)).observations
        assert store.add_many(runs_of(again)) == 1
        assert len(store.observations(kind="imported")) == 5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("w:a,w:b,m:x\n0.5,0.5,1\n0.5,0.47,1\n", "row 2: shares sum to 0.97, not to 1 within 2%"),
        ("w:a,w:b,m:x\n50,50,1\n", "row 1: shares sum to 100.* divide percentages by 100"),
        ("w:a,w:b,m:x\n1.5,-0.5,1\n", "row 1: w:b is negative"),
        ("w:a,m:x\nnan,1\n", "row 1: shares sum to 0"),
        ("w:a,m:x\n1,good\n", "row 1, m:x: 'good' is not a number"),
        ("w:a,m:x\n1,inf\n", "row 1: m:x is infinite"),
        ("w:a,m:x,params\n1,1,1B\n", "row 1, params: '1B' is not a number"),
        ("w:a,m:x,tokens\n1,1,0.5\n", "row 1, tokens: '0.5' is not a whole number"),
        ("w:a,m:x,tokens\n1,1,-5\n", "row 1: tokens of run"),
        ("w:a,m:x,key\n1,1,a\n1,2,a\n", "row 2: key 'a' is already that of row 1"),
        ("w:a,m:x\n1\n", "line 2: 1 cells, but the header has 2"),
        ("web,m:x\n1,1\n", "no column w:<name> for the share of each source; it has: web, m:x"),
        ("w:web,loss\n1,1\n", "no column m:<name>"),
        ("w:a,w:a,m:x\n1,1,1\n", "two columns 'w:a'"),
        ("w:a,m:x\n", "has a header but no rows"),
        ("", "is empty"),
    ],
)
def test_other_rows_are_refused_with_their_number(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ConfigError, match=message) as caught:
        import_table(path)
    assert str(path) in str(caught.value)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    for name in ("none.csv", "none.parquet"):
        with pytest.raises(ConfigError, match="cannot read"):
            import_table(tmp_path / name)
