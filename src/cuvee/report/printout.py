"""What a terminal shows of a decision: sentences and tables, before anything draws them.

``REPORTS`` (``reports.py``) has what makes them of each kind of decision; ``cli/output.py`` prints them all.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from cuvee.decisions.verdict import Verdict


@dataclass(frozen=True)
class Grid:
    """A table of words; the first column is set to the left, all others to the right."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    """[rows, columns]."""


Printout = tuple[str | Grid, ...]
"""Sentences and tables in the order in which they are read, each sentence a line."""


def first_lines(headline: Sequence[str], verdict: Verdict) -> Printout:
    """The first lines of an answer, its verdict behind the first of them."""
    judged = f"verdict: {verdict.title.lower()}. {verdict.why}"
    return (*headline[:1], judged, *headline[1:])


def warned(warnings: Sequence[str]) -> Printout:
    """What may spoil an answer."""
    return tuple(f"warning: {warning}" for warning in warnings)


def noted(notes: Sequence[str]) -> Printout:
    """What to know of an answer."""
    return tuple(f"note: {note}" for note in notes)
