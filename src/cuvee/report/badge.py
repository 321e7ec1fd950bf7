"""The badge of a verdict at the head of a page."""

from dataclasses import dataclass
from typing import Literal

from cuvee.decisions.verdict import Standing, Verdict

Level = Literal["believed", "not-believed", "untested"]


@dataclass(frozen=True)
class Badge:
    """The statement on trust at the head of a report."""

    level: Level
    words: str
    why: str


_LEVELS: dict[Standing, Level] = {
    "confirmed": "believed",
    "not confirmed": "untested",
    "refuted": "not-believed",
    "not checked": "untested",
}
"""Green, amber, red, amber."""


def badge_of(verdict: Verdict) -> Badge:
    """The verdict as it is, in its colour."""
    return Badge(_LEVELS[verdict.standing], verdict.title, verdict.why)
