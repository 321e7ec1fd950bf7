"""What is sent to another process and what comes back, whatever carries it.

All of it is pickled with plain ``pickle``, so that everything is copied by value.
"""

import pickle
import reprlib
import traceback
from contextlib import suppress
from typing import Any

from cuvee.errors import CuveeError, WorkerError
from cuvee.execution.interface import Job, label_of
from cuvee.execution.portable import PLAIN, Pickles
from cuvee.execution.worker import Message

_SHOWN = reprlib.Repr()
_SHOWN.maxstring = _SHOWN.maxother = 100


def called(item: Any) -> str:
    """An item in a message: by its label, or by a short ``repr``."""
    return label_of(item) or _SHOWN.repr(item)


def sendable(job: Job[Any, Any]) -> bytes:
    """A job as it is sent.

    Raises:
        WorkerError: it cannot be pickled.
    """
    try:
        return pickle.dumps(job, pickle.HIGHEST_PROTOCOL)
    except Exception as error:
        raise WorkerError(
            f"the job {_SHOWN.repr(job)} cannot be sent to another process: {error}; "
            "use a module-level function, or functools.partial of one"
        ) from error


def sendable_item(index: int, item: Any, pickles: Pickles = PLAIN) -> bytes:
    """An item as it is sent.

    Raises:
        WorkerError: it cannot be pickled.
    """
    try:
        return pickles.dumps(item)
    except Exception as error:
        raise WorkerError(
            f"item {index} ({called(item)}) cannot be sent to another process: {error}"
        ) from error


def understood(data: bytes, pickles: Pickles = PLAIN) -> Message:
    """What a worker said; a result that cannot be unpickled is a failure."""
    try:
        message: Message = pickles.loads(data)
    except Exception as error:
        summary = f"a result that cannot be rebuilt here: {type(error).__name__}: {error}"
        return ("failed", None, summary, traceback.format_exc())
    return message


def failure_of(index: int, item: Any, data: bytes | None, summary: str, details: str) -> CuveeError:
    """The error to raise for a message ``failed``.

    Args:
        index: of the item.
        item: that the job failed on.
        data: the pickled error, where it is one of ours.
        summary: the failure in one line.
        details: its traceback.
    """
    if data is not None:
        with suppress(Exception):
            error = pickle.loads(data)
            if isinstance(error, CuveeError):
                error.add_note(f"raised in a worker process by item {index} ({called(item)})\n{details}")
                return error
    return WorkerError(f"item {index} ({called(item)}) failed with {summary}\n\n{details}")
