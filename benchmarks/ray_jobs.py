"""Jobs that Ray's workers carry out for the benchmark, in a file that they can import."""

import time

from cuvee.execution.interface import Report

WAITED_SECONDS = 0.5


def nothing(item: int, report: Report) -> int:
    """Takes no time by itself."""
    return item


def wait(item: int, report: Report) -> int:
    """Takes time, and no core."""
    time.sleep(WAITED_SECONDS)
    return item
