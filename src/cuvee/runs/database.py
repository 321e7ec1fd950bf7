"""The SQLite file under the run store: opening, schema, transactions, and errors in words."""

import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Literal

from cuvee.errors import SchemaError, StoreError
from cuvee.files import atomic_path
from cuvee.runs.schema import APPLICATION_ID, Migration, check_history

_RETRY_SECONDS = 0.02


class Database:
    """An open file whose schema is up to date.

    Args:
        path: the file; it is made, with its folders, if it does not exist.
        timeout: seconds to wait for another process that is writing.
        migrations: the history of the schema.

    Raises:
        SchemaError: the file has a later schema.
        StoreError: the file is something else, damaged or locked, or the disk is full.
    """

    def __init__(self, path: Path, timeout: float, migrations: Sequence[Migration]) -> None:
        check_history(migrations)
        self._path = path
        self._timeout = timeout
        with self.telling():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(path, timeout=timeout, isolation_level=None)
        try:
            with self.telling():
                self._open(migrations)
        except BaseException:
            self._connection.close()
            raise

    def close(self) -> None:
        """Close the file. Closing twice does nothing."""
        self._connection.close()

    def execute(self, sql: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        """Run one statement. Call it inside ``telling`` or ``transaction``."""
        return self._connection.execute(sql, values)

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run one statement for each row."""
        self._connection.executemany(sql, rows)

    def check(self) -> None:
        """Look at every page and index of the file; rows are compared with their digests when they are read.

        Raises:
            StoreError: they do not fit together.
        """
        with self.telling():
            (found,) = self.execute("PRAGMA integrity_check(1)").fetchone()
        if found != "ok":
            raise StoreError(damaged(self._path, found))

    @contextmanager
    def transaction(self, mode: Literal["IMMEDIATE", "DEFERRED"]) -> Iterator[None]:
        """All or nothing. IMMEDIATE takes the right to write at once; DEFERRED reads one state."""
        with self.telling():
            self._connection.execute(f"BEGIN {mode}")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:  # SQLite may have rolled back by itself
                    self._connection.execute("ROLLBACK")
                raise

    @contextmanager
    def telling(self) -> Iterator[None]:
        """Turn errors of SQLite and of the file system into ``StoreError`` s that say what to do."""
        try:
            yield
        except sqlite3.Error as error:
            raise StoreError(_explanation(self._path, self._timeout, error)) from error
        except (
            UnicodeDecodeError,
            OverflowError,
            MemoryError,
        ) as error:  # of what a damaged page seems to hold
            raise StoreError(damaged(self._path, str(error))) from error
        except OSError as error:
            raise StoreError(f"cannot use the run store {self._path}: {error.strerror or error}") from error

    def _open(self, migrations: Sequence[Migration]) -> None:
        version = self._version(migrations)
        # Full: a commit is on disk when it returns. A training run is worth the milliseconds.
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute("PRAGMA foreign_keys = ON")
        self._use_write_ahead_log()
        if version == len(migrations):
            return
        with self.transaction("IMMEDIATE"):
            version = self._version(migrations)  # another process may have been faster
            if 0 < version < len(migrations):
                self._keep_copy(version)
            if version == 0:
                self._connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            for migration in migrations[version:]:
                for statement in migration.statements():
                    self._connection.execute(statement)
                if migration.fill is not None:
                    migration.fill(self._connection)
                self._connection.execute(
                    "INSERT INTO migrations VALUES (?, ?)", (migration.version, migration.title)
                )

    def _version(self, migrations: Sequence[Migration]) -> int:
        # In this order: another process may fill a new file between the two.
        (objects,) = self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        (application,) = self._connection.execute("PRAGMA application_id").fetchone()
        if application == 0 and objects == 0:
            return 0
        if application != APPLICATION_ID:
            raise StoreError(
                f"{self._path} is an SQLite file, but not a run store of cuvee; give another path"
            )
        (version,) = self._connection.execute("SELECT max(version) FROM migrations").fetchone()
        if (version or 0) > len(migrations):
            raise SchemaError(
                f"{self._path} has schema version {version}, but this cuvee knows up to {len(migrations)}; "
                "use the newer cuvee that wrote it"
            )
        return int(version or 0)

    def _use_write_ahead_log(self) -> None:
        # SQLite does not wait by itself for other processes that open the same new file.
        deadline = time.monotonic() + self._timeout
        while True:
            try:
                self._connection.execute("PRAGMA journal_mode = WAL").fetchone()
                return
            except sqlite3.OperationalError as error:
                if _primary_code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(_RETRY_SECONDS)

    def _keep_copy(self, version: int) -> None:
        """Copy the file as it was last committed, beside it, before it is changed for good."""
        copy = self._path.with_name(f"{self._path.name}.version-{version}")
        with (
            atomic_path(copy) as temporary,
            closing(sqlite3.connect(self._path)) as source,
            closing(sqlite3.connect(temporary)) as target,
        ):
            source.backup(target)


def damaged(path: Path, what: str) -> str:
    """That a store cannot be trusted, and what to do."""
    return (
        f"the run store {path} is damaged, or is no SQLite file ({what}); restore it from a copy, or move it "
        "away to start a new one: what is trained stays, and is measured again"
    )


def _primary_code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _explanation(path: Path, timeout: float, error: sqlite3.Error) -> str:
    match _primary_code(error):
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return (
                f"the run store {path} was locked for {timeout:g} s by another process that writes to it; "
                "wait until it is done, or end it"
            )
        case sqlite3.SQLITE_FULL:
            return (
                f"no space left for the run store {path}; nothing of this was written. Free some and resume"
            )
        case sqlite3.SQLITE_IOERR:
            return (
                f"the disk refused to read or write the run store {path} ({error}); is it full, or failing?"
            )
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return damaged(path, str(error))
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
            return f"the run store {path} cannot be opened for writing ({error}); check its permissions"
    return f"the run store {path} refused: {error}"
