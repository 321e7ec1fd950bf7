"""Observations: valid from birth, chosen, joined, and exactly there and back through tables."""

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from cuvee.errors import ConfigError, MixtureError
from cuvee.mixture.mixture import Mixture
from cuvee.runs import Observations, RunKey, observations_of, runs_of
from tests.runs import builders
from tests.runs.builders import run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def three() -> Observations:
    return observations_of(
        [
            run("b", seed=1, kind="trained", role="reference"),
            run("a", seed=0, mixture=Mixture.of({"code": 1.0}), metrics={"code/bits_per_byte": 0.5}),
            run("c", seed=2, params=None, tokens=None, flops=None),
        ]
    )


def test_columns() -> None:
    table = three()
    assert (len(table), table.sources, table.keys) == (3, ("code", "web"), ("b", "a", "c"))
    assert table.metrics == ("code/bits_per_byte", "web/bits_per_byte")
    np.testing.assert_array_equal(table.shares, [[0.25, 0.75], [1, 0], [0.25, 0.75]])
    np.testing.assert_array_equal(table.metric("web/bits_per_byte"), [1.1, np.nan, 1.1])
    np.testing.assert_array_equal(table.params, [1000, 1000, np.nan])
    assert table.mixtures()[1] == Mixture.of({"code": 1.0, "web": 0.0})
    assert repr(table) == "Observations(1 trained, 2 merged; 2 sources, 2 metrics)"
    with pytest.raises(ConfigError, match="there are: code/bits_per_byte, web"):
        table.metric("loss")
    with pytest.raises(ValueError, match="read-only"):
        table.values[0, 0] = 1


def test_select_and_where() -> None:
    table = three()
    assert table.select([2, 0]).keys == ("c", "b")
    assert table.select(np.array([False, True, False])).keys == ("a",)
    assert table.select([]).keys == ()
    assert table.where(kind="merged").keys == ("a", "c")
    assert table.where(kind="merged", seed=(0, 1)).keys == ("a",)
    assert table.where(key={"c", "b"}, params=1000).keys == ("b",)
    assert table.where(role="nothing").keys == ()
    with pytest.raises(ConfigError, match="cannot be chosen by 'colour'"):
        table.where(colour="red")
    with pytest.raises(ConfigError, match="mask"):
        table.select(np.array([True]))


def test_sorted_does_not_depend_on_the_order() -> None:
    table = three()
    assert table.sorted().keys == ("b", "a", "c")
    for order in ([2, 1, 0], [1, 2, 0]):
        assert table.select(order).sorted() == table.sorted()


def test_sum_is_over_all_sources_and_metrics() -> None:
    mine = observations_of([run("a", mixture=Mixture.of({"web": 1.0}), metrics={"x": 1.0})])
    theirs = observations_of([run("b", mixture=Mixture.of({"code": 1.0}), metrics={"y": 2.0})])
    both = mine + theirs
    assert (both.sources, both.metrics, both.keys) == (("web", "code"), ("x", "y"), ("a", "b"))
    np.testing.assert_array_equal(both.shares, [[1, 0], [0, 1]])
    np.testing.assert_array_equal(both.values, [[1, np.nan], [np.nan, 2]])
    assert mine + Observations.empty() == mine
    assert Observations.empty() + mine == mine
    with pytest.raises(ConfigError, match="key 'a' occurs twice"):
        mine + mine


