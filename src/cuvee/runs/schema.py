"""The tables of the run store, as a numbered history.

A store knows its version: the largest number in its table ``migrations``. Opening an older one
applies the steps it lacks, in one transaction, after a copy of the file was made. A step that has
been released is never changed; a new one is added after it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from sqlite3 import Connection, complete_statement

from cuvee.errors import ConfigError
from cuvee.runs.row_digests import fill

APPLICATION_ID = 0x63757665
"""Marks the file as a run store of cuvee ('cuve'), in the header SQLite keeps for this."""


@dataclass(frozen=True)
class Migration:
    """One step of the history."""

    version: int
    """1 for the first step, then one more for each."""
    title: str
    """What the step is for, in a few words."""
    sql: str
    """Its statements, separated by semicolons."""
    fill: Callable[[Connection], None] | None = None
    """What is written after them, where SQL cannot say it."""

    def statements(self) -> Iterator[str]:
        """The statements one by one, so that they can run inside one transaction.

        Raises:
            ConfigError: the last statement has no end.
        """
        pending = ""
        for line in self.sql.splitlines(keepends=True):
            pending += line
            if complete_statement(pending):
                yield pending
                pending = ""
        if pending.strip():
            raise ConfigError(f"migration {self.version} ends inside a statement: {pending.strip()[:80]!r}")


def check_history(migrations: Sequence[Migration]) -> None:
    """Refuse a history whose versions are not 1, 2, 3, ..."""
    versions = [migration.version for migration in migrations]
    if not versions or versions != list(range(1, len(versions) + 1)):
        raise ConfigError(f"versions of migrations must be 1, 2, 3, ...; they are {versions}")


# Comments inside the statements stay in the file: `sqlite3 store.sqlite .schema` shows them.
_FIRST = """
CREATE TABLE migrations (        -- the history of this file
  version INTEGER PRIMARY KEY,   -- number of the step
  title TEXT NOT NULL            -- what it was for
) STRICT;

CREATE TABLE sources (           -- named sets of documents
  name TEXT PRIMARY KEY,
  content_hash TEXT NOT NULL,    -- of the prepared tokens
  documents INTEGER NOT NULL,    -- after de-duplication, all parts together
  tokens INTEGER NOT NULL,
  bytes INTEGER NOT NULL,        -- UTF-8 bytes of the text
  details TEXT NOT NULL          -- JSON
) STRICT, WITHOUT ROWID;

CREATE TABLE units (             -- slices of sources, one pool model each
  name TEXT PRIMARY KEY,
  source TEXT NOT NULL REFERENCES sources (name),
  content_hash TEXT NOT NULL,
  documents INTEGER NOT NULL,
  tokens INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  details TEXT NOT NULL          -- JSON
) STRICT, WITHOUT ROWID;

CREATE TABLE runs (              -- everything that was run, done or failed
  run_id INTEGER PRIMARY KEY,
  key TEXT NOT NULL UNIQUE,      -- hash of all that determines the result
  kind TEXT NOT NULL,            -- trained, merged, ensembled, imported
  role TEXT NOT NULL,            -- seed, branch, candidate, reference, ...
  estimand TEXT NOT NULL,        -- equal_budget, union
  params INTEGER,                -- of the model; null if unknown
  tokens INTEGER,                -- trained on; null if unknown
  seed INTEGER NOT NULL,
  flops REAL,                    -- spent; null if unknown
  status TEXT NOT NULL CHECK (status IN ('done', 'failed')),
  error TEXT CHECK ((error IS NULL) = (status = 'done')),
  details TEXT NOT NULL          -- JSON
) STRICT;

CREATE INDEX runs_by_kind ON runs (kind, role);

CREATE TABLE shares (            -- the mixture of a run
  run_id INTEGER NOT NULL REFERENCES runs (run_id) ON DELETE CASCADE,
  position INTEGER NOT NULL,     -- order of the sources
  source TEXT NOT NULL,
  share REAL NOT NULL,           -- of the tokens
  PRIMARY KEY (run_id, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE metrics (           -- the results of a run
  run_id INTEGER NOT NULL REFERENCES runs (run_id) ON DELETE CASCADE,
  name TEXT NOT NULL,            -- with its unit
  value REAL NOT NULL,
  PRIMARY KEY (run_id, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE timings (           -- seconds measured; never part of exported observations
  key TEXT NOT NULL,             -- of the run, which need not be in this file
  stage TEXT NOT NULL,           -- training, evaluation, ...
  seconds REAL NOT NULL,         -- summed over all attempts
  PRIMARY KEY (key, stage)
) STRICT, WITHOUT ROWID;
"""

_DOCUMENTS = """
CREATE TABLE documents (         -- how much each document adds to a loss: errors come from these
  run_id INTEGER NOT NULL REFERENCES runs (run_id) ON DELETE CASCADE,
  evaluation TEXT NOT NULL,
  nats BLOB NOT NULL,            -- one sum a document, float64, little endian
  PRIMARY KEY (run_id, evaluation)
) STRICT, WITHOUT ROWID;
"""

_DIGESTS = """
ALTER TABLE runs ADD COLUMN digest TEXT;       -- of this row with its shares and metrics
ALTER TABLE documents ADD COLUMN digest TEXT;  -- of this row and the key of its run
ALTER TABLE timings ADD COLUMN digest TEXT;    -- of this row
"""

MIGRATIONS = (
    Migration(1, "first tables", _FIRST),
    Migration(2, "losses of documents", _DOCUMENTS),
    Migration(3, "digests of rows", _DIGESTS, fill),
)
"""The history of the schema."""
