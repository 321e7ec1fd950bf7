"""Jobs that Ray's workers carry out for the benchmark, in a file that they can import."""

import os
import time

from cuvee.execution.interface import Report

COMPUTED_SECONDS = 0.5


def nothing(item: int, report: Report) -> int:
    """Takes no time by itself."""
    return item


def compute(item: int, report: Report) -> int:
    """Takes processor time of one core."""
    ends = time.process_time() + COMPUTED_SECONDS
    while time.process_time() < ends:
        pass
    return item


def where(item: int, report: Report) -> int:
    """The process that did it."""
    time.sleep(COMPUTED_SECONDS)
    return os.getpid()
