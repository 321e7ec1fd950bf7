"""Weights & Biases: the CSV export of a table of runs (floor 3).

The export has a column ``State`` and ``Name`` or ``ID``, then configuration and summary of every run side
by side, with nothing to tell one from the other. Shares are the columns of a group such as ``mixture.web``,
``weights/web`` or ``train.web`` that sum to one. Metrics are columns under ``eval/``, ``val/`` and the like,
and those whose name has an unmistakable word such as ``loss``. All others are labels. Runs that did not
finish are left out and told.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from cuvee.errors import ConfigError
from cuvee.runs.formats.direction import named_direction
from cuvee.runs.formats.interface import File, Format
from cuvee.runs.formats.part import FACTS, Columns, Part, listed, needs_rows, read_table
from cuvee.runs.formats.table import IMPORT_TOLERANCE, Table

FINISHED = "finished"
STATES = frozenset(
    {FINISHED, "crashed", "failed", "killed", "running", "pending", "preempted", "preempting", "stopped"}
)
SHARE_GROUPS = frozenset(
    {"w", "mixture", "mix", "mixture_weights", "weights", "train_weights", "domain_weights", "data_weights"}
    | {"train_domain_weights", "proportions", "ratios", "shares", "train"}
)
"""Last word before the separator in the name of a column of shares."""

_WEAK_GROUPS = frozenset({"train"})  # train/loss is no share: such a group is believed if it sums to one
_METRIC_GROUP = re.compile(r"(eval|evaluation|val|valid|validation|test|metrics?|downstream|benchmarks?)/.+")
_LAST = re.compile(r"(?P<prefix>(?:.*[./])?(?P<group>[^./:]+)(?P<separator>[./:]))(?P<name>.+)")


def recognises(file: File) -> bool:
    """Whether there is a column of states of runs, and one of names or ids."""
    if not isinstance(file, Table) or file.column("name", "id") is None:
        return False
    state = file.column("state")
    return state is not None and {file.text(row, state).lower() for row in range(len(file))} <= STATES


def read(files: Sequence[File]) -> list[Part]:
    """Each export as a part."""
    return [_read(file) for file in files if isinstance(file, Table)]


def _read(table: Table) -> Part:
    names = tuple(name for name in (table.column("id"), table.column("name")) if name)
    state = table.column("state") or ""
    states = [table.text(row, state).lower() for row in range(len(table))]
    finished = [row for row, told in enumerate(states) if told == FINISHED]
    notes = []
    if len(finished) < len(table):
        left = [row for row in range(len(table)) if row not in set(finished)]
        counts = Counter(states[row] for row in left)
        notes.append(
            f"{table.path}: {len(left)} of {len(table)} runs did not finish"
            f" ({', '.join(f'{count} {told}' for told, count in sorted(counts.items()))}) and were left out:"
            f" {listed([table.text(row, names[-1]) or f'row {row + 1}' for row in left])}."
        )
    shares = _shares(table, finished)
    metrics = {name: name for name in table.names if name not in shares and _is_metric(table, name, finished)}
    understood = frozenset(name for name in (state, *names) if name)
    part = read_table(
        table, Columns(shares, metrics, names, understood), WANDB.name, rows=finished, notes=notes
    )
    return needs_rows(part, table.path)


def _shares(table: Table, rows: Sequence[int]) -> dict[str, str]:
    """The source of each column of the one group that is a mixture; empty if there is none."""
    groups: dict[str, dict[str, str]] = {}
    strong = set()
    for name in table.names:
        match = _LAST.fullmatch(name)
        if match and match["group"].lower() in SHARE_GROUPS and named_direction(name) is None:
            groups.setdefault(match["prefix"], {})[name] = match["name"]
            if match["group"].lower() not in _WEAK_GROUPS:
                strong.add(match["prefix"])
    sure = [prefix for prefix, columns in groups.items() if _sum_to_one(table, rows, columns)]
    # A group that is called mixture is one, though its rows be wrong: they will be told.
    found = sure or sorted(strong)
    if len(found) > 1:
        raise ConfigError(
            f"{table.path} has several groups of columns that may be the mixture: {', '.join(found)}; remove"
            " all but one from the export"
        )
    return groups[found[0]] if found else {}


def _sum_to_one(table: Table, rows: Sequence[int], columns: Mapping[str, str]) -> bool:
    """Whether more than half of the rows do."""
    good = 0
    for row in rows:
        try:
            values = [table.number(row, name) or 0.0 for name in columns]
        except ConfigError:
            continue
        good += min(values) >= 0.0 and abs(sum(values) - 1.0) <= IMPORT_TOLERANCE
    return 2 * good > len(rows)


def _is_metric(table: Table, name: str, rows: Sequence[int]) -> bool:
    if name.lower() in FACTS or name.startswith("_"):
        return False
    if named_direction(name) is None and not _METRIC_GROUP.fullmatch(name.lower()):
        return False
    # A setting may have such a name too: loss: cross_entropy.
    return any(_is_number(table, row, name) for row in rows)


def _is_number(table: Table, row: int, name: str) -> bool:
    try:
        return table.number(row, name) is not None
    except ConfigError:
        return False


WANDB = Format(
    name="wandb",
    looks_for="the columns State and Name or ID of a Weights & Biases export (CSV)",
    recognises=recognises,
    read=read,
)
