"""Fit folder: a table of runs read, asked, and its answer on disk (floor 7).

    fit/runs.parquet      the runs that were used, as tidy table
    fit/question.json     what was asked
    fit/fit.json          the decision
    fit/law.json          formula, parameters and spread: enough to predict without cuvee
    fit/report.html       the page (written by ``report``)

Every file is written whole or not at all; runs and question first, so that whenever there is an answer it can
be asked for again. The question has the digest of the runs; it and the decision have one of themselves.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cuvee.errors import ConfigError
from cuvee.files import atomic_path, write_json
from cuvee.quantities import size
from cuvee.runs.formats.direction import Direction
from cuvee.runs.formats.part import listed
from cuvee.runs.imported import ImportedTable, import_runs
from cuvee.runs.observations import Observations
from cuvee.seal import FILES, damage, digests_of, read_sealed, write_sealed
from cuvee.study.decision_json import decode, encode
from cuvee.study.fit import Answer
from cuvee.study.law_decision import LawDecision
from cuvee.study.question import Question
from cuvee.types import IntArray

DECISION = "fit.json"
_NAMES_TOLD = 6
_RUNS, _QUESTION, _LAW = "runs.parquet", "question.json", "law.json"


@dataclass(frozen=True, eq=False)
class Runs:
    """Runs that were read, ready to be asked."""

    observations: Observations
    directions: Mapping[str, Direction]
    name: str
    """How the table is called in the answer."""
    notes: tuple[str, ...]


def read_runs(
    paths: Sequence[Path],
    where: Mapping[str, str],
    lower: Sequence[str] = (),
    higher: Sequence[str] = (),
) -> Runs:
    """Read tables of other tools, choose rows, and keep the scale with most runs.

    Args:
        paths: files or folders, see ``import_runs``.
        where: column -> value of the rows to keep.
        lower: metrics that are better when lower, where the table does not tell.
        higher: see ``lower``.

    Raises:
        ConfigError: a table cannot be read, or no row is left; a metric is unknown or named as both.
    """
    runs = runs_of(import_runs(paths), paths, where, lower, higher)
    observations, left_out = _one_scale(runs.observations)
    return replace(runs, observations=observations, notes=(*runs.notes, *left_out))


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
    asked: dict[str, Direction] = {**dict.fromkeys(lower, "lower"), **dict.fromkeys(higher, "higher")}
    if both := sorted(set(lower) & set(higher)):
        raise ConfigError(f"metric {both[0]!r} is named as better when lower and as better when higher")
    for name in asked:
        if name not in table.observations.metrics:
            known = ", ".join(table.observations.metrics)
            raise ConfigError(f"no metric {name!r} in the table; there are: {known}")
    return Runs(
        table.observations,
        {**table.directions, **asked},
        ", ".join(path.name for path in paths),
        (*table.notes, *_understood(table, asked)),
    )


def checked_directions(runs: Runs, question: Question) -> Question:
    """The question with the direction of every metric that matters.

    Raises:
        ConfigError: one is not known.
    """
    target = question.target(runs.observations.metrics)
    matters = [
        name for name, weight in target.items() if weight > 0 or name in (*question.guards, *question.front)
    ]
    if unknown := [name for name in matters if name not in runs.directions]:
        raise ConfigError(
            f"whether {unknown[0]!r} is better lower or higher cannot be told from the table"
            f"{f' ({len(unknown)} such metrics)' if len(unknown) > 1 else ''}; say --lower {unknown[0]!r} or "
            f"--higher {unknown[0]!r}, or choose metrics with --target"
        )
    known = {name: way for name, way in runs.directions.items() if name in runs.observations.metrics}
    return replace(question, directions=known)


def save(folder: Path, runs: Runs, question: Question, answer: Answer) -> None:
    """Write runs, question and answer."""
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_path(folder / _RUNS) as path:
        runs.observations.write_parquet(path)
    asked = {"table": runs.name, "notes": list(runs.notes), **encode(question)}
    write_sealed(folder / _QUESTION, asked | {FILES: digests_of(folder, (_RUNS,))})
    write_json(folder / _LAW, answer.surrogate.as_json())
    write_sealed(folder / DECISION, answer.decision.as_json())


def load(folder: Path) -> tuple[Runs, Question]:
    """What was asked in a folder.

    Raises:
        ConfigError: there is no fit in it, or a file is damaged (it is named).
    """
    for name in (_RUNS, _QUESTION):
        if not (folder / name).exists():
            raise ConfigError(f"{folder} holds no {name}; make it with `cuvee fit TABLE --out {folder}`")
    try:
        document = read_sealed(folder / _QUESTION)
        if wrong := damage(folder, document.pop(FILES, {}), (_RUNS,)):
            raise ConfigError(f"{folder}: {wrong}; run `cuvee fit` again")
        table, notes = str(document.pop("table")), tuple(map(str, document.pop("notes")))
    except (ValueError, KeyError, AttributeError) as error:
        raise ConfigError(f"{folder / _QUESTION} cannot be read ({error}); run `cuvee fit` again") from error
    question = decode(Question, document, str(folder / _QUESTION))
    runs = Runs(Observations.read_parquet(folder / _RUNS), question.directions, table, notes)
    return runs, question


def load_decision(folder: Path) -> LawDecision:
    """The decision of a folder.

    Raises:
        ConfigError: there is none, or it is damaged.
    """
    path = folder / DECISION if folder.is_dir() else folder
    try:
        return LawDecision.from_json(read_sealed(path))
    except FileNotFoundError as error:
        raise ConfigError(f"{path} does not exist; make it with `cuvee fit TABLE --out {folder}`") from error
    except ValueError as error:
        raise ConfigError(f"{path} cannot be read ({error}); run `cuvee fit` again") from error


def _understood(table: ImportedTable, asked: Mapping[str, Direction]) -> tuple[str, ...]:
    """Which metrics are better how, for which reason, where nobody said it."""
    groups: dict[tuple[str, str], list[str]] = {}
    for name, way in table.directions.items():
        if name not in asked:
            groups.setdefault((way, table.reasons.get(name, "")), []).append(name)
    return tuple(
        f"Better when {way}{f' ({reason})' if reason else ''}: {listed(names, _NAMES_TOLD)}."
        for (way, reason), names in groups.items()
    )


def scales(observations: Observations) -> dict[str, IntArray]:
    """The rows of each scale (parameters and tokens, in words), in order of appearance."""
    rows: dict[str, list[int]] = {}
    for row, (params, tokens) in enumerate(zip(observations.params, observations.tokens, strict=True)):
        rows.setdefault(f"{size(params)} parameters and {size(tokens)} tokens", []).append(row)
    return {scale: np.array(one, dtype=np.int64) for scale, one in rows.items()}


def _one_scale(observations: Observations) -> tuple[Observations, tuple[str, ...]]:
    """The rows of the scale with most runs, and a sentence on the others."""
    groups = scales(observations)
    if len(groups) <= 1:
        return observations, ()
    most = max(groups, key=lambda scale: len(groups[scale]))
    others = len(observations) - len(groups[most])
    return observations.select(groups[most]), (
        f"The table holds {len(groups)} scales; used are the {len(groups[most])} runs at {most}, left out "
        f"{others} at others. Choose another with --where params=... or tokens=...",
    )
