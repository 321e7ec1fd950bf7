"""Marks: what tells several rows of one run apart: how far it was, how large, with which seeds.

A run that was evaluated on its way has a row for each *point* (a step, or a count of tokens); one mixture
trained at several sizes or with several seeds has a row for each. Only marks that rows of one name need go
into their keys: ``run00@500``, ``run00 seed 1``.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from cuvee.errors import ConfigError
from cuvee.quantities import size
from cuvee.runs.formats.columns import METRIC_PREFIX, SHARE_PREFIX
from cuvee.runs.formats.counts import POWERS, count
from cuvee.runs.formats.direction import named_direction, words_of
from cuvee.runs.formats.table import Table

POINT, SIZE = "point", "size"
SEEDS = ("seed", "data_seed", "trainer_seed")
IDENTITY = "id"
"""The id that another program gave to a run, where runs share a name."""
MARKS = (POINT, SIZE, *SEEDS, IDENTITY)
"""In the order in which they stand in a key."""

STEP_COLUMNS = ("step", "_step", "global_step", "trainer/global_step", "iteration", "checkpoint_step")
TOKEN_COLUMNS = ("tokens", "tokens_seen", "consumed_tokens", "n_tokens", "num_tokens")
SIZE_COLUMNS = ("params", "size", "size_label", "model_size", "parameters", "n_params", "num_params", "model")
_POINT_WORDS = frozenset(
    {
        "step",
        "steps",
        "tokens",
        "epoch",
        "epochs",
        "iter",
        "iters",
        "iteration",
        "iterations",
        "checkpoint",
        "ckpt",
    }
)
_NO_POINT_WORDS = frozenset(
    {"per", "max", "total", "warmup", "unique", "interval", "every", "num", "size", "path"}
)
_SEED = re.compile(
    r"(?:.*[./:])?(?:(?:(?P<of>data|trainer)[_.-]?|(?:rng|random|model|init|train|global)[_.-])?seed"
    r"|replicate|replica|repeat|repetition|trial)"
)
_SIZE_IN_NAME = re.compile(r"(?<![a-z0-9.])(\d+(?:[.p]\d+)?[kmbt])(?![a-z0-9])")
_NUMBER = re.compile(r"(?P<digits>\d+(?:[.p]\d+)?)\s*(?P<unit>[kmbt]?)(?![a-z0-9])")


def size_of_file(path: Path) -> str:
    """The one size in a file's name, ``1m`` of ``train_mixture_1m.csv``, or else its folder's."""
    for name in (path.stem, path.absolute().parent.name):
        found = set(_SIZE_IN_NAME.findall(name.lower()))
        if found:
            return found.pop() if len(found) == 1 else ""
    return ""


def amount(text: str) -> float | None:
    """A size as a number: 3e7 for ``30M`` or ``size-30m``; none where there is none, or more than one."""
    if (number := _counted(text)) is not None:
        return number
    found = list(_NUMBER.finditer(text.lower()))
    found = [match for match in found if match["unit"]] or found  # the size of llama-3-8b is 8b
    if len(found) != 1:
        return None
    return float(f"{found[0]['digits'].replace('p', '.')}e{POWERS[found[0]['unit']]}")


def point_columns(names: Sequence[str]) -> tuple[str, ...]:
    """The columns that say how far a run was: a step before tokens, exact names before others."""
    ends = {name.lower().replace("/", ".").rpartition(".")[2]: name for name in reversed(list(names))}
    exact = [ends[one] for one in (*STEP_COLUMNS, *TOKEN_COLUMNS) if one in ends]
    others = [
        name
        for name in names
        if _POINT_WORDS & set(words_of(name))
        and not _NO_POINT_WORDS & set(words_of(name))
        and named_direction(name) is None
        and not name.startswith((SHARE_PREFIX, METRIC_PREFIX))
    ]
    return tuple(dict.fromkeys((*exact, *others)))


def mark_columns(table: Table) -> dict[str, tuple[str, ...]]:
    """Mark -> the columns that hold it, the best first."""
    seeds: dict[str, str] = {}
    for name in table.names:
        if match := _SEED.fullmatch(name.lower()):
            seeds.setdefault(f"{match['of']}_seed" if match["of"] else "seed", name)
    columns_of = {
        POINT: point_columns(table.names),
        SIZE: _there(table, SIZE_COLUMNS),
        **{seed: (name,) for seed, name in seeds.items()},
    }
    return {mark: columns for mark, columns in columns_of.items() if columns}


def marks_of(table: Table, row: int, columns: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """The marks of a row; a size may stand in the file's name alone."""
    marks = {}
    for mark, names in columns.items():
        if text := next(filter(None, (table.text(row, name) for name in names)), ""):
            marks[mark] = plain_size(text) if mark == SIZE else _plain(text)
    if SIZE not in marks and (named := size_of_file(table.path)):
        marks[SIZE] = plain_size(named)
    return marks


def needed(groups: Sequence[Sequence[Mapping[str, str]]]) -> tuple[str, ...]:
    """The marks that tell the rows of each group apart, as far as any does; points only where they must.

    Runs of several seeds end at steps of their own: they are no points of one curve.
    """
    alone = _telling(groups, [mark for mark in MARKS if mark != POINT])
    whole = all(len({_values_of(row, alone) for row in rows}) == len(rows) for rows in groups)
    return alone if whole else _telling(groups, MARKS)


def _telling(groups: Sequence[Sequence[Mapping[str, str]]], marks: Sequence[str]) -> tuple[str, ...]:
    chosen: tuple[str, ...] = ()
    for mark in marks:
        more = (*chosen, mark)
        if any(
            len({_values_of(row, more) for row in rows}) > len({_values_of(row, chosen) for row in rows})
            for rows in groups
        ):
            chosen = more
    return chosen


def _values_of(row: Mapping[str, str], marks: Sequence[str]) -> tuple[str, ...]:
    return tuple(row.get(mark, "") for mark in marks)


def key_of(name: str, marks: Mapping[str, str], needed: Sequence[str]) -> str:
    """The name of a row among those of its run."""
    at = f"@{marks[POINT]}" if POINT in needed and marks.get(POINT) else ""
    others = [f" {mark} {marks[mark]}" for mark in needed if mark != POINT and marks.get(mark)]
    return name + at + "".join(others)


def _there(table: Table, wanted: Sequence[str]) -> tuple[str, ...]:
    ends = {name.replace("/", ".").rpartition(".")[2].lower(): name for name in reversed(table.names)}
    found = (table.column(one) or ends.get(one) for one in wanted)
    return tuple(dict.fromkeys(name for name in found if name))


def plain_size(text: str) -> str:
    """``60m`` and ``60000000`` are 60M, so that two files agree on a size; other words stay."""
    value = _counted(text)
    if value is None:
        return text
    short = size(value)
    return short if _counted(short) == value else _plain(text)


def _plain(text: str) -> str:
    """``1000.0``, ``1e3`` and ``1k`` are 1000, so that two files agree on a step."""
    value = _counted(text)
    if value is None:
        return text
    return f"{value:.0f}" if value == value // 1 and abs(value) < 1e15 else repr(value)


def _counted(text: str) -> float | None:
    try:
        return count(text)
    except ConfigError:
        return None
