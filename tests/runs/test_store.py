"""RunStore: what goes in comes out, contradictions are refused, failures of the file are told."""

import dataclasses
import itertools
import sqlite3
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cuvee.errors import ConfigError, SchemaError, StoreError
from cuvee.mixture.mixture import Mixture
from cuvee.runs import MIGRATIONS, Migration, Run, RunStore, SourceRecord, UnitRecord, observations_of
from tests.runs import builders
from tests.runs.builders import run


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "study" / "store.sqlite"


@given(st.lists(builders.runs(), max_size=4, unique_by=lambda run: run.key))
@settings(deadline=None, max_examples=25)
def test_runs_come_back_exactly(runs: list[Run]) -> None:
    with tempfile.TemporaryDirectory() as name:
        with RunStore(Path(name, "store")) as store:
            assert store.add_many(runs) == len(runs)
            assert store.add_many(runs) == 0
        with RunStore(Path(name, "store")) as store:
            assert [store.get(run.key) for run in runs] == runs
            assert store.runs() == sorted(runs, key=lambda run: run.key.encode())
            assert store.observations() == observations_of(runs).sorted()


def test_observations_do_not_depend_on_the_order_of_writing(tmp_path: Path) -> None:
    runs = [run("a"), run("b", seed=1, mixture=Mixture.of({"more": 1.0})), run("c", kind="trained")]
    tables = []
    for place, order in enumerate(itertools.permutations(runs)):
        with RunStore(tmp_path / str(place)) as store:
            for one in order:
                store.record_seconds(one.key, "training", place)
                assert store.add(one)
            csv = tmp_path / "table.csv"
            store.observations().write_csv(csv)
            tables.append(csv.read_bytes())
    assert len(set(tables)) == 1


def test_choosing(path: Path) -> None:
    with RunStore(path) as store:
        store.add_many([run("a"), run("b", seed=1, kind="trained"), run("c", seed=2, params=None)])
        assert store.observations(kind="merged").keys == ("a", "c")
        assert store.observations(kind=("merged", "trained"), seed=np.int64(1)).keys == ("b",)
        assert store.observations(seed=np.array([0, 2]), params=1000.0).keys == ("a",)
        assert store.observations(key={"a", "x"}, role="candidate").keys == ("a",)
        assert store.observations(kind="ensembled").keys == ()
        chosen = store.observations(sources=("code", "more", "web"), metrics=("code/bits_per_byte", "none"))
        np.testing.assert_array_equal(chosen.shares[0], [0.25, 0, 0.75])
        np.testing.assert_array_equal(chosen.values[0], [0.7, np.nan])
        assert store.keys() == {"a", "b", "c"}
        assert store.keys(["c", "d"]) == {"c"}
        with pytest.raises(ConfigError, match="colour"):
            store.observations(colour="red")


NATS = st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=5)


@given(st.dictionaries(builders.NAMES, NATS, max_size=3), st.dictionaries(builders.NAMES, NATS, max_size=3))
@settings(max_examples=25)
def test_losses_of_documents_come_back_bit_for_bit(
    one: dict[str, list[float]], other: dict[str, list[float]]
) -> None:
    written = {
        key: {name: np.array(nats, dtype=np.float64) for name, nats in table.items()}
        for key, table in (("one", one), ("other", other))
    }
    with tempfile.TemporaryDirectory() as folder:
        with RunStore(Path(folder, "store")) as store:
            assert store.add_many(run(key, documents=table) for key, table in written.items()) == 2
        with RunStore(Path(folder, "store")) as store:
            found = store.documents(["other", "one", "unknown"])
            assert store.documents([]) == {}
    assert found["unknown"] == {}
    for key, table in written.items():
        assert {name: nats.tobytes() for name, nats in found[key].items()} == {
            name: nats.tobytes() for name, nats in table.items()
        }


def test_losses_of_documents_go_with_their_run(path: Path) -> None:
    nats = {"web": np.array([1.5, 2.5])}
    with RunStore(path) as store:
        store.add(run("k", metrics={}, flops=None, status="failed", error="killed"))
        assert store.documents(["k"]) == {"k": {}}
        assert store.add(run("k", documents=nats))
        assert not store.add(run("k", documents=nats)), "it is there"
        assert store.documents(["k"])["k"]["web"].tolist() == [1.5, 2.5]
        assert store.get("k") == run("k"), "runs are compared and read without them"


