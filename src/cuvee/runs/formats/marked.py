"""Marked columns: shares that a word at their names marks, ``weight_web`` or ``web_share``.

Metrics are the columns whose name says so (``web_loss``, ``mmlu_acc``); every other one is a label. A group
of marked columns is believed if most of its rows sum to one.
"""

from collections.abc import Mapping, Sequence

from cuvee.errors import ConfigError
from cuvee.runs.formats import regmix
from cuvee.runs.formats.direction import may_be_score, named_direction
from cuvee.runs.formats.interface import File, Format
from cuvee.runs.formats.olmix import RUN_COLUMNS, names_of
from cuvee.runs.formats.part import FACTS, Columns, Part, read_table
from cuvee.runs.formats.purpose import no_target
from cuvee.runs.formats.share_columns import Found, is_label, marked_groups
from cuvee.runs.formats.table import Table


def recognises(file: File) -> bool:
    """Whether there are two or more columns of one mark that sum to one; RegMix has its own mark."""
    if not isinstance(file, Table) or regmix.is_of_regmix(file):
        return False
    return bool(marked_groups(file))


def read(files: Sequence[File]) -> list[Part]:
    """Each table as a part of shares, and of the metrics beside them."""
    return [_read(file) for file in files if isinstance(file, Table)]


def share_columns(table: Table) -> Mapping[str, str]:
    """Source of each column of shares."""
    return _shares(table).columns


def _read(table: Table) -> Part:
    shares = _shares(table)
    metrics = {name: name for name in table.names if name not in shares.columns and _is_metric(table, name)}
    return read_table(
        table,
        Columns(shares.columns, metrics, names_of(table), frozenset(RUN_COLUMNS)),
        MARKED.name,
        notes=shares.notes,
    )


def _shares(table: Table) -> Found:
    found = marked_groups(table)
    if len(found) > 1:
        names = ", ".join(next(iter(one.columns)) for one in found)
        raise ConfigError(
            f"{table.path} has several groups of columns that may be the mixture, such as {names}; remove all"
            " but one, or call shares w:<source>"
        )
    return next(iter(found), Found({}))


def _is_metric(table: Table, name: str) -> bool:
    if not name or name.lower() in FACTS or is_label(table, name):
        return False
    return bool(named_direction(name) or (may_be_score(name) and not no_target(name)))


MARKED = Format(
    name="marked",
    looks_for="columns weight_<source>, <source>_share or the like that sum to one, and <name>_loss",
    recognises=recognises,
    read=read,
    share_columns=share_columns,
)
