"""Runs: a table of runs read, of one scale, with the metrics that count where nobody names any."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from cuvee.errors import ConfigError
from cuvee.question.default_target import DefaultTarget, logarithm
from cuvee.question.question import Question
from cuvee.question.run_scales import RunScales
from cuvee.question.said_directions import said_directions
from cuvee.question.wording import OPTIONS, Wording
from cuvee.runs.formats.direction import Direction
from cuvee.runs.formats.part import listed
from cuvee.runs.formats.tidy import BY_DEFINITION
from cuvee.runs.imported import ImportedTable, import_runs
from cuvee.runs.observations import Observations

_NAMES_SHOWN = 6


@dataclass(frozen=True, eq=False)
class Runs:
    """Runs that were read, ready to be asked."""

    observations: Observations
    directions: Mapping[str, Direction]
    name: str
    """How the table is called in the answer."""
    notes: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    """What stands first in every answer: the scale that was chosen."""
    left_out: str = ""
    """What stands first where the default target is taken: the metrics that are left out of it."""
    assumed: tuple[str, ...] = ()
    """Metrics that count as losses since nothing says what they are."""
    target: tuple[str, ...] | None = None
    """The metrics that are improved where nobody names any; none: all."""
    unfit: Mapping[str, str] = field(default_factory=dict)
    """Metrics of the table that nothing can be learnt of, each with the reason; they are no observations."""
    wording: Wording = OPTIONS
    """How whoever asks says directions and targets."""


def read_runs(
    paths: Sequence[Path],
    where: Mapping[str, str],
    lower: Sequence[str] = (),
    higher: Sequence[str] = (),
    target_tokens: float = math.nan,
) -> Runs:
    """Read tables of other tools, choose rows, and keep one scale (``run_scales.py``).

    Args:
        paths: files or folders, see ``import_runs``.
        where: column -> value of the rows to keep.
        lower: metrics that are better when lower, where the table does not say; patterns, or ``all``.
        higher: see ``lower``.
        target_tokens: of the run that the mixture is for; NaN where unknown.

    Raises:
        ConfigError: a table cannot be read, or no row is left; a metric is unknown or named as both.
    """
    return one_scale(import_runs(paths).where(**where), paths, lower, higher, target_tokens)


def one_scale(
    table: ImportedTable,
    paths: Sequence[Path],
    lower: Sequence[str] = (),
    higher: Sequence[str] = (),
    target_tokens: float = math.nan,
    wording: Wording = OPTIONS,
    texts: Sequence[str] = (),
) -> Runs:
    """The runs of the one scale of a table that laws are fitted at, with their default target.

    Args:
        table: rows that were read and chosen.
        paths: where they were read.
        lower: see ``read_runs``; so are the others.
        wording: how directions and targets are said.
        texts: names of evaluations, where they are known.

    Raises:
        ConfigError: a metric is unknown or named as both.
    """
    scales = RunScales(table)
    chosen = scales.chosen(target_tokens)
    runs = _with_target(table.select(chosen.rows), paths, lower, higher, wording, texts)
    sentence = scales.sentence(chosen, target_tokens)
    return replace(runs, warnings=(sentence,) if sentence else ())


def every_scale(
    table: ImportedTable, paths: Sequence[Path], lower: Sequence[str] = (), higher: Sequence[str] = ()
) -> Runs:
    """The runs of all scales of a table, for a law that knows sizes; see ``one_scale``."""
    return _with_target(table, paths, lower, higher)


def _with_target(
    table: ImportedTable,
    paths: Sequence[Path],
    lower: Sequence[str],
    higher: Sequence[str],
    wording: Wording = OPTIONS,
    texts: Sequence[str] = (),
) -> Runs:
    """Runs with the metrics that count where nobody names any."""
    runs = runs_of(table, paths, {}, lower, higher)
    default = DefaultTarget.of(runs.observations, table.members, texts)
    return replace(
        runs,
        observations=_fit_to_learn(runs.observations, default),
        directions={**runs.directions, **dict.fromkeys(map(logarithm, default.logarithms), "lower")},
        left_out=default.sentence(wording),
        target=tuple(logarithm(one) if one in default.logarithms else one for one in default.metrics),
        unfit=default.unfit,
        wording=wording,
    )


def runs_of(
    table: ImportedTable,
    paths: Sequence[Path],
    where: Mapping[str, str],
    lower: Sequence[str] = (),
    higher: Sequence[str] = (),
) -> Runs:
    """The runs of a table, of all scales, that are to be used.

    Args:
        table: what was read.
        paths: where, which gives the runs their name.
        where: see ``read_runs``; so are the others.

    Raises:
        ConfigError: no row is left; a metric is unknown or named as both.
    """
    table = table.where(**where)
    said = said_directions(table, lower, higher)
    return Runs(
        table.observations,
        {**table.directions, **said},
        ", ".join(path.name for path in paths),
        (*table.notes, *_understood(table, said)),
        assumed=tuple(
            name for name, why in table.reasons.items() if why == BY_DEFINITION.reason and name not in said
        ),
    )


def _fit_to_learn(runs: Observations, default: DefaultTarget) -> Observations:
    """The runs with the logarithms that the default target takes, without metrics that say nothing."""
    kept = [name for name in runs.metrics if name not in default.unfit]
    values = [runs.metric(name) for name in kept] + [np.log(runs.metric(one)) for one in default.logarithms]
    return replace(
        runs,
        metrics=(*kept, *map(logarithm, default.logarithms)),
        values=np.stack(values, axis=1) if values else np.zeros((len(runs), 0)),
    )


def checked_directions(runs: Runs, question: Question) -> Question:
    """The question with the direction of every metric that matters, and the default target if it has none.

    Raises:
        ConfigError: one is not known, or nothing can be learnt of one.
    """
    for name in (*question.weights, *question.guards, *question.front):
        if name in runs.unfit:
            raise ConfigError(f"nothing can be learnt of metric {name!r}: {runs.unfit[name]}")
    if not question.weights and (runs.target == () or runs.target not in (None, runs.observations.metrics)):
        question = replace(question, weights=dict.fromkeys(_needed(runs), 1.0))
    target = question.target(runs.observations.metrics)
    matters = [
        name for name, weight in target.items() if weight > 0 or name in (*question.guards, *question.front)
    ]
    if unknown := [name for name in matters if name not in runs.directions]:
        raise ConfigError(
            f"whether {unknown[0]!r} is better lower or higher does not follow from the table"
            f"{f' ({len(unknown)} such metrics)' if len(unknown) > 1 else ''}; "
            f"{runs.wording.direction(unknown[0])}"
        )
    known = {name: way for name, way in runs.directions.items() if name in runs.observations.metrics}
    return replace(question, directions=known)


def _understood(table: ImportedTable, asked: Mapping[str, Direction]) -> tuple[str, ...]:
    """Which metrics are better how, for which reason, where nobody said it."""
    groups: dict[tuple[str, str], list[str]] = {}
    for name, way in table.directions.items():
        if name not in asked:
            groups.setdefault((way, table.reasons.get(name, "")), []).append(name)
    return tuple(
        f"Better when {way}{f' ({reason})' if reason else ''}: {listed(names, _NAMES_SHOWN)}."
        for (way, reason), names in groups.items()
    )


def _needed(runs: Runs) -> tuple[str, ...]:
    if not runs.target:
        raise ConfigError(f"{runs.name} has no metric to choose a mixture by. {runs.left_out}")
    return runs.target or ()
