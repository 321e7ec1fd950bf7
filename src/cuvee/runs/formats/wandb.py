"""Weights & Biases: the CSV export of a table of runs.

The export has a column ``State`` and ``Name`` or ``ID``, then configuration and summary of every run side by
side, with nothing to tell one from the other. Shares are the columns of a group such as ``mixture.web``,
``weights/web``, ``mixture_web`` or ``train.web`` that sum to one. Metrics are columns under ``eval/``,
``val/`` and the like, and those whose name has an unmistakable word such as ``loss``. All others are labels.
Runs that did not finish are left out and named. The data frame of W&B's own recipe (``summary``, ``config``,
``name``) is read too.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from cuvee.errors import ConfigError
from cuvee.quantities import agreeing, counted
from cuvee.runs.formats.dictionaries import OPENED
from cuvee.runs.formats.direction import named_direction
from cuvee.runs.formats.interface import File, Format
from cuvee.runs.formats.marks import IDENTITY
from cuvee.runs.formats.part import FACTS, Columns, Part, listed, needs_rows, read_table
from cuvee.runs.formats.share_columns import (
    GROUPS,
    Found,
    in_percent,
    is_label,
    marked_groups,
    sum_to_hundred,
    sum_to_one,
    without_strangers,
)
from cuvee.runs.formats.table import Table

FINISHED = "finished"
STATES = frozenset(
    {FINISHED, "crashed", "failed", "killed", "running", "pending", "preempted", "preempting", "stopped"}
)
_STRONG_GROUPS = frozenset(
    {"w", "mixture", "mix", "mixture_weights", "weights", "train_weights", "domain_weights", "data_weights"}
    | {"train_domain_weights", "proportions", "ratios", "shares"}
)
"""Groups that are mixtures though their rows be wrong: errors name them. Others must sum to one."""

_METRIC_GROUP = re.compile(
    r"(eval|evaluation|val|valid|validation|test|metrics?|downstream|benchmarks?)[/_.].+"
)
_LAST = re.compile(r"(?P<prefix>(?:.*[./])?(?P<group>[^./:]+)(?P<separator>[./:]))(?P<name>.+)")


def recognises(file: File) -> bool:
    """Whether there is a column of states of runs, and one of names or ids."""
    if not isinstance(file, Table) or file.column("name", "id") is None:
        return False
    state = file.column("state")
    if state is None:  # W&B's own recipe writes no states
        return set(OPENED) <= set(file.opened)
    return {file.text(row, state).lower() for row in range(len(file))} <= STATES


def read(files: Sequence[File]) -> list[Part]:
    """Each export as a part."""
    return [_read(file) for file in files if isinstance(file, Table)]


def _read(table: Table) -> Part:
    wanted = {"id": table.column("id"), "name": table.column("name")}
    names = tuple((key, name) for key, name in wanted.items() if name)
    state, states = table.column("state") or "", _states(table)
    finished = [row for row, one in enumerate(states) if one == FINISHED]
    notes = []
    if len(finished) < len(table):
        left = [row for row in range(len(table)) if row not in set(finished)]
        counts = Counter(states[row] for row in left)
        notes.append(
            f"{table.path}: {len(left)} of {counted(len(table), 'run')} did not finish"
            f" ({', '.join(f'{count} {one}' for one, count in sorted(counts.items()))}) and "
            f"{agreeing(len(left), 'was', 'were')} left out:"
            f" {listed([table.text(row, names[-1][1]) or f'row {row + 1}' for row in left])}."
        )
    found = _shares(table, finished)
    shares, notes = found.columns, [*notes, *found.notes]
    metrics = {name: name for name in table.names if name not in shares and _is_metric(table, name, finished)}
    understood = frozenset(name for name in (state, *(name for _, name in names)) if name)
    columns = Columns(shares, metrics, names, understood)
    try:
        part = read_table(table, columns, WANDB.name, rows=finished, notes=notes)
    except ConfigError as error:
        if "is already in row" in str(error) and table.column("id") is None:
            raise ConfigError(f"{error}, or export the column ID too") from error
        raise
    rows = tuple(
        replace(row, marks={**row.marks, IDENTITY: row.by["id"][0]} if "id" in row.by else row.marks)
        for row in part.rows
    )
    return needs_rows(replace(part, rows=rows), table.path)


def share_columns(table: Table) -> Mapping[str, str]:
    """Source of each column of shares, by the runs that finished."""
    rows = [row for row, one in enumerate(_states(table)) if one == FINISHED]
    return _shares(table, rows).columns


def _states(table: Table) -> list[str]:
    state = table.column("state")
    return [table.text(row, state).lower() if state else FINISHED for row in range(len(table))]


def _shares(table: Table, rows: Sequence[int]) -> Found:
    """The columns of the one group that is a mixture; empty if there is none."""
    groups: dict[str, dict[str, str]] = {}
    strong = set()
    for name in table.names:
        match = _LAST.fullmatch(name)
        if match and match["group"].lower() in GROUPS and named_direction(name) is None:
            groups.setdefault(match["prefix"], {})[name] = match["name"]
            if match["group"].lower() in _STRONG_GROUPS:
                strong.add(match["prefix"])
    found = {prefix: without_strangers(table, columns, rows) for prefix, columns in groups.items()}
    flat: list[Found] = []
    sure = [prefix for prefix, one in found.items() if sum_to_one(table, one.columns, rows)]
    if not sure:
        flat = marked_groups(table, rows)
    if not sure and not flat:
        sure = [prefix for prefix, one in found.items() if sum_to_hundred(table, one.columns, rows)]
    chosen = sure or ([] if flat else sorted(strong))
    if len(chosen) > 1 or (not chosen and len(flat) > 1):
        names = chosen or [next(iter(one.columns)) for one in flat]
        raise ConfigError(
            f"{table.path} has several groups of columns that may be the mixture: {', '.join(names)}; remove"
            " all but one from the export"
        )
    return found[chosen[0]] if chosen else next(iter(flat), Found({}))


def _is_metric(table: Table, name: str, rows: Sequence[int]) -> bool:
    if name.lower() in FACTS or name.startswith("_") or is_label(table, name):
        return False
    if named_direction(name) is None and not _METRIC_GROUP.fullmatch(name.lower()):
        return False
    # A setting may have such a name too: loss: cross_entropy.
    return in_percent(table, name) or any(_is_number(table, row, name) for row in rows)


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
    share_columns=share_columns,
)
