"""What it means to run jobs somewhere else.

A job is a function of one item. The caller orders the items: largest first keeps all workers busy
to the end. Results come back as they are completed, with the index of their item, so that a caller
can write each one down before the next arrives. An item that has a ``label`` is called by it in errors;
one that has a ``device`` wants to be done there, where an executor knows devices (``devices.py``).

Where other machines see no folder of this one (``url_artifacts.py``), an item whose ``stays`` is true is done
here, and ``reads`` names files and folders that its job reads beside those that the item itself names.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

Report = Callable[[float, str], None]
"""Called inside a job: the amount done since the last call, and the latest fact in a few words."""

Job = Callable[[Item, Report], Result]
"""What is done with one item. For another process it must be a module-level function, or a
``functools.partial`` of one."""

OnProgress = Callable[[int, float, str], None]
"""Called in the caller's process and thread: index of the item, amount done since the last call, note."""


def label_of(item: Any) -> str:
    """What an item is called in errors; empty where it has no label."""
    label = getattr(item, "label", None)
    return label if isinstance(label, str) else ""


class Executor(Protocol):
    """A place where jobs run."""

    def map(
        self, job: Job[Item, Result], items: Sequence[Item], on_progress: OnProgress | None = None
    ) -> Iterator[tuple[int, Result]]:
        """Run ``job(item, report)`` for every item; yield ``(index, result)`` as they complete.

        The amounts passed to ``on_progress`` for an item add up to the amounts the job reported, and
        all of them come before the item is yielded. Closing the iterator stops the jobs still running.

        Args:
            job: function of one item and a ``Report``.
            items: the items, in the order in which they are started.
            on_progress: listener to the reports of the jobs.

        Raises:
            CuveeError: a job raised it; it is raised again here, as it was.
            OutOfMemory, DeviceFailed: a job met a full memory or a GPU that stopped.
            WorkerError: a job failed in any other way; the message names the item's index.
        """
        ...
