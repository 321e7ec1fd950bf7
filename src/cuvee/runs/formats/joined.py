"""Joining parts: shares from one file, metrics from another, by the names of the runs.

Never by position, and by one key a call (``one_key.py``). A part with shares gives the runs and their order;
a part of metrics alone adds to the run that has one of its names. A run that was measured at several points
or with several seeds becomes a row for each (``marks.py``). What has no counterpart is left out and named.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from cuvee.errors import ConfigError
from cuvee.quantities import agreeing, counted
from cuvee.runs.formats.direction import KnownDirection
from cuvee.runs.formats.marks import POINT, key_of, needed
from cuvee.runs.formats.one_key import NUMBER, CallKey
from cuvee.runs.formats.part import KEYS, Part, Row, listed
from cuvee.runs.formats.share_columns import may_be_share


@dataclass(frozen=True)
class Joined:
    """Runs with their shares and metrics."""

    rows: tuple[Row, ...]
    """In the order of the files of shares; all have a mixture."""
    sources: tuple[str, ...]
    metrics: tuple[str, ...]
    directions: Mapping[str, KnownDirection]
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
    runs = _Runs(bases, additions)
    notes = [note for part in parts for note in part.notes]
    for part in additions:
        notes += runs.add(part)
    rows, left_out = runs.finished()
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
        marked = [name for part in additions for name in part.metrics if may_be_share(name)]
        why = f"; {listed(marked)} may be shares, but do not sum to one" if len(marked) > 1 else ""
        raise ConfigError(
            f"there are metrics in {_titles(additions)}, but no file has the shares of the runs; add a"
            " table of one row a run, with a column run and a column w:<source> for the share of each source"
            f" (or Olmix ratios, RegMix mixtures){why}"
        )
    half = [part for part in bases if _is_half(part)]
    if half and not additions:
        raise ConfigError(
            f"there are shares in {_titles(half)}, but no file has metrics; add columns"
            " m:<metric>, or the file of metrics (Olmix metrics, RegMix losses, results of"
            " lm-evaluation-harness)"
        )


class _Runs:
    """The rows of the parts with shares, which grow by the metrics of the other parts."""

    def __init__(self, bases: Sequence[Part], additions: Sequence[Part]) -> None:
        self._bases = bases
        self._additions = additions
        named: dict[str, list[Row]] = {}
        for row in (row for part in bases for row in part.rows if row.names):
            named.setdefault(row.names[0], []).append(row)
        self._apart = needed([[row.marks for row in rows] for rows in named.values()])
        self._rows = [self._called(row) for part in bases for row in part.rows]
        self._met: set[int] = set()
        self._origin = {(p, metric): row.where for p, row in enumerate(self._rows) for metric in row.metrics}
        self._check_keys()
        self._key = CallKey.of(bases, additions)
        self._places: dict[str, list[int]] = {}
        for place, row in enumerate(row for part in bases for row in part.rows):
            for name in self._key.of_base(row) if self._key else ():
                self._places.setdefault(name, []).append(place)
        self._added_apart = self._telling()
        self._children: dict[int, dict[tuple[str, ...], int]] = {}

    def add(self, part: Part) -> list[str]:
        """Add the metrics of a part to the runs of its names; gives a note if some are of no run."""
        strangers = []
        for row in part.rows:
            place = self._find(row)
            if place is None:
                strangers.append(_name(row))
            else:
                self._add(self._child(place, row), row)
        if len(strangers) == len(part.rows):
            raise self._none_found(part)
        if not strangers:
            return []
        return [
            f"{part.title}: {len(strangers)} of {counted(len(part.rows), 'run')} "
            f"{agreeing(len(strangers), 'has', 'have')} no shares in"
            f" {_titles(self._bases)} and {agreeing(len(strangers), 'was', 'were')} left out: "
            f"{listed(_once(strangers))}."
        ]

    def finished(self) -> tuple[tuple[Row, ...], list[str]]:
        """The rows that have their metrics, and a note on those that were left out for want of them."""
        kept: list[Row] = []
        notes = []
        start = 0
        for part in self._bases:
            places = range(start, start + len(part.rows))
            start += len(part.rows)
            missing = []
            for p in places:
                own = p in self._met or self._rows[p].metrics or not _is_half(part)
                children = self._children.get(p, {})
                # A mixture that was measured with several seeds is a row for each, and none by itself.
                if own and not (children and not self._rows[p].metrics):
                    kept.append(self._rows[p])
                kept += [self._rows[child] for child in children.values()]
                if not own and not children:
                    missing.append(_name(self._rows[p]))
            if missing:
                notes.append(
                    f"{part.title}: {len(missing)} of {counted(len(places), 'run')} "
                    f"{agreeing(len(missing), 'has', 'have')} no metrics in"
                    f" {_titles(self._additions)} and {agreeing(len(missing), 'was', 'were')} left out: "
                    f"{listed(missing)}."
                )
        return tuple(kept), notes

    def _called(self, row: Row) -> Row:
        """The row with a key that is its own; its other names stay."""
        if not row.names:
            return row
        key = key_of(row.names[0], row.marks, self._apart)
        return replace(
            row,
            by={**row.by, KEYS[0]: _once((key, *row.by.get(KEYS[0], ())))},
            run=_run(row.names[0], row.marks, self._apart),
        )

    def _check_keys(self) -> None:
        keys: dict[str, Row] = {}
        for row in self._rows:
            if row.names and (first := keys.setdefault(row.names[0], row)) is not row:
                raise ConfigError(
                    f"{row.where}: run {row.names[0]!r} is already in {first.where}; give each"
                    " run its own name, or only one of the files"
                )

    def _telling(self) -> tuple[str, ...]:
        """The marks that tell apart rows of metrics that would else give one run two values of a metric."""
        named: dict[str, list[Row]] = {}
        for row in (row for part in self._additions for row in part.rows):
            name = self._key.found(row, self._places) if self._key else ""
            named.setdefault(name, []).append(row)
        groups: dict[tuple[str, str], list[Mapping[str, str]]] = {}
        for name, rows in named.items():
            for row in rows if name and len(rows) > 1 else ():
                for metric in row.metrics:
                    groups.setdefault((name, metric), []).append(row.marks)
        return needed([marks for marks in groups.values() if len(marks) > 1])

    def _find(self, row: Row) -> int | None:
        """The run of a row of metrics, by the key of the call and the marks that tell runs apart."""
        name = self._key.found(row, self._places) if self._key else ""
        places = [p for p in self._places.get(name, ()) if self._agree(self._rows[p], row)]
        if len(places) > 1:
            first, second = (self._rows[p] for p in places[:2])
            raise ConfigError(
                f"{row.where} is of run {name!r}, but {first.where} ({_name(first)}) and {second.where}"
                f" ({_name(second)}) are both called so; use names that tell them apart, or put shares"
                " and metrics into one table"
            )
        return places[0] if places else None

    def _agree(self, base: Row, row: Row) -> bool:
        marks = [mark for mark in self._apart if mark in base.marks and mark in row.marks]
        return all(base.marks[mark] == row.marks[mark] for mark in marks)

    def _child(self, place: int, row: Row) -> int:
        """The row of a run for the marks of one row of metrics; the run itself where there are no marks."""
        marks = [mark for mark in self._added_apart if mark not in self._apart and mark in row.marks]
        if not marks:
            return place
        children = self._children.setdefault(place, {})
        marked = tuple(f"{mark} {row.marks[mark]}" for mark in marks)
        if marked not in children:
            base = self._rows[place]
            key = key_of(_name(base), row.marks, marks)
            self._rows.append(
                replace(
                    base,
                    by={**base.by, KEYS[0]: _once((key, *base.by.get(KEYS[0], ())))},
                    metrics={},
                    marks={**base.marks, **row.marks},
                    run=_run(base.run or _name(base), row.marks, marks),
                )
            )
            children[marked] = len(self._rows) - 1
        return children[marked]

    def _add(self, place: int, row: Row) -> None:
        base = self._rows[place]
        for metric, value in row.metrics.items():
            if base.metrics.get(metric, value) != value:
                raise ConfigError(
                    f"{row.where}: {metric} of run {_name(base)!r} is {value!r}, but"
                    f" {base.metrics[metric]!r} in {self._origin[place, metric]}; keep one of them"
                )
            self._origin.setdefault((place, metric), row.where)
        self._met.add(place)
        measured = {**row.labels, **base.labels}, {**row.facts, **base.facts}
        if any(place in children.values() for children in self._children.values()):
            measured = {**base.labels, **row.labels}, {**base.facts, **row.facts}
        self._rows[place] = replace(
            base, metrics={**base.metrics, **row.metrics}, labels=measured[0], facts=measured[1]
        )

    def _none_found(self, part: Part) -> ConfigError:
        mine = [_name(row) for row in part.rows]
        theirs = [_name(row) for row in self._rows]
        keys = f" (by {self._key.key})" if self._key and self._key.in_all else ""
        numbers = {key for one in (part, *self._bases) for row in one.rows for key in row.by} & {NUMBER}
        why = f"; a number ({NUMBER}) is never compared with a name" if numbers and not self._key else ""
        return ConfigError(
            f"no run of {part.title} is in {_titles(self._bases)}{keys}: there are metrics of"
            f" {listed(mine, 3)}, and shares of {listed(theirs, 3)}{why};"
            " name the runs alike in both"
        )


def _is_half(part: Part) -> bool:
    return not part.metrics and not part.stands_alone


def _directions(parts: Sequence[Part]) -> tuple[dict[str, KnownDirection], list[str]]:
    """The known ones, and the metrics of which two files say the opposite."""
    result: dict[str, KnownDirection] = {}
    unsure: dict[str, None] = {}
    for part in parts:
        for name, known in part.directions.items():
            if result.setdefault(name, known).direction != known.direction:
                unsure[name] = None
    return {name: known for name, known in result.items() if name not in unsure}, list(unsure)


def _run(name: str, marks: Mapping[str, str], needed: Sequence[str]) -> str:
    """The run that a row is of: its size and seeds make it one of its own, a point does not."""
    return key_of(name, marks, [mark for mark in needed if mark != POINT])


def _once(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def _name(row: Row) -> str:
    return row.names[0] if row.names else row.where


def _titles(parts: Sequence[Part]) -> str:
    return listed([part.title for part in parts], 3)
