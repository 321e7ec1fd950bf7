"""Executors on this machine: worker processes, or this very process.

Each worker has its own pipe. A queue shared by all workers would have a lock, and a worker killed
while it holds the lock would stop all others for ever. With one pipe each, a death is an end of file.

The parent sends one item to each free worker and waits on all pipes at once. It does so while the
caller waits inside ``next()``: a caller that works long between two results lets workers wait.
"""

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count, islice
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from types import TracebackType
from typing import Any

from cuvee.errors import ConfigError, CuveeError, WorkerError
from cuvee.execution import worker
from cuvee.execution.cores import usable_cores
from cuvee.execution.interface import Item, Job, OnProgress, Result, label_of
from cuvee.execution.sent import called, failure_of, sendable, sendable_item, understood
from cuvee.faults import faults_in_words

_KEPT_MEMORY = str(256 << 20)
"""Bytes. By itself glibc gives what a training step frees back to the kernel, and the next step faults it in
page by page. Kept, a step in bfloat16 takes 20, 13 and 4 % less time (1M, 3M, 10M parameters), and a worker 2
to 10 % more memory; after larger work it keeps up to this much more. 64 MiB help 10M parameters nothing,
1 GiB helps no more."""

WORKER_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "MALLOC_TRIM_THRESHOLD_": _KEPT_MEMORY,
    "MALLOC_MMAP_THRESHOLD_": _KEPT_MEMORY,
}
"""Read by the numeric libraries and by glibc when they are loaded, so it must be there before the interpreter
starts."""

_POLL_SECONDS = 1.0
_SIGKILL = 9
_environment_lock = threading.Lock()


@dataclass(frozen=True)
class InProcess:
    """Runs the items one after the other, here. For tests, debugging, and jobs too small to send away.

    Errors of the job are raised as they are, with their own traceback; those of a full memory or a GPU that
    stopped are put in words.
    """

    def map(
        self, job: Job[Item, Result], items: Sequence[Item], on_progress: OnProgress | None = None
    ) -> Iterator[tuple[int, Result]]:
        """See ``Executor.map``."""

        for index, item in enumerate(items):

            def report(amount: float, note: str, index: int = index) -> None:
                if on_progress is not None:
                    on_progress(index, float(amount), note)

            with faults_in_words(label_of(item)):
                result = job(item, report)
            yield index, result


@dataclass(frozen=True)
class LocalProcesses:
    """Worker processes of one thread each. A worker does many items, so imports are paid for once.

    The job is sent once to each worker: give it what all items share, by ``functools.partial``.
    Workers are started by the first ``next()`` and are gone when the iterator ends, for any reason.

    A script that uses this must keep its own work under ``if __name__ == "__main__":``, because every
    worker imports the script to find the functions in it.
    """

    workers: int | None = None
    """Number of processes; none means one for each core this process may run on."""
    environments: Sequence[Mapping[str, str]] = ()
    """What stands in the environment of each worker beside ``WORKER_ENVIRONMENT``; empty: nothing."""

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise ConfigError(f"workers must be at least 1, not {self.workers}; leave it out for all cores")

    def map(
        self, job: Job[Item, Result], items: Sequence[Item], on_progress: OnProgress | None = None
    ) -> Iterator[tuple[int, Result]]:
        """See ``Executor.map``. ``job``, items and results must be picklable.

        Raises:
            WorkerError: also when something cannot be pickled, or when a worker process is killed.
        """
        return self._run(sendable(job), items, on_progress)

    def _run(
        self, job: bytes, items: Sequence[Any], on_progress: OnProgress | None
    ) -> Iterator[tuple[int, Any]]:
        pool: list[_Worker] = []
        try:
            _fill(pool, min(self.workers or usable_cores(), len(items)), self.environments)
            yield from _dispatch(pool, job, items, on_progress)
        finally:
            _stop(pool)