@pytest.mark.parametrize(
    ("changes", "error", "text"),
    [
        ({"shares": np.array([[0.5, 0.4]] * 3)}, MixtureError, "run 'b' .row 0. are no mixture"),
        ({"shares": np.array([[1.5, -0.5]] * 3)}, MixtureError, "not negative"),
        ({"shares": np.array([[np.nan, 1.0]] * 3)}, MixtureError, "no mixture"),
        ({"shares": np.array([[1.0]] * 3)}, ConfigError, r"shape \(3, 1\); expected \(3, 2\)"),
        ({"kind": ("trained", "guessed", "merged")}, ConfigError, "unknown kind 'guessed'; use one of"),
        ({"keys": ("a", "b")}, ConfigError, "2 keys but 3 entries of kind"),
        ({"keys": ("a", "b", "a")}, ConfigError, "key 'a' occurs twice"),
        ({"sources": ("web", "")}, ConfigError, "empty source name"),
        ({"role": ("x", "y", "z\n")}, ConfigError, "control character"),
        ({"params": np.array([1.5, 1, 1])}, ConfigError, "params of run 'b' is 1.5; it must be a whole"),
        ({"tokens": np.array([1, -1, 1])}, ConfigError, "tokens of run 'a'"),
        ({"flops": np.array([1, 1, np.inf])}, ConfigError, "flops of run 'c'"),
        ({"values": np.array([[1, np.inf]] * 3)}, ConfigError, "values of metric 'web/bits_per_byte'"),
        ({"seed": np.array([0.5, 1, 2])}, ConfigError, "seeds must be whole"),
    ],
)
def test_wrong_observations_are_refused(changes: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        replace(three(), **changes)


@given(builders.observations())
@settings(deadline=None, max_examples=40)
def test_tables_read_back_exactly(table: Observations) -> None:
    assert Observations.from_table(table.to_table()) == table
    with tempfile.TemporaryDirectory() as name:
        first, second = Path(name, "first"), Path(name, "second")
        for write, read in (
            (Observations.write_csv, Observations.read_csv),
            (Observations.write_parquet, Observations.read_parquet),
        ):
            write(table, first)
            again = read(first)
            assert again == table
            write(again, second)
            assert first.read_bytes() == second.read_bytes()
    assert table.sorted().sorted() == table.sorted()


def test_csv_as_it_looks(folder: Path) -> None:
    path = folder / "new" / "table.csv"
    three().write_csv(path)
    assert path.read_text() == (
        "key,kind,role,estimand,seed,params,tokens,flops,w:code,w:web,m:code/bits_per_byte,m:web/bits_per_byte\n"
        "b,trained,reference,equal_budget,1,1000,5000,3000000000.0,0.25,0.75,0.7,1.1\n"
        "a,merged,candidate,equal_budget,0,1000,5000,3000000000.0,1.0,0.0,0.5,\n"
        "c,merged,candidate,equal_budget,2,,,,0.25,0.75,0.7,1.1\n"
    )


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("estimand,", "purpose,", "has no column 'estimand'"),
        ("m:code", "code", "unknown column 'code/bits_per_byte'"),
        ("w:web", "w:code", "two columns 'w:code'"),
        ("0.75", "much", r"row 1, w:web: 'much' is not a number"),
        ("5000", "5000.5", r"row 1, tokens: '5000.5' is not a whole number"),
        ("equal_budget,1", "equal_budget,", "row 1: seed is missing"),
        ("0.7,1.1", "0.7", "line 2: 11 cells, but the header has 12"),
        ("trained", "found", "unknown kind 'found'"),
    ],
)
def test_broken_tables_are_told(folder: Path, old: str, new: str, text: str) -> None:
    path = folder / "table.csv"
    three().write_csv(path)
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(ConfigError, match=text) as caught:
        Observations.read_csv(path)
    assert str(path) in str(caught.value)


def test_unreadable_files_are_told(folder: Path) -> None:
    path = folder / "table"
    for read in (Observations.read_csv, Observations.read_parquet):
        with pytest.raises(ConfigError, match="cannot read"):
            read(path)
    path.write_bytes(b"")
    with pytest.raises(ConfigError, match="is empty"):
        Observations.read_csv(path)
    path.write_bytes(b"\xff\xfe\xff")
    with pytest.raises(ConfigError, match="UTF-8"):
        Observations.read_csv(path)
    with pytest.raises(ConfigError, match="Parquet"):
        Observations.read_parquet(path)


def test_runs_and_observations_are_two_views() -> None:
    table = three()
    assert observations_of(runs_of(table), table.sources, table.metrics) == table
    assert observations_of([]) == Observations.empty()
    chosen = observations_of(runs_of(table), ("web", "code", "more"), ("x",))
    np.testing.assert_array_equal(chosen.shares[0], [0.75, 0.25, 0])
    assert np.isnan(chosen.values).all()
    with pytest.raises(MixtureError, match="code"):
        observations_of(runs_of(table), ("web",))


def test_failed_runs_are_no_observations() -> None:
    assert len(observations_of([run("a", status="failed", error="why")])) == 0


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"kind": "x"}, "kind of run 'k' is 'x'; it must be one of trained"),
        ({"status": "lost"}, "done or failed"),
        ({"status": "failed"}, "error of run"),
        ({"error": "why"}, "error of run"),
        ({"params": 0.5}, "params of run"),
        ({"tokens": float("nan")}, "tokens of run"),
        ({"seed": 2**63}, "seed of run"),
        ({"metrics": {"x": float("nan")}}, "x of run 'k' is nan; it must be finite"),
        ({"flops": -1}, "flops"),
        ({"details": {"a": {1, 2}}}, "not plain JSON"),
        ({"key": ""}, "needs a key"),
        ({"mixture": Mixture.of({"a\n": 1.0})}, "control character"),
    ],
)
def test_wrong_runs_are_refused(changes: Any, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        run(**changes)


def test_run_keys() -> None:
    key = RunKey("merge", {"mixture": {"a": 0.1, "b": 0.9}, "seed": 1})
    assert key == RunKey("merge", {"seed": 1, "mixture": {"b": 0.9, "a": 0.1}})
    assert key != RunKey("train", key.inputs)
    assert key != RunKey("merge", key.inputs | {"seed": 2})
    assert (len(key.digest), str(key), len({key, RunKey("merge", key.inputs)})) == (16, key.digest, 1)
    inputs = {"list": [1]}
    kept = RunKey("merge", inputs)
    before = kept.digest
    inputs["list"].append(2)
    assert kept.digest == before
    assert RunKey("x", {"a": 1.5}).digest == "6aa2857ce16ac4c1"  # the same on every machine
    for wrong in ({"a": float("nan")}, {"a": Path("b")}):
        with pytest.raises(ConfigError, match="not plain JSON"):
            RunKey("x", wrong)
    with pytest.raises(ConfigError, match="needs a kind"):
        RunKey("", {})