def test_the_same_run_twice_is_one(path: Path) -> None:
    with RunStore(path) as store:
        assert store.add(run())
        assert not store.add(run())
        other_order = run(mixture=Mixture.of({"code": 0.25, "none": 0.0, "web": 0.75}))
        assert not store.add(other_order)
        assert len(store.runs()) == 1


def test_a_contradiction_is_refused_and_nothing_is_written(path: Path) -> None:
    with RunStore(path) as store:
        store.add(run())
        changed = run(metrics={"web/bits_per_byte": np.nextafter(1.1, 2), "code/bits_per_byte": 0.7})
        with pytest.raises(StoreError, match=r"'k' is in .*metrics .*1\.1.* is not .*1\.1000000000000003"):
            store.add_many([run("new"), changed])
        assert store.get("new") is None
        assert store.get("k") == run()
        with pytest.raises(StoreError, match="seed 0 is not 1"):
            store.add(run(seed=1))


def test_failures_are_told_and_replaced(path: Path) -> None:
    with RunStore(path) as store:
        for error in ("loss is nan", "killed"):
            store.add(run(metrics={}, flops=None, status="failed", error=error))
        [failed] = store.failures()
        assert (failed.key, failed.status, failed.error, failed.params) == ("k", "failed", "killed", 1000)
        assert not store.has("k")
        assert store.get("k") == failed
        assert len(store.observations()) == 0
        assert store.add(run())
        assert store.has("k")
        assert store.failures() == []
        with pytest.raises(StoreError, match="a failure cannot replace it"):
            store.add(run(metrics={}, flops=None, status="failed", error="late"))


def test_seconds_add_up_apart_from_the_runs(path: Path) -> None:
    with RunStore(path) as store:
        store.record_seconds("k", "training", 1.5)
        store.record_seconds("k", "training", 2.0)
        store.record_seconds("k", "evaluation", 0.25)
        assert store.seconds() == {("k", "training"): 3.5, ("k", "evaluation"): 0.25}


def test_sources_and_units(path: Path) -> None:
    sources = [
        SourceRecord("code", "h2", 3, 400, 900, {"license": "MIT"}),
        SourceRecord("web", "h1", 1, 2, 3),
    ]
    units = [UnitRecord(f"web/{place}", "web", f"h{place}", 1, 2, 3) for place in range(2)]
    with RunStore(path) as store:
        store.write_sources(reversed(sources), units)
        store.write_sources(sources, units)
        assert store.sources() == sources
        assert store.units() == units
        with pytest.raises(StoreError, match="FOREIGN KEY"):
            store.write_sources([], units)
        assert store.units() == units


NOW = len(MIGRATIONS)
NEXT = Migration(NOW + 1, "notes", "CREATE TABLE notes (text TEXT) STRICT; -- a comment; with a semicolon\n")
WRONG = Migration(
    NOW + 1, "wrong", "CREATE TABLE notes (text TEXT) STRICT;\nINSERT INTO nowhere VALUES (1);\n"
)


def test_an_older_store_is_copied_and_migrated(path: Path) -> None:
    with RunStore(path) as store:
        store.add(run())
    with RunStore(path, migrations=(*MIGRATIONS, NEXT)) as store:
        assert store.get("k") == run()
        store.add(run("new"))
    copy = path.with_name(f"store.sqlite.version-{NOW}")
    with RunStore(copy) as store:
        assert store.keys() == {"k"}
    with RunStore(path, migrations=(*MIGRATIONS, NEXT)) as store:
        assert store.keys() == {"k", "new"}
    names = {file.name for file in path.parent.iterdir()}
    assert names == {"store.sqlite", copy.name}