@dataclass(eq=False)
class ResidentProcesses:
    """The same workers for one ``map`` after another: what they import and open is paid for once.

    Use it in ``with``. Workers are started when they are first needed, and started anew after a failure. A
    map inside a map has workers of its own.
    """

    workers: int | None = None
    """As in ``LocalProcesses``."""
    environments: Sequence[Mapping[str, str]] = ()
    """As in ``LocalProcesses``; a worker that replaces another has the environment of that one."""
    modules: Sequence[str] = ()
    """That each worker imports as it starts."""
    _pool: list["_Worker"] = field(default_factory=list)
    _at_work: bool = False

    def __enter__(self) -> "ResidentProcesses":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _stop(self._pool)
        self._pool.clear()

    def start(self) -> None:
        """Start all workers, and do not wait for them: they come up while something else is done."""
        _fill(self._pool, self.workers or usable_cores(), self.environments, self.modules)

    def map(
        self, job: Job[Item, Result], items: Sequence[Item], on_progress: OnProgress | None = None
    ) -> Iterator[tuple[int, Result]]:
        """See ``LocalProcesses.map``."""
        if self._at_work:
            return LocalProcesses(self.workers, self.environments).map(job, items, on_progress)
        return self._run(sendable(job), items, on_progress)

    def _run(
        self, job: bytes, items: Sequence[Any], on_progress: OnProgress | None
    ) -> Iterator[tuple[int, Any]]:
        self._at_work = True
        whole = False
        try:
            workers = min(self.workers or usable_cores(), len(items))
            _fill(self._pool, workers, self.environments, self.modules)
            yield from _dispatch(self._pool, job, items, on_progress, stay=True)
            whole = True
        finally:
            self._at_work = False
            if not whole:
                _stop(self._pool)
                self._pool.clear()


def _fill(
    pool: list["_Worker"],
    workers: int,
    environments: Sequence[Mapping[str, str]],
    modules: Sequence[str] = (),
) -> None:
    """Start workers until there are so many; those that died since are replaced."""
    dead = [member for member in pool if not member.process.is_alive()]
    _stop(dead)
    pool[:] = [member for member in pool if member not in dead]
    taken = {member.number for member in pool}
    free = (number for number in count() if number not in taken)
    for number in islice(free, max(0, workers - len(pool))):
        own = environments[number] if environments else {}
        with _starting({**WORKER_ENVIRONMENT, **own}):
            pool.append(_Worker.start(number, modules))


@contextmanager
def _starting(environment: Mapping[str, str]) -> Iterator[None]:
    """Set what a child process inherits (environment, blocked interrupt) and put it back after.

    Blocked, because an interrupt between the start of a process and its entry in the pool would lose
    it, and one inside a starting interpreter prints a traceback per worker.
    """
    with _environment_lock:
        before = {name: os.environ.get(name) for name in environment}
        mask: set[int] | None = None
        if sys.platform != "win32":
            # It unblocks the interrupt when it first starts its own process, so it must go first.
            resource_tracker.ensure_running()
            mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        os.environ.update(environment)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value
            if sys.platform != "win32" and mask is not None:
                signal.pthread_sigmask(signal.SIG_SETMASK, mask)


@dataclass
class _Worker:
    """The parent's side of one worker."""

    number: int
    process: SpawnProcess
    connection: Connection
    ready: bool = False
    index: int | None = None
    """The item it has been given and has not answered."""

    @classmethod
    def start(cls, number: int, modules: Sequence[str]) -> "_Worker":
        ours, theirs = multiprocessing.Pipe(duplex=True)
        try:
            process = multiprocessing.get_context("spawn").Process(
                target=worker.serve,
                args=(
                    theirs,
                    os.getpid(),
                    threading.current_thread() is threading.main_thread(),
                    tuple(modules),
                ),
                name=f"cuvee-worker-{number}",
                daemon=True,
            )
            process.start()
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()  # else the end of the worker would not be an end of file here
        return cls(number, process, ours)

    def give(self, index: int, item: Any) -> None:
        data = sendable_item(index, item)
        self.index = index
        self.send(worker.ITEM + data)

    def send(self, data: bytes) -> None:
        with suppress(OSError):  # a worker that has died is found out by the next receive
            self.connection.send_bytes(data)

    def receive(self) -> bytes | None:
        """The next message; None if the worker has died. Call it when ``_wait`` names it."""
        try:
            # A dead worker may have left a process of its own that keeps the pipe open.
            return self.connection.recv_bytes() if self.connection.poll() else None
        except (EOFError, OSError):
            return None


