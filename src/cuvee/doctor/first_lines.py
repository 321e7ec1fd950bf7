"""First lines: what ``cuvee fit`` says of its runs before it says how good the mixture is.

The checks are those of ``cuvee doctor`` (``registry.py``), over the metrics that the question is about. Every
error and every serious warning stands there; what the doctor notes besides is left to the doctor.
"""

from cuvee.doctor.diagnosis import examine
from cuvee.doctor.registry import CHECKS
from cuvee.doctor.subject import Subject
from cuvee.question.question import Question
from cuvee.question.runs import Runs
from cuvee.runs.formats.tidy import BY_DEFINITION
from cuvee.runs.imported import ImportedTable

_SAID_OF_RUNS = frozenset({"several_scales", "left_out_of_target"})
"""Checks whose findings the runs of a fit bring with them, so that they are there when it is asked again."""


def first_lines(runs: Runs, question: Question, subject: Subject | None = None) -> tuple[str, ...]:
    """Sentences, the gravest first.

    Args:
        runs: that are asked.
        question: what is asked, as it was given: without the default target filled in.
        subject: the files that the runs were read from; none where they are asked again.
    """
    left_out = runs.left_out if runs.left_out and not question.weights else ""
    examined = (subject or _subject_of(runs, question)).asked()
    serious = {check.name for check in CHECKS if check.serious} - _SAID_OF_RUNS
    found = [
        f"{finding.severity.capitalize()}, {finding.where}: {finding.what}"
        for finding in examine(examined).findings
        if finding.severity == "error" or (finding.severity == "warning" and finding.check in serious)
    ]
    return tuple(line for line in (*runs.warnings, left_out, *found) if line)


def _subject_of(runs: Runs, question: Question) -> Subject:
    """Runs that were kept by an earlier fit; of their files nothing is known any more."""
    known = {name: way for name, way in runs.directions.items() if name in runs.observations.metrics}
    reasons = {name: BY_DEFINITION.reason if name in runs.assumed else "" for name in known}
    table = ImportedTable(runs.observations, known, reasons)
    return Subject((), (), (), table, question=question)
