"""Olmix: ``ratios.csv`` and ``metrics.csv``, joined by the id of the run (floor 3).

Both have a column ``run`` (or ``run_id``), perhaps ``name``, ``index`` and an unnamed counter; then one
column a leaf (``source:topic:quality``), or one a metric. Which of the two a file is, its name tells
(``ratios``, ``metrics``), or else its rows: those of shares sum to one.
"""

import re
from collections.abc import Sequence

from cuvee.errors import ConfigError
from cuvee.runs.formats.interface import File, Format
from cuvee.runs.formats.part import FACTS, Columns, Part, read_table
from cuvee.runs.formats.table import IMPORT_TOLERANCE, Table

RUN_COLUMNS = ("run", "run_id")
OTHER_KEYS = ("name", "index")
SHARE_WORDS = frozenset({"ratio", "ratios", "mixture", "mixtures", "mix"})
METRIC_WORDS = frozenset({"metric", "metrics", "eval", "evals", "loss", "losses", "results"})


def recognises(file: File) -> bool:
    """Whether there is a column ``run`` or ``run_id``, and other columns than keys."""
    return isinstance(file, Table) and file.column(*RUN_COLUMNS) is not None and bool(_values(file))


def read(files: Sequence[File]) -> list[Part]:
    """Each table as a part of shares or of metrics."""
    return [_read(file) for file in files if isinstance(file, Table)]


def _read(table: Table) -> Part:
    run = table.column(*RUN_COLUMNS) or ""
    for row in range(len(table)):
        if not table.text(row, run):
            raise table.wrong(row, f"{run} is empty; ratios and metrics are joined by it")
    values = {name: name for name in _values(table)}
    shares = _tells_shares(table, list(values))
    name = table.column("name")
    return read_table(
        table,
        Columns(
            shares=values if shares else {},
            metrics={} if shares else values,
            # Metrics are joined by the id alone; a file of another program may know a run by its name.
            names=(run, name) if shares and name else (run,),
            understood=frozenset(OTHER_KEYS),
        ),
        OLMIX.name,
    )


def _values(table: Table) -> list[str]:
    keys = {*RUN_COLUMNS, *OTHER_KEYS, *FACTS, "step"}
    return [n for n in table.names if n and n.lower() not in keys and not n.startswith("Unnamed:")]


def _tells_shares(table: Table, names: list[str]) -> bool:
    words = set(re.findall("[a-z]+", table.path.stem.lower()))
    if bool(words & SHARE_WORDS) != bool(words & METRIC_WORDS):
        return bool(words & SHARE_WORDS)
    return 2 * sum(_sums_to_one(table, row, names) for row in range(len(table))) > len(table)


def _sums_to_one(table: Table, row: int, names: list[str]) -> bool:
    try:
        values = [table.number(row, name) or 0.0 for name in names]
    except ConfigError:
        return False
    return min(values) >= 0.0 and abs(sum(values) - 1.0) <= IMPORT_TOLERANCE


OLMIX = Format(
    name="olmix",
    looks_for="a column run or run_id, then one of each source (ratios.csv) or each metric (metrics.csv)",
    recognises=recognises,
    read=read,
)
