"""Tables of somebody else's runs, read as observations of kind ``imported``.

``import_runs`` opens files, finds out which format each is of (``formats/registry.py``), and joins what
they hold. Every row keeps its other columns as labels, by which rows can be chosen.
"""

import difflib
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

import numpy as np

from cuvee.errors import ConfigError
from cuvee.hashing import digest
from cuvee.quantities import agreeing, counted
from cuvee.runs.formats.direction import Direction
from cuvee.runs.formats.document import JsonFile
from cuvee.runs.formats.interface import File, Format
from cuvee.runs.formats.joined import join
from cuvee.runs.formats.part import Part, Row, listed
from cuvee.runs.formats.registry import FORMATS
from cuvee.runs.formats.table import PARQUET_SUFFIXES, Table
from cuvee.runs.observations import CONDITIONS, Observations, accepted_values
from cuvee.runs.run import Run, observations_of
from cuvee.types import BoolArray, IntArray

_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)([.][0-9]*)?(e[+-]?[0-9]+)?")

JSON_SUFFIX = ".json"
TABLE_SUFFIXES = (".csv", *PARQUET_SUFFIXES)


@dataclass(frozen=True)
class ImportedTable:
    """What was read, and what had to be mended or left out.

    Raises:
        ConfigError: labels of another length, or directions of metrics that are not there.
    """

    observations: Observations
    """The rows in the order of the file of shares."""
    directions: Mapping[str, Direction] = field(default_factory=dict)
    """Of the metrics whose direction is known; the others must be asked for."""
    reasons: Mapping[str, str] = field(default_factory=dict)
    """Why each direction is known, a short clause."""
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Other columns as text, by row [R]; empty where a cell is empty."""
    format: str = "tidy"
    """Names of the formats that were read, joined by plus signs."""
    notes: tuple[str, ...] = ()
    """Sentences on what was mended, joined and left out."""
    ignored: tuple[str, ...] = ()
    """Columns that were not understood; they are labels."""
    renormalised: int = 0
    """Rows whose shares did not sum to one within 1e-6 and were divided by their sum."""
    runs: tuple[str, ...] = ()
    """The run that each row is of [R], with its size and seed; rows at several points are of one run."""
    members: Mapping[str, str] = field(default_factory=dict)
    """Metric -> the metric of the group that it is counted in, where a file names groups."""

    def __post_init__(self) -> None:
        if not self.runs:
            object.__setattr__(self, "runs", ("",) * len(self.observations))
        if len(self.runs) != len(self.observations):
            raise ConfigError(f"{len(self.runs)} runs are named for {len(self.observations)} observations")
        for name, column in self.labels.items():
            if len(column) != len(self.observations):
                raise ConfigError(
                    f"label {name!r} has {len(column)} rows for {len(self.observations)} observations"
                )
        if set(self.directions) != set(self.reasons) or not set(self.directions) <= set(
            self.observations.metrics
        ):
            raise ConfigError("directions and reasons must be of the same metrics of the table")
        for name in ("directions", "reasons", "labels", "members"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

    def __len__(self) -> int:
        return len(self.observations)

    def __reduce__(self) -> tuple[Any, ...]:
        # Through the constructor: read-only mappings cannot be pickled.
        fields = (dict(self.directions), dict(self.reasons), dict(self.labels))
        return type(self), (
            self.observations,
            *fields,
            self.format,
            self.notes,
            self.ignored,
            self.renormalised,
            self.runs,
            dict(self.members),
        )

    @property
    def unknown(self) -> tuple[str, ...]:
        """The metrics whose direction is not known, in their order."""
        return tuple(name for name in self.observations.metrics if name not in self.directions)

    def select(self, rows: BoolArray | IntArray | Sequence[int] | Sequence[bool]) -> Self:
        """The rows of a mask [R] or of indices, in the order of the indices, with their labels."""
        index = np.asarray(rows)
        chosen = self.observations.select(index)
        places = np.flatnonzero(index) if index.dtype == np.bool_ else index.astype(np.int64)
        labels = {name: tuple(column[int(p)] for p in places) for name, column in self.labels.items()}
        runs = tuple(self.runs[int(p)] for p in places)
        return replace(self, observations=chosen, labels=labels, runs=runs)

    def where(self, /, **conditions: Any) -> Self:
        """The rows whose label or column has the given value, or one of them for a list, tuple or set.

        Columns are those of ``Observations.where``; a label of the same name comes first. Numbers are
        compared as numbers: ``table.where(split="train", step=1000)`` finds the cell ``1000.0``.

        Raises:
            ConfigError: no such column, or no row has the value; the message names the values there are.
        """
        mask = np.ones(len(self), dtype=np.bool_)
        for name, wanted in conditions.items():
            column = self._column(name)
            accepted = {_comparable(value) for value in accepted_values(wanted)}
            hit = mask & np.array([_comparable(value) in accepted for value in column], dtype=np.bool_)
            if not hit.any():
                there = list(dict.fromkeys(str(column[row]) for row in np.flatnonzero(mask).tolist()))
                raise ConfigError(f"no row has {name} = {wanted}; there are: {listed(there, 8)}")
            mask = hit
        return self.select(mask)

    def without(self, runs: Sequence[str]) -> Self:
        """The rows but those of some runs, which are named in the notes.

        Raises:
            ConfigError: no such run, or no other one.
        """
        keys, gone = self.observations.keys, list(dict.fromkeys(runs))
        if not gone:
            return self
        if unknown := [name for name in gone if name not in keys]:
            near = difflib.get_close_matches(unknown[0], keys, n=3)
            hint = (
                f"did you mean {' or '.join(map(repr, near))}?" if near else f"there are: {listed(keys, 8)}"
            )
            raise ConfigError(f"no run {unknown[0]!r} to leave out; {hint}")
        if len(gone) == len(self):
            raise ConfigError("all runs are left out; keep some")
        kept = self.select([place for place, key in enumerate(keys) if key not in gone])
        return replace(kept, notes=(*self.notes, f"Left out as asked: {listed(gone, 8)}."))

    def _column(self, name: str) -> Sequence[Any]:
        if name in self.labels:
            return self.labels[name]
        if name not in CONDITIONS:
            known = ", ".join(dict.fromkeys((*self.labels, *CONDITIONS)))
            raise ConfigError(f"rows cannot be chosen by {name!r}; there are: {known}")
        column = getattr(self.observations, "keys" if name == "key" else name)
        return list(column.tolist() if isinstance(column, np.ndarray) else column)


def import_runs(
    paths: Sequence[Path], *, role: str = "imported", estimand: str = "equal_budget"
) -> ImportedTable:
    """Read runs done elsewhere: mixtures and metrics, together in one file or apart.

    The format of each file is recognised by its columns or keys, never by its name alone. An empty share is
    zero, an empty metric is not measured. A run without a name is named by a hash of its content, so that
    importing a table twice adds nothing to a store.

    Args:
        paths: CSV, Parquet (``.parquet``, ``.pq``) and JSON (``.json``) files, or folders of them.
        role: role of rows that name none.
        estimand: estimand of rows that name none.

    Raises:
        ConfigError: a file or a cell cannot be read, a file is of no known format, or its counterpart is
            missing; the message names file, column and row (the first row after the header is row 1).
    """
    notes: list[str] = []
    return table_of(read_parts(open_files(paths, notes)), notes, role=role, estimand=estimand)


def table_of(
    parts: Sequence[Part],
    notes: Sequence[str] = (),
    *,
    role: str = "imported",
    estimand: str = "equal_budget",
) -> ImportedTable:
    """The runs of parts that were read.

    Args:
        parts: the content of each file.
        notes: sentences that stand before those of the parts.
        role: see ``import_runs``; so is ``estimand``.

    Raises:
        ConfigError: shares or metrics are missing, or runs do not match.
    """
    joined = join(parts)
    runs = _runs(joined.rows, role, estimand)
    names = dict.fromkeys(name for row in joined.rows for name in row.labels)
    return ImportedTable(
        observations=observations_of(runs, sources=joined.sources, metrics=joined.metrics),
        directions={name: known.direction for name, known in joined.directions.items()},
        reasons={name: known.reason for name, known in joined.directions.items()},
        labels={name: tuple(row.labels.get(name, "") for row in joined.rows) for name in names},
        format="+".join(dict.fromkeys(part.format for part in parts)),
        notes=(*notes, *joined.notes),
        ignored=tuple(dict.fromkeys(name for part in parts for name in part.ignored)),
        renormalised=sum(part.renormalised for part in parts),
        runs=tuple(row.run or (row.names[0] if row.names else "") for row in joined.rows),
        members={member: group for part in parts for member, group in part.members.items()},
    )


def read_parts(files: Sequence[File]) -> list[Part]:
    """The content of each file, before it is joined, by the first format that recognises it.

    Raises:
        ConfigError: a file is of no known format, or a cell cannot be read.
    """
    by_format: dict[str, list[File]] = {}
    for file in files:
        known = format_of(file)
        if known is None:
            raise _unrecognised(file)
        by_format.setdefault(known.name, []).append(file)
    return [
        part for known in FORMATS if known.name in by_format for part in known.read(by_format[known.name])
    ]


def format_of(file: File) -> Format | None:
    """The first format that recognises a file."""
    return next((known for known in FORMATS if known.recognises(file)), None)


def open_files(paths: Sequence[Path], notes: list[str]) -> list[File]:
    """The files, and those of folders in the order of their names; notes get what was passed over.

    Raises:
        ConfigError: none is given, or one cannot be read.
    """
    if not paths:
        raise ConfigError("no file of runs was given; give at least one table or folder")
    files: list[File] = []
    seen: set[Path] = set()
    for path in paths:
        folder = path.is_dir()
        inside = files_inside(path) if folder else []
        if folder and not inside:
            raise ConfigError(f"{path} has no CSV, Parquet or JSON file")
        passed_over = []
        for one in inside if folder else [path]:
            if one.resolve() in seen:
                continue
            seen.add(one.resolve())
            file = open_file(one)
            # A folder may hold other JSON, such as the configuration of a model.
            if folder and isinstance(file, JsonFile) and not any(known.recognises(file) for known in FORMATS):
                passed_over.append(one.name)
            else:
                files.append(file)
        if passed_over:
            notes.append(
                f"{path}: {counted(len(passed_over), 'JSON file')} of no known format "
                f"{agreeing(len(passed_over), 'was', 'were')} passed over:"
                f" {listed(passed_over)}."
            )
    if not files:
        raise ConfigError(
            f"{listed([str(path) for path in paths], 3)}: no file is of a known format. {_looked_for()}"
        )
    return files


def open_file(path: Path) -> File:
    """A JSON document or a table, by its suffix.

    Raises:
        ConfigError: it cannot be read.
    """
    if path.exists() and not path.is_file():
        raise ConfigError(f"{path} is no regular file; give files, not pipes or devices")
    return JsonFile.read(path) if path.suffix.lower() == JSON_SUFFIX else Table.read(path)


def files_inside(folder: Path) -> list[Path]:
    """Files that may hold runs, at any depth but not in hidden places, in the order of their names."""
    suffixes = (JSON_SUFFIX, *TABLE_SUFFIXES)
    found = (path for path in folder.rglob("*") if path.suffix.lower() in suffixes and not path.is_dir())
    return sorted(p for p in found if not any(part.startswith(".") for part in p.relative_to(folder).parts))


def _unrecognised(file: File) -> ConfigError:
    if isinstance(file, JsonFile):
        has = f"the keys {listed(list(file.content), 12)}" if file.content else "no object with keys"
    else:
        has = f"the columns {listed([name or '(unnamed)' for name in file.names], 12)}"
    return ConfigError(f"{file.path} is of no known format. It has {has}. {_looked_for()}")


def _looked_for() -> str:
    return "Looked for: " + "; ".join(f"{known.name}: {known.looks_for}" for known in FORMATS) + "."


def _runs(rows: Sequence[Row], role: str, estimand: str) -> list[Run]:
    copies: Counter[str] = Counter()
    runs = []
    for row in rows:
        assert row.mixture is not None  # join keeps only such
        facts = {"role": role, "estimand": estimand, "seed": 0, "params": None, "tokens": None, "flops": None}
        facts |= row.facts
        if row.names:
            key = row.names[0]
        else:
            content = digest([row.mixture.as_dict(), dict(row.metrics), facts])
            copies[content] += 1  # replicates may agree in all columns
            key = content if copies[content] == 1 else f"{content}-{copies[content]}"
        try:
            fields: dict[str, Any] = dict(facts)
            runs.append(
                Run(key=key, kind="imported", mixture=row.mixture, metrics=dict(row.metrics), **fields)
            )
        except ConfigError as error:
            raise ConfigError(f"{row.where}: {error}") from error
    return runs


def _comparable(value: Any) -> float | str:
    """Numbers as numbers, so that 1000 is 1000.0; everything else, such as an id 007, as text."""
    text = str(value)
    number = float(text) if _NUMBER.fullmatch(text) else math.inf
    return number if math.isfinite(number) else text
