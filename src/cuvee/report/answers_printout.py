"""The answers of one study beside each other on a terminal."""

from cuvee.report.answers_view import AnswersView
from cuvee.report.printout import Grid, Printout
from cuvee.report.wording import plain_share


def answers_printout(answers: AnswersView | None) -> Printout:
    """Verdicts and shares, and what is to be said of them; nothing where nothing lies beside an answer."""
    if answers is None:
        return ()
    verdicts = ("verdict", *(one.badge.words.lower() for one in answers.columns))
    shares = ((row.source, *map(plain_share, row.shares)) for row in answers.rows)
    commands = ("", *(one.command for one in answers.columns))
    return (Grid("Answers of this study", commands, (verdicts, *shares)), *answers.sentences)
