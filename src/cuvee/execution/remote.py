"""Jobs on machines that come and go: which attempt runs where, which is lost, and which result counts.

An item is given to one worker after the other until one of them does it. A worker that dies, or says nothing
for ``patience`` seconds, loses its permit: it can publish nothing any more, and its result is never looked
at. What it had saved is there for the next one, which goes on from it. A lost node is nobody's fault; an item
whose worker dies by itself three times fails.
"""

import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from cuvee.errors import CuveeError, WorkerError
from cuvee.execution.attempt import Attempted
from cuvee.execution.handover import Handover, Permit
from cuvee.execution.interface import OnProgress
from cuvee.execution.sent import called, failure_of
from cuvee.execution.worker import GRACE_SECONDS

MOST_DEATHS = 3
"""Of workers of one item."""

_WAIT_SECONDS = 0.2
_AHEAD = 2
"""Attempts handed out for each that can run, so that a worker that is free need not wait."""

Task = TypeVar("Task")


class Gone(Exception):
    """A worker ended without an outcome, or its outcome is lost."""

    def __init__(self, why: str, blameless: bool) -> None:
        super().__init__(why)
        self.blameless = blameless
        """The item has nothing to do with it: the node is gone."""


@dataclass(frozen=True)
class Heard:
    """What an attempt said last."""

    beats: int
    """How often it was heard."""
    amount: float
    note: str


class Carrier(Protocol[Task]):
    """Starts attempts somewhere and hears of them."""

    def room(self) -> int:
        """How many attempts can run side by side, now."""
        ...

    def start(self, name: str, item: bytes, permit: Permit) -> Task:
        """Start an attempt at an item as soon as there is room."""
        ...

    def wait(self, tasks: Sequence[Task], seconds: float) -> Sequence[Task]:
        """Those that have ended; waits for the first, but no longer than this."""
        ...

    def outcome(self, task: Task) -> Attempted:
        """Of one that has ended.

        Raises:
            Gone: it has none.
        """
        ...

    def heard(self) -> dict[str, Heard]:
        """What attempts have said, by name; of those that began."""
        ...

    def stop(self, attempts: Mapping[Task, str]) -> None:
        """Ask attempts to end, given with their names; those that wait for room never begin."""
        ...

    def kill(self, task: Task, name: str) -> None:
        """End an attempt without asking."""
        ...


@dataclass(eq=False)
class _Attempt:
    name: str
    index: int
    permit: Permit
    beats: int = 0
    amount: float = 0.0
    silent: float = 0.0
    """Seconds since it was last heard, as far as anybody listened."""


@dataclass(eq=False)
class RemoteMap(Generic[Task]):
    """One map under way."""

    carrier: Carrier[Task]
    items: Sequence[Any]
    on_progress: OnProgress | None
    handover: Handover[Any]
    name: str
    patience: float
    _waiting: "deque[int]" = field(default_factory=deque)
    _active: dict[Task, _Attempt] = field(default_factory=dict)
    _lost: dict[Task, tuple[_Attempt, float]] = field(default_factory=dict)
    _deaths: Counter[int] = field(default_factory=Counter)
    _started: int = 0
    _unsendable: WorkerError | None = None
    _listened: float = field(default_factory=time.monotonic)

    def results(self) -> Iterator[tuple[int, Any]]:
        """See ``Executor.map``."""
        self._waiting.extend(range(len(self.items)))
        try:
            while self._waiting or self._active or self._unsendable is not None:
                self._start()
                if not self._active and self._unsendable is not None:
                    raise self._unsendable
                done, failure = self._ended()
                yield from done  # what is done is never lost to the failure of another item
                if failure is not None:
                    raise failure
                self._listen()
        finally:
            self._stop()

    def _start(self) -> None:
        room = _AHEAD * self.carrier.room()
        while self._waiting and len(self._active) < room and self._unsendable is None:
            index = self._waiting.popleft()
            try:
                item, permit = self.handover.send(index, self.items[index])
            except WorkerError as error:
                self._unsendable = error  # those before it come to their end first
                return
            self._started += 1
            attempt = _Attempt(f"{self.name}.{self._started}", index, permit)
            self._active[self.carrier.start(attempt.name, item, permit)] = attempt

    def _ended(self) -> tuple[list[tuple[int, Any]], CuveeError | None]:
        done: list[tuple[int, Any]] = []
        failure: CuveeError | None = None
        for task in self.carrier.wait(list(self._active), _WAIT_SECONDS):
            attempt = self._active.pop(task)
            index, item = attempt.index, self.items[attempt.index]
            try:
                outcome = self.carrier.outcome(task)
            except Gone as gone:
                failure = failure or self._death(attempt, gone)
                continue
            self.handover.take_back(attempt.permit)
            self._report(attempt, outcome.amount, outcome.note)
            message = self.handover.understood(outcome.answer)
            if message[0] == "done":
                done.append((index, message[1]))
            elif message[0] == "failed":
                failure = failure or failure_of(index, item, *message[1:])
        return done, failure

    def _death(self, attempt: _Attempt, gone: Gone) -> CuveeError | None:
        self.handover.take_back(attempt.permit)
        index = attempt.index
        self._deaths[index] += not gone.blameless
        if self._deaths[index] < MOST_DEATHS:
            self._again(attempt, "its worker is gone; it goes on elsewhere")
            return None
        return WorkerError(
            f"item {index} ({called(self.items[index])}) ended {MOST_DEATHS} worker processes, one after the "
            f"other; the last: {gone}"
        )

    def _again(self, attempt: _Attempt, note: str) -> None:
        self._waiting.appendleft(attempt.index)
        if self.on_progress is not None:
            self.on_progress(attempt.index, 0.0, note)

    def _listen(self) -> None:
        now = time.monotonic()
        if now - self._listened < _WAIT_SECONDS:
            return
        passed = min(now - self._listened, 5 * _WAIT_SECONDS)  # nobody listens while the caller works
        self._listened = now
        heard = self.carrier.heard()
        for task, attempt in list(self._active.items()):
            said = heard.get(attempt.name)
            if said is None:
                continue  # it waits for room
            if said.beats != attempt.beats:
                attempt.beats, attempt.silent = said.beats, 0.0
                self._report(attempt, said.amount, said.note)
                continue
            attempt.silent += passed
            if attempt.silent > self.patience:
                self._lose(task, attempt)
        for task, (attempt, since) in list(self._lost.items()):
            if now - since > self.patience:
                self.carrier.kill(task, attempt.name)  # the core that it holds is wanted
                del self._lost[task]

    def _lose(self, task: Task, attempt: _Attempt) -> None:
        del self._active[task]
        self.handover.take_back(attempt.permit)
        self._lost[task] = attempt, time.monotonic()
        self.carrier.stop({task: attempt.name})
        self._again(attempt, "nothing is heard of its worker; it goes on elsewhere")

    def _report(self, attempt: _Attempt, amount: float, note: str) -> None:
        if self.on_progress is not None and (amount != attempt.amount or note):
            more, attempt.amount = amount - attempt.amount, amount
            self.on_progress(attempt.index, more, note)

    def _stop(self) -> None:
        left = {task: one.name for task, one in self._active.items()}
        if left:
            self.carrier.stop(left)
        ends = time.monotonic() + GRACE_SECONDS
        while left and (more := ends - time.monotonic()) > 0:
            for task in self.carrier.wait(list(left), more):
                del left[task]
        left |= {task: one.name for task, (one, _) in self._lost.items()}
        for task, name in left.items():
            self.carrier.kill(task, name)
        for one in self._active.values():
            self.handover.take_back(one.permit)
        self.handover.end()