def test_a_store_of_the_first_schema_keeps_its_runs(path: Path) -> None:
    old = run("old")
    with RunStore(path, migrations=MIGRATIONS[:1]) as store, pytest.raises(StoreError, match="documents"):
        store.documents(["old"])
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(
            "INSERT INTO runs VALUES "
            "(1, 'old', 'merged', 'candidate', 'equal_budget', 1000, 5000, 0, 3e9, 'done', NULL, '{}')"
        )
        connection.executemany(
            "INSERT INTO shares VALUES (1, ?, ?, ?)", enumerate_shares(old.mixture.as_dict())
        )
        connection.executemany("INSERT INTO metrics VALUES (1, ?, ?)", old.metrics.items())
    connection.close()
    with RunStore(path) as store:
        assert store.runs() == [old]
        assert store.documents(["old"]) == {"old": {}}
        store.add(run("new", documents={"web": np.array([1.0])}))
        assert store.documents(["new"])["new"]["web"].tolist() == [1.0]
    with sqlite3.connect(path.with_name("store.sqlite.version-1")) as copy:
        assert copy.execute("SELECT max(version) FROM migrations").fetchall() == [(1,)]
    copy.close()


def enumerate_shares(shares: dict[str, float]) -> list[tuple[int, str, float]]:
    return [(position, source, share) for position, (source, share) in enumerate(shares.items())]


def test_a_newer_store_is_refused(path: Path) -> None:
    RunStore(path, migrations=(*MIGRATIONS, NEXT)).close()
    with pytest.raises(SchemaError, match=f"schema version {NOW + 1}, but this cuvee knows up to {NOW}"):
        RunStore(path)


def test_a_migration_that_fails_changes_nothing(path: Path) -> None:
    with RunStore(path) as store:
        store.add(run())
    with pytest.raises(StoreError, match="nowhere"):
        RunStore(path, migrations=(*MIGRATIONS, WRONG))
    with RunStore(path) as store:
        assert store.get("k") == run()
        store.add(run("new"))
    RunStore(path, migrations=(*MIGRATIONS, NEXT)).close()


def test_a_history_has_no_gaps(path: Path) -> None:
    with pytest.raises(ConfigError, match=r"1, 2, 3, .*they are \[1, 3\]"):
        RunStore(path, migrations=(MIGRATIONS[0], dataclasses.replace(NEXT, version=3)))
    with pytest.raises(ConfigError, match="inside a statement"):
        RunStore(path, migrations=(*MIGRATIONS, dataclasses.replace(NEXT, sql="CREATE TABLE")))


def test_the_schema_explains_itself(path: Path) -> None:
    RunStore(path).close()
    connection = sqlite3.connect(path)
    tables = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'").fetchall()
    connection.close()
    assert {name for name, _ in tables} == {
        "migrations", "sources", "units", "runs", "shares", "metrics", "documents", "timings",
    }  # fmt: skip
    assert all("--" in sql and "STRICT" in sql for _, sql in tables)


def test_a_locked_store_is_told(path: Path) -> None:
    with RunStore(path, timeout=0.05) as store:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match=r"locked for 0\.05 s by another process"):
            store.add(run())
        assert store.observations() == observations_of([])  # reading does not wait
        RunStore(path, timeout=0.05).close()  # nor does opening
        other.execute("ROLLBACK")
        other.close()
        assert store.add(run())


def test_a_full_disk_is_told_and_leaves_the_old_runs(path: Path) -> None:
    full = Migration(NOW + 1, "a small disk", "PRAGMA max_page_count = 40;")
    with RunStore(path, migrations=(*MIGRATIONS, full)) as store:
        store.add(run())
        with pytest.raises(StoreError, match="no space left"):
            store.add_many([run(f"k{number}") for number in range(2000)])
        assert store.runs() == [run()]
        assert store.add(run("small"))


@pytest.mark.parametrize("damage", ["text", "middle"])
def test_a_damaged_file_is_told(path: Path, damage: str) -> None:
    with RunStore(path) as store:
        store.add_many([run(f"k{number}") for number in range(200)])
    data = bytearray(path.read_bytes())
    if damage == "text":
        data = bytearray(b"this is a text file, not a store\n" * 200)
    else:
        data[4096:] = b"\xa5" * (len(data) - 4096)
    path.write_bytes(data)

    def read() -> None:
        with RunStore(path) as store:
            store.runs()

    with pytest.raises(StoreError, match=r"damaged.*restore it from a copy"):
        read()


