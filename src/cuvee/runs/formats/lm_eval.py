"""lm-evaluation-harness: a ``results_*.json`` for each run; metrics only.

``results`` has values by task, with names such as ``acc,none`` (metric, filter); they are called
``task/acc`` here, or ``task/exact_match,strict-match`` under a named filter. ``higher_is_better`` gives
their directions. Its name or one of its folders must name the run that a file is of, for instance
``evals/run-7/results_2026-01-05T10-00-00.json``; the shares of the runs come from another file.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cuvee.errors import ConfigError
from cuvee.runs.formats.columns import number as cell_number
from cuvee.runs.formats.direction import KnownDirection, named_direction
from cuvee.runs.formats.document import JsonFile
from cuvee.runs.formats.interface import File, Format
from cuvee.runs.formats.part import Part, Row, listed

RESULTS = "results"
HIGHER = "higher_is_better"
SAMPLES = "n-samples"
GROUPS = "group_subtasks"

_NO_METRIC = frozenset({"alias", "name", "samples", "sample_len", "sample_count", "version"})
_TIME = re.compile(r"[_-]?\d{4}-\d{2}-\d{2}T[\d.:-]+$")
_FOLDERS = 3  # how far above a file the name of its run may stand


def recognises(file: File) -> bool:
    """Whether there is an object ``results`` with an object for each task."""
    if not isinstance(file, JsonFile):
        return False
    tasks = file.object(RESULTS).values()
    return bool(tasks) and all(isinstance(values, dict) for values in tasks)


def read(files: Sequence[File]) -> list[Part]:
    """All files as one part of a row each, to be joined to the shares of other parts."""
    documents = [file for file in files if isinstance(file, JsonFile)]
    if not documents:
        return []
    rows: list[Row] = []
    directions: dict[str, KnownDirection] = {}
    unsure: set[str] = set()
    limited: list[str] = []
    for document in documents:
        metrics = {}
        for name, value, known in _measured(document):
            if value is not None:
                metrics[name] = value
            if known is not None and directions.setdefault(name, known).direction != known.direction:
                unsure.add(name)
        rows.append(Row(str(document.path), {"file": _names(document)}, None, metrics))
        limited += [f"{task} of {document.path.name}" for task in _limited(document)]
    notes = []
    if limited:
        notes.append(f"lm-evaluation-harness: measured on only some of the samples: {listed(limited)}.")
    if unsure:
        notes.append(f"lm-evaluation-harness: files disagree about what is better: {listed(sorted(unsure))}.")
    title = (
        str(documents[0].path)
        if len(documents) == 1
        else f"{len(documents)} results of lm-evaluation-harness"
    )
    return [
        Part(
            title=title,
            format=LM_EVAL.name,
            rows=tuple(rows),
            sources=(),
            metrics=tuple(dict.fromkeys(name for row in rows for name in row.metrics)),
            directions={name: known for name, known in directions.items() if name not in unsure},
            notes=tuple(notes),
            members=_members(documents),
        )
    ]


def _members(documents: Sequence[JsonFile]) -> dict[str, str]:
    """Metric of a subtask -> the same metric of the outermost group that was measured with it."""
    found: dict[str, str] = {}
    for document in documents:
        measured = {name for name, value, _ in _measured(document) if value is not None}
        groups = document.object(GROUPS)
        for group in groups:
            for inner in _inside(group, groups, ()):
                for name in measured:
                    task, _, metric = name.rpartition("/")
                    if task == inner and f"{group}/{metric}" in measured:
                        found[name] = f"{group}/{metric}"
    return {name: _outermost(name, found) for name in found}


def _inside(group: str, groups: Mapping[str, Any], above: tuple[str, ...]) -> Iterator[str]:
    """The subtasks of a group at any depth."""
    inner = groups.get(group)
    for name in inner if isinstance(inner, list) else ():
        if isinstance(name, str) and name not in (group, *above):
            yield name
            yield from _inside(name, groups, (*above, group))


def _outermost(name: str, found: Mapping[str, str]) -> str:
    seen = {name}
    while found.get(name, name) not in seen:
        name = found[name]
        seen.add(name)
    return name


def _measured(document: JsonFile) -> Iterator[tuple[str, float | None, KnownDirection | None]]:
    """Name, value and direction of everything measured; standard errors are not."""
    directions = document.object(HIGHER)
    for task, values in document.object(RESULTS).items():
        better = directions.get(task)
        for key, value in values.items():
            metric, _, filtered = key.partition(",")
            if metric in _NO_METRIC or metric.endswith("_stderr") or not metric:
                continue
            if isinstance(value, str) and value.strip() in ("", "N/A"):
                continue
            where = f"{document.path}, {RESULTS}, {task}, {key}"
            number = cell_number(value, where)
            if math.isinf(number):
                raise ConfigError(f"{where} is infinite; remove it if it was not measured")
            name = f"{task}/{metric}" + (f",{filtered}" if filtered not in ("", "none") else "")
            yield name, None if math.isnan(number) else number, _direction(better, metric, name)


def _direction(better: Any, metric: str, name: str) -> KnownDirection | None:
    higher = better.get(metric) if isinstance(better, dict) else None
    if isinstance(higher, bool):
        return KnownDirection(
            "higher" if higher else "lower", f"the file says higher_is_better {str(higher).lower()}"
        )
    return named_direction(name.rsplit("/", 1)[-1])


def _limited(document: JsonFile) -> Iterator[str]:
    for task, counts in document.object(SAMPLES).items():
        if isinstance(counts, dict) and counts.get("effective") != counts.get("original"):
            yield f"{task} ({counts.get('effective')} of {counts.get('original')})"


def _names(document: JsonFile) -> tuple[str, ...]:
    """What the run may be called, the most telling first: file, folders, model."""
    stem = _TIME.sub("", document.path.stem).removeprefix(RESULTS).strip("_-")
    folders = [folder.name for folder in list(document.path.absolute().parents)[:_FOLDERS]]
    models = [
        value
        for key in ("model_name", "model_name_sanitized")
        if isinstance(value := document.content.get(key), str)
    ]
    last = [Path(value).name for value in (*folders, *models) if value]
    # The harness writes the path /a/run-7 as the folder __a__run-7.
    unfolded = [value.rsplit("__", 1)[-1] for value in last if "__" in value]
    return tuple(dict.fromkeys(name for name in (stem, *last, *unfolded) if name))


LM_EVAL = Format(
    name="lm_eval",
    looks_for="a JSON object with results by task (lm-evaluation-harness)",
    recognises=recognises,
    read=read,
)
