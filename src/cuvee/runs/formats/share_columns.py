"""Which columns of a table are shares, where their names leave it open: by what their rows sum to.

Tables of other tools call shares ``mixture.web``, ``weight_web`` or ``web_ratio``, and hold totals, settings
and labels beside them. A group of columns is believed if most of its rows sum to one.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from cuvee.errors import ConfigError
from cuvee.runs.formats.direction import named_direction
from cuvee.runs.formats.purpose import no_target
from cuvee.runs.formats.table import IMPORT_TOLERANCE, ROUNDING, Table
from cuvee.types import BoolArray, FloatArray

GROUPS = frozenset(
    {"w", "mixture", "mixtures", "mix", "weight", "weights", "proportion", "proportions", "prop", "ratio"}
    | {"ratios", "share", "shares", "frac", "fraction", "fractions", "train", "domain_weight"}
    | {"domain_weights", "data_weights", "data_mix", "mixture_weights", "mix_weights", "train_weights"}
    | {"train_domain_weights", "sampling_weights", "sampling_ratio", "data_mixture", "blend"}
)
"""Words before or behind the name of a source, by which tables mark a share."""
LABELS = frozenset(
    {
        "run_name",
        "status",
        "state",
        "wandb_run_id",
        "wandb_id",
        "wandb_name",
        "group",
        "created",
        "created_at",
    }
    | {
        "size",
        "size_label",
        "model_size",
        "n_params",
        "num_params",
        "host",
        "hostname",
        "user",
        "tags",
        "notes",
    }
    | {"url", "split", "set", "date", "timestamp", "sweep", "project", "entity", "commit", "path", "model"}
    | {"data_seed", "trainer_seed", "checkpoint", "experiment", "description", "comment", "config"}
)
"""Columns that are no source and no metric, whatever their cells hold."""

_PERCENT = re.compile(r"(\d+(?:[.]\d+)?) ?%")
_MOSTLY = 0.5
_EXACT = 1e-6


@dataclass(frozen=True)
class Found:
    """Columns of shares, with what was left out of them."""

    columns: Mapping[str, str]
    """Source of each column."""
    notes: tuple[str, ...] = ()


def is_label(table: Table, name: str) -> bool:
    """Whether a column is known as a label, or holds cells of which none is a number.

    Shares and scores such as ``60%`` are none: as labels they would be left out without a word.
    """
    if name.lower() in LABELS:
        return True
    return _holds_text(table, name) and not (in_percent(table, name) and not no_target(name))


def _holds_text(table: Table, name: str) -> bool:
    """Whether a column has cells, and none of them is a number."""
    cells = [row for row in range(len(table)) if table.text(row, name)]
    return bool(cells) and not any(_number(table, row, name) is not None for row in cells)


def in_percent(table: Table, name: str) -> bool:
    """Whether a column has cells, and all of them are such as ``60%``."""
    texts = [text for row in range(len(table)) if (text := table.text(row, name))]
    return bool(texts) and all(_PERCENT.fullmatch(text) for text in texts)


def sum_to_hundred(table: Table, names: Iterable[str], rows: Sequence[int] | None = None) -> bool:
    """Whether the cells are shares in percent: readers take them for shares, and refuse them by row."""
    values = _numbers(table, list(names), rows, in_percent=True) / 100.0
    return bool(values.size) and _mostly(_good(values.sum(axis=1), values), values)


def sum_to_one(
    table: Table, names: Iterable[str], rows: Sequence[int] | None = None, within: float = IMPORT_TOLERANCE
) -> bool:
    """Whether more than half of the rows that have any of these cells do."""
    values = _numbers(table, list(names), rows)
    return bool(values.size) and _mostly(_good(values.sum(axis=1), values, within), values)


def without_strangers(table: Table, columns: Mapping[str, str], rows: Sequence[int] | None = None) -> Found:
    """The shares among columns that hold more than shares: a total, a setting or a counter is left out.

    The columns are given back as they are where no such column explains why they do not sum to one.
    """
    columns = {name: source for name, source in columns.items() if not is_label(table, name)}
    found = without_total(table, columns, rows)
    rest = {n: s for n, s in found.columns.items() if not (no_target(s) or named_direction(s))}
    if len(rest) == len(found.columns):
        return found
    cleared = without_total(table, rest, rows)
    # A small setting hides in what a sum may be off by; the shares are those that need no such room.
    summed = sum_to_one(table, cleared.columns, rows) or sum_to_hundred(table, cleared.columns, rows)
    if not summed or sum_to_one(table, found.columns, rows, _EXACT):
        return found
    if sum_to_one(table, found.columns, rows) and not sum_to_one(table, cleared.columns, rows, _EXACT):
        return found
    return replace(cleared, notes=(*found.notes, *cleared.notes))


def without_total(table: Table, columns: Mapping[str, str], rows: Sequence[int] | None = None) -> Found:
    """The columns without one that is the sum of the others, if there is one."""
    names = list(columns)
    values = _numbers(table, names, rows)
    if len(names) < 3 or not values.size or _mostly(_good(values.sum(axis=1), values), values):
        return Found(columns)
    rest = values.sum(axis=1, keepdims=True) - values
    room = IMPORT_TOLERANCE + 1e-9
    alike = (
        (np.abs(rest - 1.0) <= room)
        & (np.abs(values - 1.0) <= room)
        & ~(values < -ROUNDING).any(axis=1, keepdims=True)
    )
    for place in np.flatnonzero(alike.sum(axis=0) > _MOSTLY * len(values)).tolist():
        note = f"{table.path}: the column {names[place]} is the sum of the others and was left out."
        return Found({name: columns[name] for name in names if name != names[place]}, (note,))
    return Found(columns)


def marked_groups(table: Table, rows: Sequence[int] | None = None) -> list[Found]:
    """The groups of columns such as ``weight_web`` that sum to one; else those in percent."""
    groups: dict[tuple[str, bool], dict[str, str]] = {}
    for name in table.names:
        for mark, source, before in _readings(name):
            groups.setdefault((mark, before), {})[name] = source
    found = [without_strangers(table, columns, rows) for columns in groups.values()]
    several = [one for one in found if len(one.columns) > 1]
    return [one for one in several if sum_to_one(table, one.columns, rows)] or [
        one for one in several if sum_to_hundred(table, one.columns, rows)
    ]


def may_be_share(name: str) -> bool:
    """Whether a word marks a name as that of a share."""
    return any(True for _ in _readings(name))


def _readings(name: str) -> Iterable[tuple[str, str, bool]]:
    """How a name may be read as a mark and a source: ``domain_weights_web`` in one way, the longest mark."""
    lower = name.lower()
    marks = sorted(GROUPS, key=len, reverse=True)
    for separator in "_- ./:":
        front = next((mark for mark in marks if lower.startswith(mark + separator)), "")
        if front and len(name) > len(front) + 1:
            yield front, name[len(front) + 1 :], True
        back = next((mark for mark in marks if lower.endswith(separator + mark)), "")
        if back and len(name) > len(back) + 1:
            yield back, name[: -len(back) - 1], False


def _numbers(
    table: Table, names: Sequence[str], rows: Sequence[int] | None, in_percent: bool = False
) -> FloatArray:
    """The cells [R, N] of the rows that have any: zero where empty, NaN where a cell is no number.

    ``60%`` is 60 where percent are looked for.
    """
    result = np.full((len(table) if rows is None else len(rows), len(names)), np.nan)
    filled = np.zeros(len(result), dtype=np.bool_)
    for place, name in enumerate(names):
        for at, row in enumerate(range(len(table)) if rows is None else rows):
            there = bool(table.text(row, name))
            filled[at] |= there
            value: float | None = 0.0
            if there:
                value = _percent(table, row, name) if in_percent else _number(table, row, name)
            result[at, place] = np.nan if value is None else value
    return result[filled]


def _good(sums: FloatArray, values: FloatArray, within: float = IMPORT_TOLERANCE) -> BoolArray:
    """Rows of numbers from zero on that sum to one; NaN is no number."""
    with np.errstate(invalid="ignore"):
        good: BoolArray = (np.abs(sums - 1.0) <= within) & (values >= -ROUNDING).all(axis=1)
    return good


def _mostly(good: BoolArray, values: FloatArray) -> bool:
    return bool(good.sum() > _MOSTLY * len(values))


def _percent(table: Table, row: int, name: str) -> float | None:
    match = _PERCENT.fullmatch(table.text(row, name))
    return float(match[1]) if match else _number(table, row, name)


def _number(table: Table, row: int, name: str) -> float | None:
    try:
        return table.number(row, name)
    except ConfigError:
        return None
