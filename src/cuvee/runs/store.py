"""RunStore: every run of a study in one SQLite file.

Any number of processes may read while one writes (write-ahead log); a second writer waits. Each write
is one transaction, on disk when the call returns: a process killed at any moment leaves whole runs.
The file must lie on a local disk, because network file systems do not keep its locks. The tables are
described in ``schema.py``. Floats are kept as eight bytes and come back exactly.
"""

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from cuvee.errors import ConfigError, StoreError
from cuvee.hashing import canonical_json
from cuvee.mixture.mixture import Mixture
from cuvee.runs.database import Database, damaged
from cuvee.runs.observations import CONDITIONS, Observations, accepted_values
from cuvee.runs.row_digests import RUN_COLUMNS, document_digest, run_digest, timing_digest
from cuvee.runs.run import Run, observations_of
from cuvee.runs.schema import MIGRATIONS, Migration
from cuvee.types import FloatArray, Json

__all__ = ["Run", "RunStore", "SourceRecord", "UnitRecord"]


@dataclass(frozen=True)
class SourceRecord:
    """What is known about a prepared source."""

    name: str
    content_hash: str
    """Of its prepared tokens."""
    documents: int
    tokens: int
    bytes: int
    """UTF-8 bytes of its text."""
    details: Json = field(default_factory=dict)


@dataclass(frozen=True)
class UnitRecord:
    """What is known about the slice of a source that one pool model is trained on."""

    name: str
    source: str
    content_hash: str
    documents: int
    tokens: int
    bytes: int
    details: Json = field(default_factory=dict)


