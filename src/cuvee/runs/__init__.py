"""What was measured: observations as arrays, runs as records, the store that keeps them (floor 3)."""

from cuvee.runs.catalogue import Catalogue, SourceContent
from cuvee.runs.evidence_gap import EvidenceGap, what_must_run
from cuvee.runs.imported import ImportedTable, import_runs
from cuvee.runs.key import RunKey
from cuvee.runs.observations import KINDS, Observations
from cuvee.runs.reduced_space import ReducedSpace
from cuvee.runs.remapped import Remapped, apply
from cuvee.runs.run import Run, observations_of, runs_of
from cuvee.runs.schema import MIGRATIONS, Migration
from cuvee.runs.source_changes import AddSource, DropSource, MergeSources, SplitSource
from cuvee.runs.store import RunStore, SourceRecord, UnitRecord

__all__ = [
    "KINDS",
    "MIGRATIONS",
    "AddSource",
    "Catalogue",
    "DropSource",
    "EvidenceGap",
    "ImportedTable",
    "MergeSources",
    "Migration",
    "Observations",
    "ReducedSpace",
    "Remapped",
    "Run",
    "RunKey",
    "RunStore",
    "SourceContent",
    "SourceRecord",
    "SplitSource",
    "UnitRecord",
    "apply",
    "import_runs",
    "observations_of",
    "runs_of",
    "what_must_run",
]
