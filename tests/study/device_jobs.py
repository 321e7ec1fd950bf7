"""A job for the tests of studies on a device, in a file that worker processes can import."""

import os
from dataclasses import dataclass

from cuvee.execution.interface import Report
from cuvee.study.plan.resident import KEPT


@dataclass(frozen=True)
class Question:
    """Asked of the worker of a device."""

    device: str


def made(item: Question, report: Report) -> tuple[int, dict[str, int]]:
    """The process, and how often it made what it keeps."""
    return os.getpid(), dict(KEPT.made)


def surroundings(item: Question, report: Report) -> dict[str, str]:
    """The environment of the worker."""
    return dict(os.environ)
