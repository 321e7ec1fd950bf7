"""One attempt at a job, in a worker that somebody else started: heard, stopped and fenced.

A thread says every ``BEAT_SECONDS`` how far the job is and asks whether to go on. Where it must not, it
interrupts the job by a signal, so that ``finally`` clauses remove half-written files. Where nobody can be
asked, the job goes on: whether it may publish is decided by its lease alone.
"""

import logging
import pickle
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import FrameType

from cuvee.execution.handover import Permit
from cuvee.execution.worker import Message, Stop, attempted

BEAT_SECONDS = 0.5

Say = Callable[[float, str], bool]
"""Called with the amount done so far and the latest note; whether to go on. Raises where nobody listens."""

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Attempted:
    """What came of an attempt."""

    answer: bytes
    """A pickled ``Message``: ``done`` or ``failed``."""
    amount: float
    """All that the job reported."""
    note: str
    """The last one."""


def attempt(job: bytes, item: bytes, permit: Permit, say: Say, node: str = "") -> Attempted:
    """Do one item; nothing is published once the permit is lost.

    Args:
        job: as it was sent.
        item: as it was sent.
        permit: of this attempt.
        say: how it is heard.
        node: what the node is called.
    """
    tally = _Tally()
    beats = _Beats(tally, say)
    answer: Message | bytes
    try:
        try:
            beats.begin()
            answer = attempted(job, item, tally, permit.at(node))
        finally:
            beats.end()
    except Stop:
        answer = ("failed", None, "it was asked to stop", "")
    if _lost(permit):
        why = answer[2] if isinstance(answer, tuple) and answer[0] == "failed" else "it came to its end"
        _LOG.warning(
            "attempt %s: taken for lost and given to another worker; nothing is published (%s)",
            permit.name,
            why,
        )
    said = answer if isinstance(answer, bytes) else pickle.dumps(answer)
    return Attempted(said, tally.amount, tally.note)


def _lost(permit: Permit) -> bool:
    with suppress(Exception):  # of whatever carries it: only the log is poorer for it
        return permit.lost
    return False


@dataclass(eq=False)
class _Tally:
    """The ``Report`` of the item."""

    amount: float = 0.0
    note: str = ""

    def __call__(self, amount: float, note: str) -> None:
        self.amount += float(amount)
        self.note = note

    def flush(self) -> None:
        """The outcome has it all."""


@dataclass(eq=False)
class _Beats:
    """The thread of an attempt."""

    tally: _Tally
    say: Say
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _ended: threading.Event = field(default_factory=threading.Event)
    _stopping: bool = False

    def begin(self) -> None:
        """Be heard once before anything else: an attempt that was never heard is taken for one that waits.

        Raises:
            Stop: it is not wanted any more.
        """
        if threading.current_thread() is threading.main_thread():
            # It stays: what comes late must not end the process.
            signal.signal(signal.SIGUSR2, self._on_signal)
        if not self._goes_on():
            raise Stop
        worker = threading.get_ident()
        threading.Thread(target=self._beat, args=(worker,), name="cuvee-beat", daemon=True).start()

    def end(self) -> None:
        self._ended.set()
        with self._lock:
            pass  # a signal that is on its way was sent before this

    def _goes_on(self) -> bool:
        with suppress(Exception):  # of whatever carries it: there is nobody to ask
            return self.say(self.tally.amount, self.tally.note)
        return True

    def _beat(self, worker: int) -> None:
        while not self._ended.wait(BEAT_SECONDS):
            if not self._goes_on():
                self._interrupt(worker)
                return

    def _interrupt(self, worker: int) -> None:
        with self._lock:
            if not self._ended.is_set():
                signal.pthread_kill(worker, signal.SIGUSR2)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if not self._ended.is_set() and not self._stopping:
            self._stopping = True
            raise Stop