def _dispatch(
    pool: Sequence[_Worker],
    job: bytes,
    items: Sequence[Any],
    on_progress: OnProgress | None,
    stay: bool = False,
) -> Iterator[tuple[int, Any]]:
    waiting = deque(range(len(items)))
    remaining = len(items)
    active = []
    for member in pool:
        if not member.ready:
            active.append(member)
        elif waiting:
            member.send(worker.JOB + job)
            first = waiting.popleft()
            member.give(first, items[first])
            active.append(member)
    while remaining:
        done: list[tuple[int, Any]] = []
        failure: CuveeError | None = None
        for member in _wait(active):
            data = member.receive()
            message = None if data is None else understood(data)
            index = member.index
            if message is None:
                active.remove(member)
                if index is not None or waiting:  # else it had no work any more, and none is lost
                    failure = failure or _death(member, items)
                continue
            if message[0] == "progress":
                if on_progress is not None and index is not None:
                    on_progress(index, message[1], message[2])
                continue
            if message[0] == "ready":
                member.ready = True
                member.send(worker.JOB + job)
            elif index is not None:
                member.index = None
                if message[0] == "done":
                    done.append((index, message[1]))
                else:
                    failure = failure or failure_of(index, items[index], *message[1:])
            if not waiting:
                active.remove(member)
                if not stay:
                    member.connection.close()  # it ends now, and its memory is free for the others
            elif failure is None:
                try:
                    index = waiting.popleft()
                    member.give(index, items[index])
                except WorkerError as error:
                    failure = error
        remaining -= len(done)
        yield from done  # what is done is never lost to the failure of another item
        if failure is not None:
            raise failure


def _wait(active: Sequence[_Worker]) -> list[_Worker]:
    """Wait for workers that have said something or are dead; in the order of their numbers."""
    while True:
        ends: list[Any] = [member.connection for member in active]
        ends += [member.process.sentinel for member in active]
        wait(ends, _POLL_SECONDS)
        speaking = [
            member for member in active if not member.process.is_alive() or _has_message(member.connection)
        ]
        if speaking:
            return speaking


def _has_message(connection: Connection) -> bool:
    try:
        return connection.poll()
    except OSError:
        return True  # the other end is gone; receiving finds the same


def _death(member: _Worker, items: Sequence[Any]) -> WorkerError:
    member.process.join(worker.GRACE_SECONDS)
    code = member.process.exitcode
    if code is not None and code < 0:
        try:
            how = f"was killed by {signal.Signals(-code).name}"
        except ValueError:
            how = f"was killed by signal {-code}"
    else:
        how = f"ended with exit code {code}"
    if not member.ready:
        return WorkerError(
            f"a worker process {how} while it was starting; its own message is on the error stream. "
            "A program that starts workers must be a file or a module, not text piped into Python, "
            'and a script must keep its work under `if __name__ == "__main__":`'
        )
    task = "no item" if member.index is None else f"item {member.index} ({called(items[member.index])})"
    advice = "; the system may have run out of memory: use fewer workers" if code == -_SIGKILL else ""
    return WorkerError(f"worker process {member.process.pid} {how} while working on {task}{advice}")


def _stop(pool: Sequence[_Worker]) -> None:
    """End all workers: those at work by SIGTERM, those without work by closing their pipe."""
    try:
        for member in pool:
            member.connection.close()
            if member.index is not None or not member.ready:
                member.process.terminate()
        deadline = time.monotonic() + worker.GRACE_SECONDS + 1.0
        for member in pool:
            member.process.join(max(0.0, deadline - time.monotonic()))
    finally:
        for member in pool:
            if member.process.is_alive():
                member.process.kill()
        for member in pool:
            member.process.join()
            member.process.close()
