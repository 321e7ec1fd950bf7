"""The answers of one study beside each other, on the terminal."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from cuvee.decisions.answers import Answers
    from cuvee.decisions.interval import Interval
    from cuvee.study.answers import AnyDecision


def print_answers(root: "Path", own: "AnyDecision") -> None:
    """What lies beside a decision in the folder of its study; nothing where nothing does."""
    from cuvee.decisions.answers import sentences
    from cuvee.study.answers import read_answers

    answers = read_answers(root, own)
    if not answers.worth_showing:
        return
    _print_table(answers)
    for sentence in sentences(answers):
        print(sentence)


def _print_table(answers: "Answers") -> None:
    from cuvee.cli.output import print_table
    from cuvee.decisions.interval import Interval

    shares = [
        [name, *(_words(one.shares.get(name, Interval())) for one in answers.found)]
        for name in answers.sources
    ]
    print_table(
        "Answers of this study",
        ["", *(one.command for one in answers.found)],
        [["verdict", *(one.verdict.title.lower() for one in answers.found)], *shares],
    )


def _words(share: "Interval") -> str:
    from cuvee.decisions.disagreement import share_words

    return share_words(share) if share.mean == share.mean else "-"
