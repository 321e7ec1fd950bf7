"""Checks of how files are joined: names of runs, their order, and answers that are out of date."""

import re
from collections.abc import Iterator, Sequence

import numpy as np

from cuvee.doctor.finding import Finding, error, note, warning
from cuvee.doctor.subject import Subject
from cuvee.errors import CuveeError
from cuvee.quantities import agreeing, counted
from cuvee.question.asked_runs import load
from cuvee.runs.formats.part import Part, Row, listed
from cuvee.runs.observations import Observations
from cuvee.types import FloatArray

_NUMBER = re.compile(r"[0-9]{1,18}")


def unmatched_runs(subject: Subject) -> Iterator[Finding]:
    """Runs that one file has and its counterpart has not."""
    bases, additions = _halves(subject)
    if not bases or not additions:
        return
    known = {name for part in bases for row in part.rows for name in row.names}
    measured = {name for part in additions for row in part.rows for name in row.names}
    for part in additions:
        strangers = [row for row in part.rows if not known.intersection(row.names)]
        yield from _unmatched(part, strangers, "shares")
    for part in bases:
        if not part.metrics:
            lonely = [row for row in part.rows if not measured.intersection(row.names)]
            yield from _unmatched(part, lonely, "metrics")


def other_order(subject: Subject) -> Iterator[Finding]:
    """Files that hold the same runs in another order."""
    bases, additions = _halves(subject)
    place = {name: i for i, name in enumerate(n for part in bases for row in part.rows for n in row.names)}
    for part in additions:
        places = [place[name] for row in part.rows for name in row.names if name in place]
        if places != sorted(places):
            yield note(
                part.title,
                f"Its runs stand in another order than in {listed([base.title for base in bases], 3)}. They"
                " were joined by name.",
                "Nothing here; a tool that reads by position would give the metrics to other mixtures.",
            )


def joined_by_number(subject: Subject) -> Iterator[Finding]:
    """Files that are joined by a running number, which any filtering or sorting of rows would break."""
    bases, additions = _halves(subject)
    numbers = [_counts(part) for part in (*bases, *additions)]
    if bases and additions and all(numbers):
        yield warning(
            subject.title,
            "The files are joined by a running number. If one of them was filtered and numbered again, the"
            " metrics belong to other mixtures, and nothing in the files can show it.",
            "Give the runs names that both files hold, or compare a few rows with the logs of their runs.",
        )


def unnamed_runs(subject: Subject) -> Iterator[Finding]:
    """Rows without a name."""
    for part in subject.parts:
        unnamed = [row for row in part.rows if not row.names]
        if unnamed:
            yield note(
                part.title,
                f"{len(unnamed)} of {counted(len(part.rows), 'row')} "
                f"{agreeing(len(unnamed), 'has no name and is', 'have no name and are')} called by a hash "
                "of what "
                f"{agreeing(len(unnamed), 'it holds', 'they hold')}. Nobody can check them against the "
                "logs of their runs.",
                "Add a column run.",
            )


def conflicting_directions(subject: Subject) -> Iterator[Finding]:
    """Files that disagree about what is better."""
    by_metric: dict[str, dict[str, str]] = {}
    for part in subject.parts:
        for metric, known in part.directions.items():
            by_metric.setdefault(metric, {}).setdefault(known.direction, part.title)
    for metric, ways in by_metric.items():
        if len(ways) > 1 and metric not in (*subject.lower, *subject.higher):
            yield warning(
                f"metric {metric}",
                f"Better when lower by {ways['lower']}, better when higher by {ways['higher']}.",
                f"Say --lower {metric!r} or --higher {metric!r}.",
            )


def stale_answer(subject: Subject) -> Iterator[Finding]:
    """An answer that was made from other numbers of the same runs."""
    if subject.answer is None or not subject.answer.is_dir():
        return
    try:
        before, _ = load(subject.answer)
    except CuveeError:
        return  # no answer lies there, or one that `cuvee optimise` will refuse by itself
    old, new = before.observations, subject.all_runs.observations
    sources = tuple(dict.fromkeys(old.sources + new.sources))
    metrics = tuple(name for name in old.metrics if name in new.metrics)
    was, now = (dict(zip(runs.keys, _numbers(runs, sources, metrics), strict=True)) for runs in (old, new))
    changed = [k for k in old.keys if k in now and not np.array_equal(was[k], now[k], equal_nan=True)]
    if changed:
        yield warning(
            str(subject.answer),
            f"{counted(len(changed), 'run')} {agreeing(len(changed), 'has', 'have')} other numbers now "
            f"than when this answer was made: {listed(changed)}.",
            f"Run `cuvee fit` again; `cuvee optimise {subject.answer}` would still use the old numbers.",
        )


def _numbers(runs: Observations, sources: Sequence[str], metrics: Sequence[str]) -> FloatArray:
    """Shares and metrics [R, S + E] of these sources and metrics; a source that is not there is zero."""
    shares = [
        runs.shares[:, runs.sources.index(name)] if name in runs.sources else np.zeros(len(runs))
        for name in sources
    ]
    return np.stack([*shares, *(runs.metric(name) for name in metrics)], axis=1)


def _halves(subject: Subject) -> tuple[list[Part], list[Part]]:
    """The files with shares, and those with metrics alone."""
    return [p for p in subject.parts if p.sources], [p for p in subject.parts if not p.sources]


def _unmatched(part: Part, rows: list[Row], lacking: str) -> Iterator[Finding]:
    if not rows:
        return
    names = listed([row.names[0] if row.names else row.where for row in rows])
    what = (
        f"{len(rows)} of {counted(len(part.rows), 'run')} {agreeing(len(rows), 'has', 'have')} no "
        f"{lacking} in any other file: {names}."
    )
    remedy = "Name the runs alike in both files, and look for rows that are missing or named twice."
    if len(rows) == len(part.rows):
        yield error(part.title, what, remedy)
    else:
        yield warning(part.title, f"{what} They were left out.", remedy)


def _counts(part: Part) -> bool:
    """Its runs are numbered in the order of the file, behind a beginning that all have."""
    ends = [row.names[0].rpartition("_") if row.names else ("", "", "") for row in part.rows]
    numbers = [int(end) if _NUMBER.fullmatch(end) else -1 for _, _, end in ends]
    alike = len({start for start, _, _ in ends}) == 1
    return alike and len(numbers) > 1 and numbers == list(range(numbers[0], numbers[0] + len(numbers)))
