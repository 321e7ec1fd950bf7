"""Scales of a table of runs, and the one that laws are fitted at.

A scale is what the files say of size and length: parameters, tokens, a size or a set in words, a step. Laws
of mixtures are fitted at one. Of several the largest is taken that nearly all runs reach, or the nearest to
the tokens of the target run. Several rows of one run at several points are a curve, of which the end counts.
The order of rows changes nothing.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cuvee.quantities import size
from cuvee.runs.formats.marks import SEEDS, SIZE_COLUMNS, amount, plain_size, point_columns
from cuvee.runs.formats.part import listed
from cuvee.runs.formats.purpose import no_target
from cuvee.runs.imported import ImportedTable
from cuvee.types import FloatArray, IntArray

NEARLY_ALL = 0.8
"""Share of the runs of the most populous scale that another must have to be preferred for its size."""
ALIKE = 1.02
"""Amounts that differ by no more than this factor are one scale: runs end at steps of their own."""

_SET = "set"


@dataclass(frozen=True, eq=False)
class ScaleGroup:
    """Rows of one size and length."""

    words: str
    """Such as ``60M parameters and 1B tokens``; empty where nothing is known of it."""
    rows: IntArray
    tokens: float
    """NaN where unknown."""
    order: tuple[float, ...]
    """Larger scales are larger."""

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True, eq=False)
class RunScales:
    """The scales of a table."""

    table: ImportedTable

    @cached_property
    def every(self) -> tuple[ScaleGroup, ...]:
        """All scales, the smallest first; each run stands once in each."""
        return self._scales(self._measured)

    @cached_property
    def curves(self) -> bool:
        """Some run has rows at several points."""
        return len(self._ends) < len(self._measured)

    def chosen(self, target_tokens: float = math.nan) -> ScaleGroup:
        """The scale that laws are fitted at.

        Args:
            target_tokens: of the run that the mixture is for; NaN where unknown.
        """
        scales = self.every
        most = max(len(scale) for scale in scales)
        if self.curves and most < NEARLY_ALL * self._runs_beside(scales):
            # No point is common to nearly all runs of its size: each counts at its own end.
            scales = self._scales(self._ends)
            most = max(len(scale) for scale in scales)
        near = [scale for scale in scales if len(scale) >= NEARLY_ALL * most]
        if math.isfinite(target_tokens) and all(scale.tokens > 0 for scale in near):
            return min(near, key=lambda s: (abs(math.log(s.tokens / target_tokens)), *(-x for x in s.order)))
        return max(near, key=lambda scale: (scale.order, len(scale), scale.words))

    def sentence(self, chosen: ScaleGroup, target_tokens: float = math.nan) -> str:
        """Which scale is used and what is left out; empty where there is but one."""
        if len(self.every) < 2:
            return ""
        why = (
            "the nearest to the target tokens"
            if math.isfinite(target_tokens) and math.isfinite(chosen.tokens)
            else "the largest"
        )
        others = sorted((one for one in self.every if one.words != chosen.words), key=len, reverse=True)
        listing = listed([f"{len(one)} at {one.words or 'no known scale'}" for one in others], 4)
        stopped = self._not_there(chosen) if self.curves else []
        short = f" Not there: {listed(stopped)}." if stopped else ""
        return (
            f"Of {len(self.every)} scales {why} with nearly as many runs as any is used: the {len(chosen)} "
            f"runs at {chosen.words or 'no known scale'}, not {listing}.{short}"
        )

    # Rows and runs

    @cached_property
    def _runs(self) -> tuple[tuple[str, ...], ...]:
        """What makes each row a row of its run: name (or mixture, where it has none), size and seeds."""
        table, observed = self.table, self.table.observations
        mixtures: dict[bytes, str] = {}
        names = table.runs
        if len(set(names)) == len(names) and "run" in table.labels:
            names = table.labels["run"]  # a key names rows, and a column run their runs
        seeds = [table.labels[name] for name in SEEDS if name in table.labels]
        return tuple(
            (
                names[row]
                or table.runs[row]
                or mixtures.setdefault(observed.shares[row].tobytes(), observed.keys[row]),
                f"{observed.params[row]:g} {observed.seed[row]}",
                *(column[row] for column in self._texts),
                *(column[row] for column in seeds),
            )
            for row in range(len(table))
        )

    @cached_property
    def _ends(self) -> IntArray:
        """The rows at the end of each run, in the order of the table."""
        return self._last(self._measured.tolist())

    @cached_property
    def _measured(self) -> IntArray:
        """The rows in which something was measured that a mixture may be chosen by; all, if there are none.

        A run writes its training loss at every step, and evaluates now and then.
        """
        runs = self.table.observations
        metrics = [i for i, name in enumerate(runs.metrics) if not no_target(name, runs.sources)]
        rows = np.flatnonzero(np.isfinite(runs.values[:, metrics]).any(axis=1))
        return rows if rows.size else np.arange(len(runs))

    def _last(self, rows: Iterable[int]) -> IntArray:
        """Of some rows those that stand at the last point of their run; several there are replicates."""
        runs: dict[tuple[str, ...], list[int]] = {}
        for row in rows:
            runs.setdefault(self._runs[row], []).append(row)
        kept = []
        for own in runs.values():
            end = max(self._point(row) for row in own)
            kept += [row for row in own if self._point(row) == end]
        return np.array(sorted(kept), dtype=np.int64)

    def _point(self, row: int) -> tuple[float, float]:
        tokens = float(self.table.observations.tokens[row])
        return (-1.0 if math.isnan(tokens) else tokens, float(self._steps[row]))

    def _runs_beside(self, scales: Sequence[ScaleGroup]) -> int:
        """How many runs have the size of the most populous scale."""
        largest = max(scales, key=len)
        size_of = {self._runs[row][1:] for row in largest.rows.tolist()}
        return len({run for run in self._runs if run[1:] in size_of})

    def _not_there(self, chosen: ScaleGroup) -> list[str]:
        """Runs of the chosen size that have rows, but none at the chosen scale."""
        there = {self._runs[row] for row in chosen.rows.tolist()}
        sizes = {run[1:] for run in there}
        return sorted({run[0] for run in self._runs if run[1:] in sizes and run not in there})

    # Axes

    @cached_property
    def _texts(self) -> tuple[tuple[str, ...], ...]:
        """Columns that name a scale in words: a size where parameters are not known, and a set."""
        labels = self.table.labels
        known = bool(np.isfinite(self.table.observations.params).all())
        by_lower = {name.lower(): name for name in reversed(list(labels))}
        sizes = [
            by_lower[name]
            for name in SIZE_COLUMNS
            if name in by_lower
            and (name != "model" or all(map(amount, filter(None, labels[by_lower[name]]))))
        ]
        columns = [] if known else [tuple(map(plain_size, labels[name])) for name in sizes[:1]]
        return (*columns, *([labels[_SET]] if _SET in labels else []))

    @cached_property
    def _steps(self) -> FloatArray:
        names = point_columns(list(self.table.labels))
        column = self.table.labels[names[0]] if names else None
        found = [amount(text) if text else None for text in column] if column else [None] * len(self.table)
        return np.array([-1.0 if value is None else value for value in found])

    def _scales(self, rows: IntArray) -> tuple[ScaleGroup, ...]:
        observed = self.table.observations
        params, tokens = _grouped(observed.params[rows]), _grouped(observed.tokens[rows])
        texts = [[column[row] for row in rows.tolist()] for column in self._texts]
        keys: list[tuple[object, ...]] = list(zip(params, tokens, *texts, strict=True))
        steps = np.array(_grouped(np.where(self._steps[rows] < 0, np.nan, self._steps[rows])))
        mixtures = [observed.shares[row].tobytes() for row in rows.tolist()]
        if _differ(list(zip(keys, mixtures, strict=True)), steps):
            keys = [(*key, step) for key, step in zip(keys, map(str, steps), strict=True)]
        else:
            steps = np.full(len(rows), np.nan)
        groups: dict[tuple[object, ...], list[int]] = {}
        for place, key in enumerate(keys):
            groups.setdefault(tuple(str(one) for one in key), []).append(place)
        found = [
            self._scale(rows, places, params[places[0]], tokens[places[0]], steps[places[0]])
            for places in groups.values()
        ]
        return tuple(sorted(found, key=lambda scale: (scale.order, scale.words)))

    def _scale(
        self, rows: IntArray, places: Sequence[int], params: float, tokens: float, step: float
    ) -> ScaleGroup:
        """The scale of some places of ``rows``; of rows of one run the last."""
        kept = self._last(rows[list(places)].tolist())
        texts = [column[int(kept[0])] for column in self._texts]
        counts = ((params, "parameters"), (tokens, "tokens"))
        words = [f"{size(count)} {unit}" for count, unit in counts if count == count]
        words += [f"size {text}" if amount(text) is not None else f"set {text}" for text in texts if text]
        words += [f"step {step:g}"] if step == step else []
        sizes = [value for text in texts if (value := amount(text)) is not None]
        known = [x for x in (params, *sizes, tokens, step) if x == x and x > 0]
        return ScaleGroup(" and ".join(words), kept, tokens, (math.fsum(map(math.log, known)), *sizes))


def _grouped(values: FloatArray) -> list[float]:
    """Each value replaced by the largest of those that are alike; NaN where unknown."""
    heads: dict[float, float] = {}
    head = math.inf
    for value in sorted({float(value) for value in values if value == value}, reverse=True):
        head = value if value * ALIKE < head else head
        heads[value] = head
    return [heads.get(float(value), math.nan) for value in values]


def _differ(places: Sequence[tuple[object, bytes]], steps: FloatArray) -> bool:
    """Some mixture has rows of several steps at one size and count of tokens: steps must tell them apart."""
    first: dict[str, float] = {}
    return any(
        first.setdefault(str(place), step) != step
        for place, step in zip(places, steps.tolist(), strict=True)
        if step == step
    )
