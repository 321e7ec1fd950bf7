"""The answers of one study beside each other: what each recommends, where they disagree, which to believe."""

from cuvee.decisions.answers.answers import AnswerPair, Answers
from cuvee.decisions.answers.recommendation import Recommendation, RunSize

__all__ = ["AnswerPair", "Answers", "Recommendation", "RunSize"]
