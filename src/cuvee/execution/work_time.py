"""Work time: the seconds that a job took of what computes it.

A processor core counts only while it computes, so that what else runs on the machine does not (processor
time). A GPU computes while its process waits, so there it is wall time, in which the card is taken: with one
process a card these are seconds of the card. Jobs end with their results in the machine's memory, and
copying them waits for the card, so nothing is still under way when the time is read.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

_CPU = "cpu"


def is_gpu(device: str) -> bool:
    """Whether a device, named as torch names it, is something else than processor cores."""
    return device.partition(":")[0] != _CPU


@dataclass(frozen=True)
class WorkTime:
    """The time of one piece of work. Made by ``begin``."""

    clock: Callable[[], float]
    began: float

    @classmethod
    def begin(cls, device: str) -> Self:
        """Begin to work on a device, named as torch names it."""
        clock = time.perf_counter if is_gpu(device) else time.process_time
        return cls(clock, clock())

    @property
    def seconds(self) -> float:
        """Since it began."""
        return self.clock() - self.began
