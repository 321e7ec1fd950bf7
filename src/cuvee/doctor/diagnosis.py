"""The doctor: all checks over a table of runs, before compute is spent on it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from threadpoolctl import threadpool_limits

from cuvee.doctor.finding import SEVERITIES, Diagnosis
from cuvee.doctor.registry import CHECKS
from cuvee.doctor.subject import Subject
from cuvee.question.question import Question


def diagnose(
    paths: Sequence[Path],
    where: Mapping[str, str] | None = None,
    lower: Sequence[str] = (),
    higher: Sequence[str] = (),
    question: Question | None = None,
    answer: Path | None = None,
    without: Sequence[str] = (),
) -> Diagnosis:
    """Examine runs and what is asked of them. Nothing is fitted; some tenths of a second for 1000 runs.

    Files that cannot be read are a finding, not an error that is raised.

    Args:
        paths: files or folders, see ``import_runs``.
        where: column -> value of the rows to examine.
        lower: metrics that are better when lower, where the table does not say.
        higher: see ``lower``.
        question: target, guards, bounds, token counts and caps of the mixture that is to be chosen.
        answer: a folder of an earlier ``cuvee fit``, compared with the runs if there is one.
        without: runs that are left out.
    """
    subject = Subject.read(paths, where, lower, higher, question, answer, without)
    return examine(subject)


def examine(subject: Subject) -> Diagnosis:
    """All checks over one subject; the gravest findings first, equally grave ones in the order of checks."""
    made = [check for check in CHECKS if subject.table is not None or not check.needs_runs]
    with threadpool_limits(limits=1):  # small arrays; more threads cost more in waking than they give
        found = [finding for check in made for finding in check.examine(subject)]
    runs = subject.table.observations if subject.table is not None else None
    return Diagnosis(
        tables=tuple(str(path) for path in subject.paths),
        format=subject.table.format if subject.table is not None else "",
        runs=len(runs) if runs is not None else 0,
        sources=runs.sources if runs is not None else (),
        metrics=runs.metrics if runs is not None else (),
        checks=tuple(check.name for check in made),
        findings=tuple(sorted(found, key=lambda finding: SEVERITIES.index(finding.severity))),
    )
