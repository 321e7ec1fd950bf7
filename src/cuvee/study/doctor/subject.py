"""Subject: the files that the doctor examines, as written and as read, and what is asked of them (floor 7).

Letters of the shapes: ``R`` runs, ``S`` sources, ``E`` metrics.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np

from cuvee.errors import ConfigError, CuveeError
from cuvee.laws.interface import signs
from cuvee.mixture.region import Region
from cuvee.runs.formats.direction import Direction
from cuvee.runs.formats.interface import File
from cuvee.runs.formats.part import Part
from cuvee.runs.formats.table import Table
from cuvee.runs.imported import (
    ImportedTable,
    files_inside,
    format_of,
    import_runs,
    open_file,
    read_parts,
)
from cuvee.runs.observations import Observations
from cuvee.study.fit_folder import scales
from cuvee.study.question import Question
from cuvee.types import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Subject:
    """What there is to examine. Files that cannot be read are no exception here but part of the picture."""

    paths: tuple[Path, ...]
    """As they were given."""
    tables: tuple[Table, ...]
    """The tables with their cells as written, as far as they can be opened."""
    parts: tuple[Part, ...]
    """What each file tells, before it is joined, as far as it can be read."""
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

    @classmethod
    def read(
        cls,
        paths: Sequence[Path],
        where: Mapping[str, str] | None = None,
        lower: Sequence[str] = (),
        higher: Sequence[str] = (),
        question: Question | None = None,
        answer: Path | None = None,
    ) -> Self:
        """Open the files twice: as they are written, and as ``import_runs`` understands them."""
        files = _opened(paths)
        table, refusal = None, ""
        try:
            table = import_runs(paths).where(**(where or {}))
        except CuveeError as refused:
            refusal = str(refused)
        return cls(
            tuple(paths),
            tuple(file for file in files if isinstance(file, Table)),
            tuple(_parts(files)),
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
    def scales(self) -> dict[str, IntArray]:
        """The rows of each scale, in order of appearance."""
        return scales(self.all_runs.observations)

    @cached_property
    def one_scale(self) -> ImportedTable:
        """The rows of the scale that has most runs: those that ``cuvee fit`` takes."""
        return self.all_runs.select(max(self.scales.values(), key=len))

    @property
    def runs(self) -> Observations:
        """The runs of that scale."""
        return self.one_scale.observations

    @cached_property
    def directions(self) -> dict[str, Direction]:
        """Of the metrics whose direction is known from the files or was said."""
        said: dict[str, Direction] = {
            **dict.fromkeys(self.lower, "lower"),
            **dict.fromkeys(self.higher, "higher"),
        }
        known = {**self.all_runs.directions, **said}
        return {name: way for name, way in known.items() if name in self.runs.metrics}

    @cached_property
    def costs(self) -> FloatArray:
        """Metrics [R, E] turned so that lower is better, as far as the direction is known."""
        sign = [signs(self.directions.get(name, "lower")) for name in self.runs.metrics]
        costs: FloatArray = self.runs.values * np.array(sign)
        return costs

    @cached_property
    def repeated(self) -> tuple[IntArray, ...]:
        """Rows of equal mixture, told apart by their step if they have one; groups of two or more."""
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
    """The files that can be opened; the others are told by ``import_runs``."""
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
    """What each file tells, as far as the files of its format can be read."""
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
