"""Subject: the files that the doctor examines, as written and as read, and what is asked of them.

Letters of the shapes: ``R`` runs, ``S`` sources, ``E`` metrics.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np

from cuvee.errors import ConfigError, CuveeError
from cuvee.laws.interface import signs
from cuvee.mixture.region import Region
from cuvee.question.default_target import DefaultTarget
from cuvee.question.question import Question
from cuvee.question.run_scales import RunScales, ScaleGroup
from cuvee.question.said_directions import meant_by, said_directions
from cuvee.runs.formats.direction import Direction
from cuvee.runs.formats.interface import File
from cuvee.runs.formats.part import Part
from cuvee.runs.formats.table import Table
from cuvee.runs.imported import (
    ImportedTable,
    files_inside,
    format_of,
    open_file,
    open_files,
    read_parts,
    table_of,
)
from cuvee.runs.observations import Observations
from cuvee.types import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Subject:
    """What there is to examine. Files that cannot be read are no exception here but part of the picture."""

    paths: tuple[Path, ...]
    """As they were given."""
    tables: tuple[Table, ...]
    """The tables with their cells as written, as far as they can be opened."""
    parts: tuple[Part, ...]
    """The content of each file, before it is joined, as far as it can be read."""
    table: ImportedTable | None
    """The runs of all files, those rows that were chosen; None where they could not be read."""
    refusal: str = ""
    """Why they could not be read."""
    lower: tuple[str, ...] = ()
    """Metrics that are said to be better when lower."""
    higher: tuple[str, ...] = ()
    question: Question = field(default_factory=Question)
    """Bounds, token counts and caps of the mixture that is to be chosen."""
    answer: Path | None = None
    """A folder in which an earlier fit may lie."""
    metrics: tuple[str, ...] = ()
    """All metrics of the table where ``table`` holds those alone that are asked of."""
    texts: tuple[str, ...] = ()
    """Names of evaluations, where they are known; metrics may bear them."""

    @classmethod
    def read(
        cls,
        paths: Sequence[Path],
        where: Mapping[str, str] | None = None,
        lower: Sequence[str] = (),
        higher: Sequence[str] = (),
        question: Question | None = None,
        answer: Path | None = None,
        without: Sequence[str] = (),
    ) -> Self:
        """Read files as ``import_runs`` does; where it refuses them, as far as they can be understood."""
        table, refusal = None, ""
        notes: list[str] = []
        try:
            files = open_files(paths, notes)
            parts = read_parts(files)
            table = table_of(parts, notes).where(**(where or {})).without(without)
        except CuveeError as refused:
            refusal = str(refused)
            files = _opened(paths)
            parts = _parts(files)
        return cls(
            tuple(paths),
            tuple(file for file in files if isinstance(file, Table)),
            tuple(parts),
            table,
            refusal,
            tuple(lower),
            tuple(higher),
            question or Question(),
            answer,
        )

    @property
    def title(self) -> str:
        """The files, for findings that are of no single one."""
        return ", ".join(path.name for path in self.paths)

    @property
    def all_runs(self) -> ImportedTable:
        """The runs of all scales.

        Raises:
            ConfigError: they could not be read.
        """
        if self.table is None:
            raise ConfigError(self.refusal)
        return self.table

    @cached_property
    def scales(self) -> RunScales:
        """The scales of the table."""
        return RunScales(self.all_runs)

    @cached_property
    def scale(self) -> ScaleGroup:
        """The scale that ``cuvee fit`` takes."""
        return self.scales.chosen(self.question.target_tokens)

    @cached_property
    def one_scale(self) -> ImportedTable:
        """The rows of that scale."""
        return self.all_runs.select(self.scale.rows)

    @property
    def table_metrics(self) -> tuple[str, ...]:
        """The metrics of the table, whatever is asked."""
        return self.metrics or self.runs.metrics

    @property
    def runs(self) -> Observations:
        """The runs of that scale."""
        return self.one_scale.observations

    @property
    def named_texts(self) -> tuple[str, ...]:
        """Names of sources and evaluations, which are no words for counters."""
        return (*self.runs.sources, *self.texts)

    @cached_property
    def said(self) -> Mapping[str, Direction]:
        """What was said of directions, as far as it can be understood."""
        known = [
            [asked for asked in names if meant_by(asked, self.runs.metrics)]
            for names in (self.lower, self.higher)
        ]
        try:
            return said_directions(self.all_runs, *known)
        except ConfigError:
            return {}  # a check of its own says it

    @cached_property
    def directions(self) -> dict[str, Direction]:
        """Of the metrics whose direction is known from the files or was said."""
        known = {**self.all_runs.directions, **self.said}
        return {name: way for name, way in known.items() if name in self.runs.metrics}

    @cached_property
    def default(self) -> DefaultTarget:
        """The metrics that are improved where the question names none."""
        return DefaultTarget.of(self.runs, self.all_runs.members, self.texts)

    @cached_property
    def target(self) -> tuple[str, ...]:
        """The metrics that the target is made of."""
        named = [name for name, weight in self.question.weights.items() if weight > 0]
        return tuple(name for name in named or self.default.metrics if name in self.runs.metrics)

    @cached_property
    def weighed(self) -> dict[str, FloatArray]:
        """Metric of the target -> its values [R] as they are added up: weighted, perplexities by
        logarithm."""
        logs = () if self.question.weights else self.default.logarithms
        columns = {name: self.runs.metric(name) for name in self.target}
        return {
            name: self.question.weights.get(name, 1.0) * (np.log(values) if name in logs else values)
            for name, values in columns.items()
        }

    def asked(self) -> Self:
        """The same with those metrics alone that the question is about: its target, guards and front."""
        table = self.all_runs
        names = [
            n
            for n in table.observations.metrics
            if n in (*self.target, *self.question.guards, *self.question.front)
        ]
        columns = [table.observations.metric(name) for name in names]
        values = np.stack(columns, axis=1) if columns else np.zeros((len(table), 0))
        return replace(
            self,
            metrics=self.runs.metrics,
            table=replace(
                table,
                observations=replace(table.observations, metrics=tuple(names), values=values),
                directions={name: way for name, way in table.directions.items() if name in names},
                reasons={name: why for name, why in table.reasons.items() if name in names},
            ),
        )

    @cached_property
    def costs(self) -> FloatArray:
        """Metrics [R, E] turned so that lower is better, as far as the direction is known."""
        sign = [signs(self.directions.get(name, "lower")) for name in self.runs.metrics]
        costs: FloatArray = self.runs.values * np.array(sign)
        return costs

    @cached_property
    def repeated(self) -> tuple[IntArray, ...]:
        """Rows of equal mixture, kept apart by their step if they have one; groups of two or more."""
        steps = self.one_scale.labels.get("step", ("",) * len(self.runs))
        groups: dict[tuple[bytes, str, str], list[int]] = {}
        for row, shares in enumerate(np.round(self.runs.shares, 9)):
            groups.setdefault((shares.tobytes(), steps[row], self.runs.kind[row]), []).append(row)
        return tuple(np.array(rows, dtype=np.int64) for rows in groups.values() if len(rows) > 1)

    @cached_property
    def region(self) -> Region | None:
        """The mixtures that may be chosen; None where no mixture may, or the question cannot be read."""
        try:
            return self.question.region(self.runs.sources)
        except CuveeError:
            return None


def _opened(paths: Sequence[Path]) -> list[File]:
    """The files that can be opened; ``import_runs`` names the others."""
    inside: dict[Path, None] = {}
    for path in paths:
        inside |= dict.fromkeys(files_inside(path) if path.is_dir() else [path])
    files: list[File] = []
    for path in inside:
        try:
            files.append(open_file(path))
        except CuveeError:
            continue
    return files


def _parts(files: Sequence[File]) -> list[Part]:
    """The content of each file, as far as the files of its format can be read."""
    by_format: dict[str, list[File]] = {}
    for file in files:
        if known := format_of(file):
            by_format.setdefault(known.name, []).append(file)
    parts: list[Part] = []
    for same in by_format.values():
        try:
            parts += read_parts(same)
        except CuveeError:
            continue
    return parts
