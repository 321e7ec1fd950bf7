"""The badge of a verdict at the head of a page (floor 8)."""

from typing import Literal

from cuvee.report.view import Badge
from cuvee.study.verdict import Standing, Verdict

_LEVELS: dict[Standing, Literal["believed", "not-believed", "untested"]] = {
    "confirmed": "believed",
    "not confirmed": "untested",
    "refuted": "not-believed",
    "not checked": "untested",
}
"""Green, amber, red, amber."""


def badge_of(verdict: Verdict) -> Badge:
    """The verdict as it is, in its colour."""
    return Badge(_LEVELS[verdict.standing], verdict.title, verdict.why)
