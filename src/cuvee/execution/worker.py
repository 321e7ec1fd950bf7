"""The worker process of ``LocalProcesses``: one pipe to its parent, one item at a time.

Messages are pickled with plain ``pickle``: everything is copied by value. The pickler of
``multiprocessing`` would let torch pass tensors through shared memory, which is gone with the worker.

Life and death of a worker:

- The interrupt key reaches the whole process group. Workers ignore it; the parent stops them.
- SIGTERM raises ``Stop`` inside the job, so that its ``finally`` clauses remove half-written files.
  A job that does not let go within ``GRACE_SECONDS`` is ended without asking.
- The parent may die without a word (SIGKILL). On Linux the kernel then kills the worker, even inside
  a long call into C. Everywhere, a thread watches the pipe whose other end only the parent holds.
"""

import ctypes
import importlib
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from multiprocessing.connection import Connection, wait
from types import FrameType
from typing import Any, Literal, NoReturn, Protocol

from cuvee.errors import CuveeError
from cuvee.execution.interface import label_of
from cuvee.execution.portable import PLAIN, Pickles
from cuvee.faults import faults_in_words

GRACE_SECONDS = 3.0
"""How long a stopped job may take to clean up behind itself."""

_REPORT_SECONDS = 0.1
_WATCH_SECONDS = 1.0
_PR_SET_PDEATHSIG = 1
_ANYWHERE = nullcontext(PLAIN)

JOB, ITEM = b"j", b"i"
"""What the parent sends."""

Message = (
    tuple[Literal["ready"]]
    | tuple[Literal["progress"], float, str]
    | tuple[Literal["done"], Any]
    | tuple[Literal["failed"], bytes | None, str, str]
)
"""What a worker says: it has started; ``amount, note``; the result; the pickled ``CuveeError`` (or
none), the failure in one line, and its traceback."""


class Stop(BaseException):
    """The parent asked this worker to stop. Not an ``Exception``: jobs must not swallow it."""


def serve(
    connection: Connection, parent: int, started_by_main_thread: bool, modules: Sequence[str] = ()
) -> None:
    """Receive jobs and their items until the pipe is closed; answer each item with ``Message`` s.

    The first byte of what is received says which of the two follows.

    Args:
        connection: this worker's end of its own pipe.
        parent: process id of the parent.
        started_by_main_thread: whether the parent's main thread started this process. The kernel
            counts the end of the *thread* that started a process as the death of its parent, so only
            then may it be asked for a signal.
        modules: imported before it says that it is ready.
    """
    _die_with_parent(parent, by_kernel=started_by_main_thread)
    try:
        _obey_only_parent()
        for module in modules:
            importlib.import_module(module)
        _send(connection, ("ready",))
        job = b""
        while True:
            received = connection.recv_bytes()
            if received[:1] == JOB:
                job = received[1:]
            else:
                _send(connection, attempted(job, received[1:], _Reporter(connection)))
    except (EOFError, OSError, Stop):
        pass  # the parent has closed the pipe, has died, or wants an end: nobody is listening
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def attempted(
    job_data: bytes,
    item_data: bytes,
    reporter: "Reporter",
    place: AbstractContextManager[Pickles] = _ANYWHERE,
) -> Message | bytes:
    """Do one item; what is to be answered, pickled where it is a result. All was reported before.

    Args:
        job_data: the job as it was sent.
        item_data: the item as it was sent.
        reporter: of the item.
        place: in which the job works; says how what was sent is read there.

    Raises:
        Stop: the parent asked for an end.
    """
    answer: Message | bytes
    try:
        with place as pickles:
            job, item = pickle.loads(job_data), pickles.loads(item_data)
            with faults_in_words(label_of(item)):
                result = job(item, reporter)
            answer = pickles.dumps(("done", result))
    except Stop:
        raise
    except BaseException as error:  # SystemExit and KeyboardInterrupt of a job are failures of that job too
        answer = _failure(error)
    reporter.flush()
    return answer


def _failure(error: BaseException) -> Message:
    summary = "".join(traceback.format_exception_only(error)).strip()
    data = None
    if isinstance(error, CuveeError):
        try:
            data = pickle.dumps(error)
            pickle.loads(data)
        except Exception:  # an exception with arguments of its own may not survive; its text does
            data = None
    return ("failed", data, summary, "".join(traceback.format_exception(error)))


def _send(connection: Connection, message: Message | bytes) -> None:
    connection.send_bytes(message if isinstance(message, bytes) else pickle.dumps(message))


class Reporter(Protocol):
    """The ``Report`` of one item."""

    def __call__(self, amount: float, note: str) -> None: ...

    def flush(self) -> None:
        """Send what was gathered."""
        ...


class _Reporter:
    """By way of a pipe. Gathers amounts so that fast jobs do not fill the pipe."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._amount = 0.0
        self._note = ""
        self._waiting = False
        self._sent = -_REPORT_SECONDS

    def __call__(self, amount: float, note: str) -> None:
        self._amount += float(amount)
        self._note = note
        self._waiting = True
        if time.monotonic() - self._sent >= _REPORT_SECONDS:
            self.flush()

    def flush(self) -> None:
        if self._waiting:
            _send(self._connection, ("progress", self._amount, self._note))
            self._amount, self._waiting, self._sent = 0.0, False, time.monotonic()


def _obey_only_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _on_terminate)
    if hasattr(signal, "pthread_sigmask"):
        # The parent starts its workers with the interrupt blocked, so that none is hit while it starts.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _on_terminate(number: int, frame: FrameType | None) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    deadline = threading.Timer(GRACE_SECONDS, os._exit, (128 + number,))
    deadline.daemon = True
    deadline.start()
    raise Stop


def _die_with_parent(parent: int, by_kernel: bool) -> None:
    if by_kernel and sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if sys.platform != "win32" and os.getppid() != parent:
        os._exit(1)  # it died before we asked
    threading.Thread(target=_watch, args=(parent,), name="cuvee-watch-parent", daemon=True).start()


def _watch(parent: int) -> None:
    process = multiprocessing.parent_process()
    assert process is not None
    while not wait([process.sentinel], timeout=_WATCH_SECONDS):
        # A forked copy of the parent may hold the other end of the pipe open; the process id decides.
        if sys.platform != "win32" and os.getppid() != parent:
            break
    os._exit(1)
