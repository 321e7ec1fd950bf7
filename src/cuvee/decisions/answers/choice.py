"""Which of two answers to believe, and why.

In this order: one that belongs to the study as it is; one that training confirmed, and none that it refuted;
the one whose own mixture was trained nearer to the run it is for; the one trained more often.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from cuvee.decisions.answers.recommendation import Recommendation
from cuvee.decisions.verdict import Standing
from cuvee.quantities import counted

_RANK: dict[Standing, int] = {"refuted": 0, "not checked": 1, "not confirmed": 1, "confirmed": 2}

_NEARER = math.log(1.05)
"""Difference of distances, in logarithms of FLOPs, below which two trainings are of one scale."""

_ALIKE: dict[Standing, str] = {
    "confirmed": "Both are confirmed: either will do, as far as trainings show",
    "not confirmed": "Neither is confirmed; run `cuvee check`",
    "refuted": "Both are refuted: neither will do",
    "not checked": "Neither is checked; run `cuvee check`",
}
"""What is said where nothing prefers either."""


@dataclass(frozen=True)
class AnswerChoice:
    """One of two answers, or none."""

    answer: Recommendation | None
    reason: str

    @property
    def sentence(self) -> str:
        """What to do, as one or two sentences."""
        if self.answer is None:
            return f"{self.reason}."
        standing = self.answer.verdict.standing
        rest = "" if standing == "confirmed" else f" It is {standing} itself; run `cuvee check`."
        return f"Believe {self.answer.command}: {self.reason}.{rest}"


Rule = Callable[[Recommendation, Recommendation, frozenset[str]], str]
"""Why the first of two answers is to be believed rather than the second; empty where it is not."""


def choose(one: Recommendation, other: Recommendation, outdated: frozenset[str]) -> AnswerChoice:
    """By the first rule that prefers either; two that are refuted are not believed for anything.

    Args:
        one: an answer.
        other: another flow's.
        outdated: flows whose answers belong to another state of the study.
    """
    standings = {one.verdict.standing, other.verdict.standing}
    for rule in RULES if standings != {"refuted"} else ():
        for first, second in ((one, other), (other, one)):
            if reason := rule(first, second, outdated):
                return AnswerChoice(first, reason)
    return AnswerChoice(None, _ALIKE[one.verdict.standing if len(standings) == 1 else "not confirmed"])


def _current(first: Recommendation, second: Recommendation, outdated: frozenset[str]) -> str:
    if second.flow not in outdated or first.flow in outdated or first.verdict.standing == "refuted":
        return ""
    return f"the answer of {second.command} belongs to another state of the study"


def _confirmed(first: Recommendation, second: Recommendation, outdated: frozenset[str]) -> str:
    one, two = first.verdict.standing, second.verdict.standing
    return f"it is {one}, that of {second.command} is {two}" if _RANK[one] > _RANK[two] else ""


def _nearer(first: Recommendation, second: Recommendation, outdated: frozenset[str]) -> str:
    if first.trained is None or second.distance - first.distance <= _NEARER:
        return ""
    own = f"its mixture was trained on {first.trained.size.tokens:,} tokens"
    if second.trained is None:
        return f"{own}, that of {second.command} never"
    farther = f"{second.trained.size.tokens:,}, farther from the run that it is for"
    return f"{own}, that of {second.command} on {farther}"


def _oftener(first: Recommendation, second: Recommendation, outdated: frozenset[str]) -> str:
    often, seldom = (0 if one.trained is None else one.trained.trainings for one in (first, second))
    if not often > seldom:
        return ""
    return f"its mixture was trained {counted(often, 'time')}, that of {second.command} {seldom}"


RULES: tuple[Rule, ...] = (_current, _confirmed, _nearer, _oftener)
"""In the order of their weight."""
