"""The answers of one study beside each other, on the terminal (floor 9)."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from cuvee.decisions.interval import Interval
    from cuvee.study.answers import Answers
    from cuvee.study.decision import Decision
    from cuvee.study.scale.decision import ScaleDecision
    from cuvee.study.search.decision import SearchDecision


def print_answers(root: "Path", own: "Decision | SearchDecision | ScaleDecision") -> None:
    """What lies beside a decision in the folder of its study; nothing where nothing does."""
    from cuvee.study.answers import Answers, sentences

    answers = Answers.read(root, own)
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
    from cuvee.study.disagreement import share_words

    return share_words(share) if share.mean == share.mean else "-"