class RunStore:
    """The runs of one study. Use it in the thread that opened it; close it, or use it in ``with``.

    Args:
        path: the file; it is made, with its folders, if it does not exist.
        timeout: seconds to wait for another process that is writing.
        migrations: the history of the schema (tests give others).

    Raises:
        SchemaError: the file was written by a newer version of cuvee.
        StoreError: the file is no run store, is damaged, is locked, or the disk is full. Every method
            may raise it; what a failed call was writing is then not in the store at all.
    """

    def __init__(
        self, path: Path | str, *, timeout: float = 30.0, migrations: Sequence[Migration] = MIGRATIONS
    ) -> None:
        self.path = Path(path)
        self._database = Database(self.path, timeout, migrations)

    def close(self) -> None:
        """Close the file. Closing twice does nothing."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def check(self) -> None:
        """See that pages and indices of the file fit together. Cost: one reading of it, about 0.2 GB a
        second."""
        self._database.check()

    # Writing

    def add(self, run: Run) -> bool:
        """Write one run; see ``add_many``. True if the store did not have it yet."""
        return self.add_many([run]) == 1

    def add_many(self, runs: Iterable[Run]) -> int:
        """Write runs in one transaction: all of them, or none. Returns how many were new.

        A run that is there already with the same content is passed over. A failed run is replaced.

        Raises:
            StoreError: a finished run is there with other content, or would be replaced by a failed one.
        """
        runs = list(runs)  # an error of theirs must not look like one of the file
        with self._database.transaction("IMMEDIATE"):
            return sum(self._write(run) for run in runs)

    def record_seconds(self, key: str, stage: str, seconds: float) -> None:
        """Add to the time spent on a stage of a run, over all attempts. Kept apart from the runs."""
        with self._database.transaction("IMMEDIATE"):
            before = self._seconds("WHERE key = ? AND stage = ?", (key, stage)).get((key, stage), 0.0)
            row = key, stage, before + float(seconds)
            self._database.execute(
                "INSERT OR REPLACE INTO timings VALUES (?, ?, ?, ?)", (*row, timing_digest(*row))
            )

    def write_sources(self, sources: Iterable[SourceRecord], units: Iterable[UnitRecord] = ()) -> None:
        """Replace what is known about the sources and their units."""
        with self._database.transaction("IMMEDIATE"):
            self._database.execute("DELETE FROM units")
            self._database.execute("DELETE FROM sources")
            for source in sources:
                self._database.execute(
                    "INSERT INTO sources VALUES (?, ?, ?, ?, ?, ?)",
                    (source.name, source.content_hash, source.documents, source.tokens, source.bytes,
                     canonical_json(source.details)),
                )  # fmt: skip
            for unit in units:
                self._database.execute(
                    "INSERT INTO units VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (unit.name, unit.source, unit.content_hash, unit.documents, unit.tokens, unit.bytes,
                     canonical_json(unit.details)),
                )  # fmt: skip

    # Reading

    def has(self, key: str) -> bool:
        """Whether there is a finished run with this key."""
        return key in self.keys([key])

    def keys(self, among: Collection[str] | None = None) -> set[str]:
        """Keys of all finished runs, or of those ``among`` the given ones."""
        query, values = "SELECT key FROM runs WHERE status = 'done'", []
        if among is not None:
            query += " AND key IN (SELECT value FROM json_each(?))"
            values = [json.dumps(list(among))]
        with self._database.telling():
            return {key for (key,) in self._database.execute(query, values)}

    def get(self, key: str) -> Run | None:
        """The run with this key, finished or failed; None if there is none."""
        with self._database.transaction("DEFERRED"):
            return next(iter(self._read("key = ?", [key])), None)

    def documents(self, keys: Collection[str]) -> dict[str, dict[str, FloatArray]]:
        """Of finished runs: key -> evaluation -> nats of each of its documents."""
        found: dict[str, dict[str, FloatArray]] = {key: {} for key in keys}
        with self._database.telling():
            rows = self._database.execute(
                "SELECT key, evaluation, nats, documents.digest FROM runs JOIN documents USING (run_id) "
                "WHERE key IN (SELECT value FROM json_each(?))",
                [json.dumps(list(found))],
            )
            for key, evaluation, nats, written in rows:
                self._compare(document_digest(key, evaluation, nats), written, f"documents of run {key}")
                found[key][evaluation] = np.frombuffer(nats, dtype="<f8")
        return found

    def runs(self, **conditions: Any) -> list[Run]:
        """Finished runs in the order of their keys; conditions as in ``Observations.where``."""
        clauses, values = ["status = 'done'"], []
        for name, wanted in conditions.items():
            if name not in CONDITIONS:
                raise ConfigError(f"runs cannot be chosen by {name!r}; use {', '.join(CONDITIONS)}")
            accepted = [v.item() if isinstance(v, np.generic) else v for v in accepted_values(wanted)]
            clauses.append(f"{name} IN (SELECT value FROM json_each(?))")
            values.append(json.dumps(accepted))
        with self._database.transaction("DEFERRED"):
            return self._read(" AND ".join(clauses), values)

    def failures(self) -> list[Run]:
        """Failed runs in the order of their keys."""
        with self._database.transaction("DEFERRED"):
            return self._read("status = 'failed'", [])

    def observations(
        self, *, sources: Sequence[str] | None = None, metrics: Sequence[str] | None = None, **conditions: Any
    ) -> Observations:
        """Finished runs as observations in canonical order: the same for any order of writing.

        Args:
            sources: columns of shares; by default all sources of these runs, sorted.
            metrics: columns of values; by default all metrics of these runs, sorted.
            conditions: as in ``Observations.where``.
        """
        return observations_of(self.runs(**conditions), sources, metrics).sorted()

    def seconds(self) -> dict[tuple[str, str], float]:
        """Seconds spent by ``(key, stage)``."""
        with self._database.telling():
            return self._seconds("ORDER BY key, stage", ())

    def sources(self) -> list[SourceRecord]:
        """The prepared sources, by name."""
        with self._database.telling():
            rows = self._database.execute("SELECT * FROM sources ORDER BY name").fetchall()
        return [SourceRecord(*_with_details(row)) for row in rows]

    def units(self) -> list[UnitRecord]:
        """The units, by name."""
        with self._database.telling():
            rows = self._database.execute("SELECT * FROM units ORDER BY name").fetchall()
        return [UnitRecord(*_with_details(row)) for row in rows]

    # Rows

    def _write(self, run: Run) -> bool:
        known = next(iter(self._read("key = ?", [run.key])), None)
        if known is not None:
            if known.content() == run.content():
                return False
            if known.status == "done":
                raise StoreError(_contradiction(self.path, known, run))
            self._database.execute("DELETE FROM runs WHERE key = ?", (run.key,))
        values = (run.key, run.kind, run.role, run.estimand, run.params, run.tokens, run.seed, run.flops,
                  run.status, run.error, canonical_json(run.details))  # fmt: skip
        shares, metrics = list(run.mixture.as_dict().items()), list(run.metrics.items())
        row = self._database.execute(
            f"INSERT INTO runs (run_id, {RUN_COLUMNS}, digest) "
            "VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*values, run_digest(values, shares, metrics)),
        ).lastrowid
        self._database.executemany(
            "INSERT INTO shares VALUES (?, ?, ?, ?)",
            ((row, position, source, share) for position, (source, share) in enumerate(shares)),
        )
        self._database.executemany(
            "INSERT INTO metrics VALUES (?, ?, ?)", ((row, name, value) for name, value in metrics)
        )
        documents = {name: np.asarray(nats, dtype="<f8").tobytes() for name, nats in run.documents.items()}
        self._database.executemany(
            "INSERT INTO documents VALUES (?, ?, ?, ?)",
            ((row, name, nats, document_digest(run.key, name, nats)) for name, nats in documents.items()),
        )
        return True

    def _seconds(self, rows: str, values: Sequence[Any]) -> dict[tuple[str, str], float]:
        found = {}
        query = f"SELECT key, stage, seconds, digest FROM timings {rows}"
        for key, stage, seconds, written in self._database.execute(query, values):
            self._compare(timing_digest(key, stage, seconds), written, f"time of run {key}")
            found[key, stage] = seconds
        return found

    def _compare(self, found: str, written: str, what: str) -> None:
        if found != written:
            raise StoreError(damaged(self.path, f"the {what} is not what was written"))

    def _read(self, condition: str, values: Sequence[Any]) -> list[Run]:
        """Runs by a condition on their table. Call it inside a transaction, so that all parts agree."""
        rows = self._database.execute(
            f"SELECT run_id, {RUN_COLUMNS}, digest FROM runs WHERE {condition} ORDER BY key", values
        ).fetchall()
        chosen = f"FROM runs JOIN {{}} USING (run_id) WHERE {condition}"
        shares: dict[int, list[tuple[str, float]]] = {row[0]: [] for row in rows}
        for row, source, share in self._database.execute(
            f"SELECT run_id, source, share {chosen.format('shares')} ORDER BY run_id, position", values
        ):
            shares[row].append((source, share))
        metrics: dict[int, list[tuple[str, float]]] = {row[0]: [] for row in rows}
        for row, name, value in self._database.execute(
            f"SELECT run_id, name, value {chosen.format('metrics')} ORDER BY run_id, name", values
        ):
            metrics[row].append((name, value))
        return [self._run(row[1:-1], shares[row[0]], metrics[row[0]], row[-1]) for row in rows]

    def _run(
        self,
        row: Sequence[Any],
        shares: list[tuple[str, float]],
        metrics: list[tuple[str, float]],
        written: str,
    ) -> Run:
        key, kind, role, estimand, params, tokens, seed, flops, status, error, details = row
        self._compare(run_digest(row, shares, metrics), written, f"run {key}")
        return Run(
            key, kind, role, estimand, Mixture.of(dict(shares)), params, tokens, seed,
            dict(metrics), flops, status, error, json.loads(details),
        )  # fmt: skip


def _with_details(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return (*row[:-1], json.loads(row[-1]))


def _contradiction(path: Path, known: Run, run: Run) -> str:
    if run.status == "failed":
        return f"run {run.key!r} is finished in {path}; a failure cannot replace it"
    old, new = known.content(), run.content()
    differing = [f"{name} {old[name]!r} is not {new[name]!r}" for name in old if old[name] != new[name]]
    return (
        f"run {run.key!r} is in {path} with another content: {'; '.join(differing)}. The same key must "
        "give the same result: something that determines it is missing from the key, or is not reproducible"
    )