def test_other_files_are_refused(path: Path, tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.sqlite"
    connection = sqlite3.connect(foreign)
    connection.execute("CREATE TABLE things (name TEXT)")
    connection.close()
    before = foreign.read_bytes()
    with pytest.raises(StoreError, match="not a run store of cuvee"):
        RunStore(foreign)
    assert foreign.read_bytes() == before
    with pytest.raises(StoreError, match="cannot be opened"):
        RunStore(tmp_path)
    with pytest.raises(StoreError, match="cannot use the run store"):
        RunStore(foreign / "below")


def test_errors_of_the_caller_pass_unchanged(path: Path) -> None:
    def broken() -> object:
        yield run()
        raise FileNotFoundError("mine")

    with RunStore(path) as store:
        with pytest.raises(FileNotFoundError, match="mine"):
            store.add_many(broken())  # type: ignore[arg-type]
        assert store.runs() == []
    with pytest.raises(StoreError, match="closed"):
        store.runs()


def flipped(path: Path, at: int, bit: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1 << bit
    path.write_bytes(data)


def all_of(store: RunStore) -> object:
    keys = sorted(store.keys())
    documents = store.documents(keys)
    losses = {key: {name: one.tolist() for name, one in documents[key].items()} for key in keys}
    return [run.content() for run in store.runs()], losses, store.seconds(), sorted(keys)


def test_no_flipped_bit_of_a_store_is_read(path: Path) -> None:
    """SQLite finds broken pages, not another number."""
    with RunStore(path) as store:
        for number in range(12):
            store.add(run(f"k{number}", documents={"web": np.arange(5) + number, "code": np.ones(3)}))
            store.record_seconds(f"k{number}", "training", 1.5)
        whole = all_of(store)
    before = path.read_bytes()
    chance, unnoticed = np.random.default_rng(0), 0
    for _ in range(150):
        path.write_bytes(before)
        flipped(path, int(chance.integers(len(before))), int(chance.integers(8)))
        try:
            with RunStore(path) as store:
                store.check()
                found = all_of(store)
        except (StoreError, SchemaError):
            continue
        unnoticed += 1
        assert found == whole
    assert unnoticed < 150


def test_one_bit_of_a_metric_is_refused_with_its_run(path: Path) -> None:
    with RunStore(path) as store:
        store.add(run())
        store.add(run("other"))
    connection = sqlite3.connect(path)
    with connection:
        (key,) = connection.execute("SELECT run_id FROM runs WHERE key = 'k'").fetchone()
        connection.execute("UPDATE metrics SET value = value + 1e-15 * value WHERE run_id = ?", (key,))
    connection.close()
    with RunStore(path) as store:
        assert store.get("other") is not None
        with pytest.raises(StoreError, match=r"damaged.*the run k is not what was written.*move it away"):
            store.get("k")
        with pytest.raises(StoreError, match="run k"):
            store.runs()


def test_rows_of_an_earlier_version_get_digests(path: Path) -> None:
    with RunStore(path, migrations=MIGRATIONS[:2]):
        pass
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(
            "INSERT INTO runs VALUES "
            "(1, 'old', 'merged', 'candidate', 'equal_budget', 1000, 5000, 0, 3e9, 'done', NULL, '{}')"
        )
        connection.execute("INSERT INTO shares VALUES (1, 0, 'web', 1.0)")
        connection.execute("INSERT INTO documents VALUES (1, 'web', ?)", (np.ones(2).tobytes(),))
        connection.execute("INSERT INTO timings VALUES ('old', 'training', 2.5)")
    connection.close()
    with RunStore(path) as store:
        assert store.documents(["old"])["old"]["web"].tolist() == [1.0, 1.0]
        store.record_seconds("old", "training", 1.0)
        assert store.seconds() == {("old", "training"): 3.5}
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("UPDATE documents SET nats = ?", (np.zeros(2).tobytes(),))
        connection.execute("UPDATE timings SET seconds = 9")
    connection.close()
    with RunStore(path) as store:
        with pytest.raises(StoreError, match="the documents of run old"):
            store.documents(["old"])
        with pytest.raises(StoreError, match="the time of run old"):
            store.seconds()
