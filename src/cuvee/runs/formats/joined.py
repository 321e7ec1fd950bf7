"""Joining parts: shares from one file, metrics from another, by the names of the runs (floor 3).

Never by position. A part with shares gives the runs and their order; a part of metrics alone adds to the
run that has one of its names. What has no counterpart is left out and told.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from cuvee.errors import ConfigError
from cuvee.runs.formats.direction import Known
from cuvee.runs.formats.part import Part, Row, listed


@dataclass(frozen=True)
class Joined:
    """Runs with their shares and metrics."""

    rows: tuple[Row, ...]
    """In the order of the files of shares; all have a mixture."""
    sources: tuple[str, ...]
    metrics: tuple[str, ...]
    directions: Mapping[str, Known]
    notes: tuple[str, ...]


def join(parts: Sequence[Part]) -> Joined:
    """All parts as one table.

    Raises:
        ConfigError: metrics without shares or the reverse, no run in common, the same run or the same
            metric of a run twice.
    """
    bases = [part for part in parts if part.sources]
    additions = [part for part in parts if not part.sources]
    _check_halves(bases, additions)
    runs = _Runs(bases)
    notes = [note for part in parts for note in part.notes]
    for part in additions:
        notes += runs.add(part)
    rows, left_out = runs.finished(additions)
    directions, unsure = _directions(parts)
    if unsure:
        notes.append(f"Files disagree about what is better: {listed(unsure)}.")
    return Joined(
        rows=rows,
        sources=tuple(dict.fromkeys(source for part in bases for source in part.sources)),
        metrics=tuple(dict.fromkeys(metric for part in (*bases, *additions) for metric in part.metrics)),
        directions=directions,
        notes=(*notes, *left_out),
    )


def _check_halves(bases: Sequence[Part], additions: Sequence[Part]) -> None:
    if not bases:
        raise ConfigError(
            f"there are metrics in {_titles(additions)}, but no file tells the shares of the runs; add a"
            " table of one row a run, with a column run and a column w:<source> for the share of each source"
            " (or Olmix ratios, RegMix mixtures)"
        )
    half = [part for part in bases if _is_half(part)]
    if half and not additions:
        raise ConfigError(
            f"there are shares in {_titles(half)}, but no file tells what was measured; add columns"
            " m:<metric>, or the file of metrics (Olmix metrics, RegMix losses, results of"
            " lm-evaluation-harness)"
        )


class _Runs:
    """The rows of the parts with shares, which grow by the metrics of the other parts."""

    def __init__(self, bases: Sequence[Part]) -> None:
        self._bases = bases
        self._rows = [row for part in bases for row in part.rows]
        self._met: set[int] = set()
        self._origin = {(p, metric): row.where for p, row in enumerate(self._rows) for metric in row.metrics}
        self._keys: dict[str, int] = {}
        self._names: dict[str, list[int]] = {}
        for place, row in enumerate(self._rows):
            if row.names and (first := self._keys.setdefault(row.names[0], place)) != place:
                raise ConfigError(
                    f"{row.where}: run {row.names[0]!r} is already in {self._rows[first].where}; give each"
                    " run its own name, or only one of the files"
                )
            for name in row.names:
                self._names.setdefault(name, []).append(place)

    def add(self, part: Part) -> list[str]:
        """Add the metrics of a part to the runs of its names; gives a note if some are of no run."""
        strangers = []
        for row in part.rows:
            place = self._find(row)
            if place is None:
                strangers.append(_name(row))
            else:
                self._add(place, row)
        if len(strangers) == len(part.rows):
            raise ConfigError(
                f"no run of {part.title} is in {_titles(self._bases)}: there are metrics of"
                f" {listed(strangers, 3)}, and shares of {listed([_name(row) for row in self._rows], 3)};"
                " name the runs alike in both"
            )
        if not strangers:
            return []
        return [
            f"{part.title}: {len(strangers)} of {len(part.rows)} runs have no shares in"
            f" {_titles(self._bases)} and were left out: {listed(strangers)}."
        ]

    def finished(self, additions: Sequence[Part]) -> tuple[tuple[Row, ...], list[str]]:
        """The rows that have their metrics, and a note on those that were left out for want of them."""
        kept: list[Row] = []
        notes = []
        start = 0
        for part in self._bases:
            places = range(start, start + len(part.rows))
            start += len(part.rows)
            here = [p for p in places if p in self._met or not _is_half(part)]
            kept += [self._rows[p] for p in here]
            if len(here) < len(places):
                missing = [_name(self._rows[p]) for p in places if p not in self._met]
                notes.append(
                    f"{part.title}: {len(missing)} of {len(places)} runs have no metrics in"
                    f" {_titles(additions)} and were left out: {listed(missing)}."
                )
        return tuple(kept), notes

    def _find(self, row: Row) -> int | None:
        """The run with one of the names of ``row``, the first that is known; keys before other names."""
        for name in row.names:
            if name in self._keys:
                return self._keys[name]
            places = self._names.get(name, [])
            if len(places) > 1:
                first, second = (self._rows[p] for p in places[:2])
                raise ConfigError(
                    f"{row.where} is of run {name!r}, but {first.where} ({_name(first)}) and {second.where}"
                    f" ({_name(second)}) are both called so; use names that tell them apart, or put shares"
                    " and metrics into one table"
                )
            if places:
                return places[0]
        return None

    def _add(self, place: int, row: Row) -> None:
        base = self._rows[place]
        for metric, value in row.metrics.items():
            if base.metrics.get(metric, value) != value:
                raise ConfigError(
                    f"{row.where}: {metric} of run {_name(base)!r} is {value:.6g}, but"
                    f" {base.metrics[metric]:.6g} in {self._origin[place, metric]}; keep one of them"
                )
            self._origin.setdefault((place, metric), row.where)
        self._met.add(place)
        self._rows[place] = replace(
            base,
            metrics={**base.metrics, **row.metrics},
            labels={**row.labels, **base.labels},
            facts={**row.facts, **base.facts},
        )


def _is_half(part: Part) -> bool:
    return not part.metrics and not part.stands_alone


def _directions(parts: Sequence[Part]) -> tuple[dict[str, Known], list[str]]:
    """The known ones, and the metrics of which two files tell the opposite."""
    result: dict[str, Known] = {}
    unsure: dict[str, None] = {}
    for part in parts:
        for name, known in part.directions.items():
            if result.setdefault(name, known).direction != known.direction:
                unsure[name] = None
    return {name: known for name, known in result.items() if name not in unsure}, list(unsure)


def _name(row: Row) -> str:
    return row.names[0] if row.names else row.where


def _titles(parts: Sequence[Part]) -> str:
    return listed([part.title for part in parts], 3)
