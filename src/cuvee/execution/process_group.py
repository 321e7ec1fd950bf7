"""A program of somebody else's, with all that it starts, as one process group.

It ends as a whole: at a time limit, when the job that waits for it is stopped, and when the process that
waits is killed without a word. For the last a small guard waits on a pipe that only that process holds; the
pipe ends with it, and the guard kills the group.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from cuvee.execution.worker import GRACE_SECONDS

_GUARD = """\
read -r group && [ "$group" != done ] || exit 0
read -r end
[ "$end" = done ] || kill -s KILL -- "-$group"
"""
_POLL_SECONDS = 0.02
_TO_END_SECONDS = GRACE_SECONDS / 2
"""How long a program may take to end after SIGTERM: a stopped worker itself has ``GRACE_SECONDS``."""


def run_group(
    arguments: Sequence[str], folder: Path, environment: Mapping[str, str], seconds: float | None = None
) -> int | None:
    """Run a program to its end.

    Args:
        arguments: the program and its arguments.
        folder: in which it runs.
        environment: all of it.
        seconds: after which it is stopped; None waits for ever.

    Returns:
        Its exit status, negative for a signal; None where its time was over.

    Raises:
        OSError: it cannot be started.
    """
    with _started(arguments, folder, environment) as process:
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None


@contextmanager
def _started(
    arguments: Sequence[str], folder: Path, environment: Mapping[str, str]
) -> Iterator["subprocess.Popen[bytes]"]:
    with _guard() as say:
        process = subprocess.Popen(
            arguments, cwd=folder, env=dict(environment), stdin=subprocess.DEVNULL, start_new_session=True
        )
        try:
            say(f"{process.pid}")
            yield process
        finally:
            _end(process)


@contextmanager
def _guard() -> Iterator[Callable[[str], None]]:
    """A process that kills the group whose number it gets, unless it is dismissed. Its session is its own, so
    that what kills all of its parent's leaves it."""
    guard = subprocess.Popen(["/bin/sh", "-c", _GUARD], stdin=subprocess.PIPE, start_new_session=True)
    pipe = guard.stdin
    assert pipe is not None  # it was asked for

    def say(line: str) -> None:
        with suppress(OSError):  # somebody has killed the guard
            pipe.write(f"{line}\n".encode())
            pipe.flush()

    try:
        yield say
    finally:
        say("done")
        with suppress(OSError):
            pipe.close()
        guard.wait()


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End what is left of the group; a program may have left others behind."""
    _send(process.pid, signal.SIGTERM)
    deadline = time.monotonic() + _TO_END_SECONDS
    while _alive(process) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    _send(process.pid, signal.SIGKILL)
    process.wait()


def _alive(process: "subprocess.Popen[bytes]") -> bool:
    process.poll()  # a program that has ended stays in its group until it is asked
    try:
        os.killpg(process.pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _send(group: int, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
