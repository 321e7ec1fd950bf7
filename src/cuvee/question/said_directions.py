"""Directions that the user says of metrics: by name, by pattern, or of all.

A name says it of one metric, and of that whatever the files say. A pattern (``quiz*``) stands behind names,
and ``all`` (or ``*``) behind patterns: it is for the metrics of which nothing is known, and turns no metric
around whose name or file gives its direction.
"""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from cuvee.errors import ConfigError
from cuvee.runs.formats.direction import Direction
from cuvee.runs.formats.tidy import BY_DEFINITION
from cuvee.runs.imported import ImportedTable

ALL = ("all", "*")
_WILD = frozenset("*?[")


def said_directions(
    table: ImportedTable, lower: Sequence[str], higher: Sequence[str]
) -> Mapping[str, Direction]:
    """The metrics of which something is said, and what.

    Raises:
        ConfigError: a name or pattern is of no metric, or one says the opposite of another.
    """
    metrics = table.observations.metrics
    sure = {name for name in table.directions if table.reasons.get(name) != BY_DEFINITION.reason}
    said: dict[str, tuple[int, Direction]] = {}
    for way, names in (("lower", lower), ("higher", higher)):
        for asked in names:
            meant = meant_by(asked, metrics)
            if not meant:
                raise ConfigError(f"no metric {asked!r} in the table; there are: {', '.join(metrics)}")
            for name, rank in meant:
                if rank == 0 and name in sure:
                    continue
                before = said.get(name, (-1, way))
                if rank == before[0] and before[1] != way:
                    raise ConfigError(
                        f"metric {name!r} is named as better when lower and as better when higher"
                    )
                if rank > before[0]:
                    said[name] = (rank, "lower" if way == "lower" else "higher")
    return {name: way for name, (_, way) in said.items()}


def meant_by(asked: str, metrics: Sequence[str]) -> list[tuple[str, int]]:
    """The metrics that are meant, and how particularly: 2 by name, 1 by pattern, 0 as all; empty for none."""
    if asked in metrics:
        return [(asked, 2)]
    if asked in ALL:
        return [(name, 0) for name in metrics]
    return [(name, 1) for name in metrics if _WILD & set(asked) and fnmatchcase(name, asked)]
