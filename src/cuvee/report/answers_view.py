"""``AnswersView``: the answers of one study beside each other, as any of its pages shows them.

``answers.html.j2`` draws it.
"""

import math
from dataclasses import dataclass
from typing import Self

from cuvee.decisions.answers.answers import Answers, sentences
from cuvee.decisions.answers.recommendation import Recommendation
from cuvee.decisions.interval import Interval
from cuvee.report.badge import Badge, badge_of


@dataclass(frozen=True)
class AnswerColumn:
    """One flow's answer."""

    command: str
    badge: Badge
    tokens: int
    """Of the run that it is for."""
    parameters: int
    trained: int
    """Tokens of the largest training of the mixture itself; zero where it was never trained."""
    level: float
    """Of the intervals."""


@dataclass(frozen=True)
class AnswerRow:
    """One source."""

    source: str
    shares: tuple[Interval, ...]
    """One for each column; NaN where an answer does not have the source."""


@dataclass(frozen=True)
class AnswersView:
    """All answers of a study. Made by ``of``."""

    columns: tuple[AnswerColumn, ...]
    rows: tuple[AnswerRow, ...]
    """The largest share first."""
    sentences: tuple[str, ...]

    @classmethod
    def of(cls, answers: Answers | None) -> Self | None:
        """Order answers; None where there is nothing beside the page's own."""
        if answers is None or not answers.worth_showing:
            return None
        missing = Interval(math.nan)
        rows = (
            AnswerRow(name, tuple(one.shares.get(name, missing) for one in answers.found))
            for name in answers.sources
        )
        return cls(tuple(_column(one) for one in answers.found), tuple(rows), sentences(answers))


def _column(answer: Recommendation) -> AnswerColumn:
    return AnswerColumn(
        answer.command,
        badge_of(answer.verdict),
        answer.target.tokens,
        answer.target.parameters,
        0 if answer.trained is None else answer.trained.size.tokens,
        answer.level,
    )
