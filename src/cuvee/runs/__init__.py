"""What was measured: observations as arrays, runs as records, the store that keeps them."""

from cuvee.runs.imported import ImportedTable, import_runs
from cuvee.runs.key import RunKey
from cuvee.runs.observations import KINDS, Observations
from cuvee.runs.run import Run, observations_of, runs_of
from cuvee.runs.schema import MIGRATIONS, Migration
from cuvee.runs.store import RunStore, SourceRecord, UnitRecord

__all__ = [
    "KINDS",
    "MIGRATIONS",
    "ImportedTable",
    "Migration",
    "Observations",
    "Run",
    "RunKey",
    "RunStore",
    "SourceRecord",
    "UnitRecord",
    "import_runs",
    "observations_of",
    "runs_of",
]
