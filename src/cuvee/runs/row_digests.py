"""Digests of the rows of the run store: SQLite does not see a flipped bit of a number.

A row of ``runs`` has the digest of itself with its shares and metrics, a row of ``documents`` or ``timings``
that of itself. Stores of earlier versions get them when they are opened first, of what they hold then.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from cuvee.hashing import digest_bytes

RUN_COLUMNS = "key, kind, role, estimand, params, tokens, seed, flops, status, error, details"


def run_digest(row: Sequence[Any], shares: Iterable[Sequence[Any]], metrics: Iterable[Sequence[Any]]) -> str:
    """Of the ``RUN_COLUMNS`` of a run, its sources with shares in order, and its metrics by name."""
    return _digest(tuple(row), tuple(map(tuple, shares)), tuple(sorted(map(tuple, metrics), key=repr)))


def document_digest(key: str, evaluation: str, nats: bytes) -> str:
    """Of the losses of the documents of one evaluation under a run."""
    return _digest(key, evaluation, digest_bytes(nats) if isinstance(nats, bytes) else nats)


def timing_digest(key: str, stage: str, seconds: float) -> str:
    """Of the time spent on a stage of a run."""
    return _digest(key, stage, seconds)


def _digest(*values: Any) -> str:
    """By ``repr``: what a damaged row holds may be no JSON."""
    return digest_bytes(repr(values).encode("utf-8", "surrogatepass"))


def fill(connection: sqlite3.Connection) -> None:
    """Write the digests of all rows. Call it inside a transaction."""
    for run_id, *row in connection.execute(f"SELECT run_id, {RUN_COLUMNS} FROM runs").fetchall():
        shares = connection.execute(
            "SELECT source, share FROM shares WHERE run_id = ? ORDER BY position", (run_id,)
        )
        metrics = connection.execute("SELECT name, value FROM metrics WHERE run_id = ?", (run_id,))
        connection.execute(
            "UPDATE runs SET digest = ? WHERE run_id = ?", (run_digest(row, shares, metrics), run_id)
        )
    rows = connection.execute("SELECT run_id, key, evaluation, nats FROM runs JOIN documents USING (run_id)")
    for run_id, key, evaluation, nats in rows.fetchall():
        connection.execute(
            "UPDATE documents SET digest = ? WHERE run_id = ? AND evaluation = ?",
            (document_digest(key, evaluation, nats), run_id, evaluation),
        )
    for key, stage, seconds in connection.execute("SELECT key, stage, seconds FROM timings").fetchall():
        connection.execute(
            "UPDATE timings SET digest = ? WHERE key = ? AND stage = ?",
            (timing_digest(key, stage, seconds), key, stage),
        )
