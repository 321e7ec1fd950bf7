"""Checks of the shares: sources that the runs cannot tell apart or say nothing about."""

from collections.abc import Iterator

import numpy as np

from cuvee.doctor.finding import Finding, note, warning
from cuvee.doctor.subject import Subject
from cuvee.runs.formats.part import listed
from cuvee.types import BoolArray, FloatArray, IntArray

STILL = 1e-9
"""Shares that differ by less are the same."""
NEARLY_DEPENDENT = 0.02
"""A direction of shares that has less than this part of the longest one's spread is hardly explored."""
BARELY = 0.1
"""A source that no run gives more than this share is known only where it is small."""


def unused_sources(subject: Subject) -> Iterator[Finding]:
    """Sources that no run has."""
    unused = _names(subject, subject.runs.shares.max(axis=0) <= STILL)
    if unused:
        yield warning(
            f"source {listed(unused)}",
            "No run has any of it: what it does is not in the table.",
            "Add runs with it, or hold it at zero with --cap.",
        )


def fixed_sources(subject: Subject) -> Iterator[Finding]:
    """Sources whose share never changes."""
    shares = subject.runs.shares
    fixed = _names(subject, (np.ptp(shares, axis=0) <= STILL) & (shares.max(axis=0) > STILL))
    if fixed and len(shares) > 1 and len(fixed) < len(subject.runs.sources):
        yield warning(
            f"source {listed(fixed)}",
            "Its share is the same in all runs: whether more or less of it were better is not in the table.",
            "Hold it there with --floor and --cap, or add runs with other shares of it.",
        )


def sources_in_step(subject: Subject) -> Iterator[Finding]:
    """Sources that always have the same ratio."""
    moving = _moving(subject)
    shares = subject.runs.shares
    seen: set[int] = set()
    for first in moving.tolist() if len(moving) > 2 else []:
        if first in seen:
            continue
        with np.errstate(divide="ignore", invalid="ignore"):
            scale = shares[:, first] @ shares / (shares[:, first] @ shares[:, first])
        apart = np.abs(shares - np.outer(shares[:, first], scale)).max(axis=0)
        group = [i for i in moving.tolist() if apart[i] <= 1e-6]
        seen.update(group)
        if len(group) > 1:
            yield warning(
                f"source {listed([subject.runs.sources[i] for i in group])}",
                "Their shares keep one ratio in all runs: the effect of each is not identifiable.",
                "Lay them together into one source, or add runs in which they differ.",
            )


def collinear_sources(subject: Subject) -> Iterator[Finding]:
    """Sources whose shares are tied by an equation besides the sum, exactly or nearly."""
    moving = _moving(subject)
    shares = subject.runs.shares[:, moving]
    # Too few runs have a check of their own.
    if len(moving) < 3 or len(shares) <= len(moving):
        return
    centred = shares - shares.mean(axis=0)
    centred = centred / centred.std(axis=0)
    lengths, directions = np.linalg.svd(centred, full_matrices=False)[1:]
    # One direction always has no spread: shares sum to one. Another one without is a fault.
    weak = lengths < NEARLY_DEPENDENT * lengths[0]
    weak[-1] = True
    if weak.sum() == 1:
        return
    spread = shares.std(axis=0)
    total = spread / np.linalg.norm(spread)  # the sum, as a direction of these columns
    free = directions[weak] - np.outer(directions[weak] @ total, total)
    found: set[int] = set()
    for direction in np.linalg.svd(free)[2][: int(weak.sum()) - 1]:
        found.update(_shortest(direction / spread))
    names = [subject.runs.sources[int(moving[i])] for i in sorted(found)]
    kind = "an equation" if lengths[:-1].min() < 1e-8 * lengths[0] else "nearly an equation"
    ratio = lengths[0] / max(lengths[:-1].min(), np.finfo(float).tiny)
    yield warning(
        f"source {listed(names, 8)}",
        f"Their shares are tied by {kind} in all runs (condition number"
        f" {'beyond 1e8' if ratio > 1e8 else f'{ratio:.2g}'}), so that effects of one can be taken for those"
        " of the others.",
        "Lay them together, or add runs in which they move on their own.",
    )


def one_hot_runs(subject: Subject) -> Iterator[Finding]:
    """Every run is on a single source."""
    shares = subject.runs.shares
    if len(subject.runs.sources) > 1 and len(shares) > 1 and (shares.max(axis=1) > 1.0 - STILL).all():
        yield warning(
            subject.title,
            "Every run is on one source alone: what sources do together is not in the table.",
            "Add runs of real mixtures.",
        )


def never_left_out(subject: Subject) -> Iterator[Finding]:
    """Sources that every run has."""
    least = subject.runs.shares.min(axis=0)
    always = _names(subject, (least > 0.02) & (np.ptp(subject.runs.shares, axis=0) > STILL))
    if always and len(subject.runs) > 1:
        yield note(
            f"source {listed(always)}",
            f"No run goes without it (the least share is {least[least > 0.02].min():.1%}): what a mixture"
            " without it would do is a guess.",
            "Keep it above its least share with --floor, or add runs without it.",
        )


def rarely_used(subject: Subject) -> Iterator[Finding]:
    """Sources that only a run or two have."""
    used = (subject.runs.shares > STILL).sum(axis=0)
    rare = _names(subject, (used > 0) & (used <= 2))
    if rare and len(subject.runs) >= 10:
        yield warning(
            f"source {listed(rare)}",
            "Only one or two runs have it: its effect cannot be separated from their noise.",
            "Add runs with it, or hold it at zero with --cap.",
        )


def barely_seen(subject: Subject) -> Iterator[Finding]:
    """Sources that no run has much of."""
    most, region = subject.runs.shares.max(axis=0), subject.region
    allowed = region.upper if region is not None else np.ones_like(most)
    barely = _names(subject, (most > STILL) & (most < BARELY) & (allowed > 2.0 * most))
    if barely and len(subject.runs) > 1:
        yield note(
            f"source {listed(barely)}",
            f"No run gives it more than {most[(most > STILL) & (most < BARELY)].max():.1%}, and the mixture"
            " may have much more: beyond what was seen a law only guesses.",
            "Cap it near what was seen with --cap, or add runs with more of it.",
        )


def _shortest(equation: FloatArray) -> list[int]:
    """The sources [S] of an equation of shares, written with as few of them as it can be.

    Since shares sum to one, a number may be added to all coefficients.
    """
    forms = np.abs(equation - equation[:, np.newaxis])
    counts = forms > 0.2 * forms.max(axis=1, keepdims=True)
    shortest = counts[int(counts.sum(axis=1).argmin())]
    return [int(i) for i in np.flatnonzero(shortest)]


def _moving(subject: Subject) -> IntArray:
    """Indices of the sources whose share changes."""
    return np.flatnonzero(np.ptp(subject.runs.shares, axis=0) > STILL)


def _names(subject: Subject, mask: BoolArray) -> list[str]:
    return [subject.runs.sources[i] for i in np.flatnonzero(mask)]
