"""RegMix: a table of mixtures and a table of losses, joined by ``index`` within their set.

Mixtures have columns ``train_<source>``, rounded to three decimals; losses ``metric/<source>_val_loss``.
An index is the number of a run within one set of runs, and counts from the start in every set, so tables
of different sets must not be joined. What is left of a file's name without the words for its content is
taken for the name of its set: ``train_mixture_1m.csv`` and ``train_pile_loss_1m.csv`` are both of the set
``train_1m``.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from cuvee.errors import ConfigError
from cuvee.runs.formats.direction import KnownDirection
from cuvee.runs.formats.interface import File, Format
from cuvee.runs.formats.marks import size_of_file
from cuvee.runs.formats.part import Columns, Part, read_table
from cuvee.runs.formats.table import Table

INDEX = "index"
RUNS = ("run", "run_id", "run_name")
"""Columns that name a run better than a number does: such a table is none of RegMix."""
SHARE_PREFIX = "train_"
METRIC_PREFIX = "metric/"
LOSS_ENDING = "_loss"

_CONTENT_WORDS = frozenset(
    {"mixture", "mixtures", "mix", "config", "pile", "loss", "losses", "metric", "metrics", "wandb"}
)
_TELLING_WORD = re.compile(r"train|test|val|valid|validation|\d+[kmb]")
_SPLIT_WORD = re.compile(r"train|test|val|valid|validation")
_LOSS = KnownDirection("lower", "RegMix writes validation losses")


def recognises(file: File) -> bool:
    """Whether runs are known by ``index`` alone, and there is a column of shares or of losses."""
    return (
        isinstance(file, Table)
        and INDEX in file.names
        and file.column(*RUNS) is None
        and bool(_shares(file) or _metrics(file))
    )


def is_of_regmix(table: Table) -> bool:
    """Whether a table has RegMix's own columns of shares or losses, and not just names that end in loss."""
    return INDEX in table.names and table.column(*RUNS) is None and bool(_shares(table))


def share_columns(table: Table) -> Mapping[str, str]:
    """Source of each column of shares."""
    return _shares(table)


def read(files: Sequence[File]) -> list[Part]:
    """Each table as a part; its runs are called ``<set>_<index>``.

    Raises:
        ConfigError: a table of mixtures without its losses or the reverse.
    """
    given = [file for file in files if isinstance(file, Table)]
    mixtures = [table for table in given if _shares(table)]
    losses = [table for table in given if not _shares(table)]
    sets = {table.path: _set_of(table) for table in given}
    notes: dict[Table, str] = {}
    if len(mixtures) == len(losses) == 1:
        mixture, loss = mixtures[0], losses[0]
        mine, theirs = sets[mixture.path], sets[loss.path]
        if _telling(mine) - _telling(theirs) and _telling(theirs) - _telling(mine):
            raise ConfigError(
                f"{mixture.path} is of the set {mine}, {loss.path} of {theirs}: the same index means other"
                " runs there; give the two tables of one set"
            )
        if mine != theirs:
            notes[mixture] = (
                f"{mixture.path} and {loss.path} were joined by index; their names do not confirm it."
            )
        sets[loss.path] = mine
    elif mixtures and losses:
        _check_pairs(mixtures, losses, sets)
    return [_read(table, sets[table.path], notes.get(table)) for table in given]


def _check_pairs(mixtures: Sequence[Table], losses: Sequence[Table], sets: Mapping[Path, str]) -> None:
    for these, those, missing in ((mixtures, losses, "losses"), (losses, mixtures, "mixtures")):
        there = [sets[table.path] for table in those if not _metrics_inside(table)]
        for table in these:
            if _metrics_inside(table):
                continue
            if (count := there.count(sets[table.path])) != 1:
                raise ConfigError(
                    f"{table.path} is of the set {sets[table.path] or 'without a name'}, and {count} of the"
                    f" tables of {missing} are; give one table of mixtures and one of losses for each set,"
                    " with its name in both file names (train_mixture_1m.csv, train_pile_loss_1m.csv)"
                )


def _metrics_inside(table: Table) -> bool:
    """Shares and losses in one table need no other."""
    return bool(_shares(table) and _metrics(table))


def _read(table: Table, name: str, note: str | None) -> Part:
    indices = [table.name(row, INDEX) for row in range(len(table))]
    if "" in indices:
        raise table.wrong(indices.index(""), f"{INDEX} is empty; mixtures and losses are joined by it")
    metrics = _metrics(table)
    return read_table(
        table,
        Columns(_shares(table), metrics, (("index", INDEX),), frozenset({INDEX})),
        REGMIX.name,
        keys=[f"{name}_{_plain(index)}" if name else "" for index in indices],
        key="set",
        directions=dict.fromkeys((m for m in metrics.values() if m.endswith(LOSS_ENDING)), _LOSS),
        notes=[note] if note else [],
        by_name=_labels_of(name),
    )


def _shares(table: Table) -> dict[str, str]:
    return {
        name: name.removeprefix(SHARE_PREFIX)
        for name in table.names
        if name.startswith(SHARE_PREFIX) and name != SHARE_PREFIX and not name.endswith(LOSS_ENDING)
    }


def _metrics(table: Table) -> dict[str, str]:
    return {
        name: name.removeprefix(METRIC_PREFIX)
        for name in table.names
        if name != METRIC_PREFIX and (name.startswith(METRIC_PREFIX) or name.endswith(LOSS_ENDING))
    }


def _set_of(table: Table) -> str:
    words = [word for word in re.split(r"[_\W]+", table.path.stem.lower()) if word]
    size = size_of_file(table.path)
    return "_".join(
        w for w in (*words, *([size] if size not in words else [])) if w and w not in _CONTENT_WORDS
    )


def _labels_of(name: str) -> dict[str, str]:
    """Labels that the name of a set gives its runs: their size and split, and whatever else it says."""
    words = [word for word in name.split("_") if word]
    splits = [word for word in words if _SPLIT_WORD.fullmatch(word)]
    others = [word for word in words if not _TELLING_WORD.fullmatch(word)]
    labels = {"split": "_".join(splits), "set": "_".join(others)}
    return {label: text for label, text in labels.items() if text}


def _telling(name: str) -> set[str]:
    return {word for word in name.split("_") if _TELLING_WORD.fullmatch(word)}


def _plain(index: str) -> str:
    """``1.0``, as pandas writes an integer beside missing cells, is 1."""
    return index.removesuffix(".0")


REGMIX = Format(
    name="regmix",
    looks_for="a column index, then train_<source> or metric/<source>_val_loss",
    recognises=recognises,
    read=read,
    share_columns=share_columns,
)
