"""Jobs for the tests of cuvee.execution, in a file that worker processes can import."""

import ctypes
import os
import resource
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cuvee.errors import CuveeError, NonFiniteLoss
from cuvee.execution import Report
from cuvee.execution.resident import Resident
from cuvee.files import atomic_folder

KEPT = Resident({"table": 1})
"""Of a worker process."""


class Stubborn(CuveeError):
    """An error whose constructor takes what pickle does not give back."""

    def __init__(self, step: int, *, loss: float) -> None:
        super().__init__(f"step {step}: loss {loss}")


def square(item: int, report: Report) -> int:
    report(item / 4, f"item {item}")
    report(item / 4, f"item {item} again")
    return item * item


def whereabouts(item: int, report: Report) -> tuple[int, dict[str, str]]:
    time.sleep(0.02)
    return os.getpid(), dict(os.environ)


def process(item: int, report: Report) -> int:
    time.sleep(0.02)
    return os.getpid()


def page_faults(blocks: int, report: Report) -> int:
    """Of making as many blocks of 4 MB as a step of training needs, after the first times."""
    before = 0
    for _ in range(4):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        made = [b"x" * (4 << 20) for _ in range(blocks)]
        del made
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def echo(item: Any, report: Report) -> Any:
    return item


def misbehave(item: str, report: Report) -> Any:
    report(1.0, "before")
    match item:
        case "ours":
            raise NonFiniteLoss("loss is nan at step 7")
        case "stubborn":
            raise Stubborn(7, loss=0.5)
        case "foreign":
            raise ValueError("bad value")
        case "exit":
            sys.exit(3)
        case "interrupt":
            raise KeyboardInterrupt
        case "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case "vanish":
            os._exit(9)
        case "result":
            return lambda: None
        case "rebuilt":
            return RefusesToLoad()
        case "slow":
            time.sleep(60)
    return item


class RefusesToLoad:
    def __reduce__(self) -> Any:
        return (_refuse, ())


def _refuse() -> None:
    raise ImportError("no such thing here")


def linger(folder: str, item: int, report: Report) -> int:
    """Item 0 ends at once, the others sleep; each leaves its pid, and cleans up in ``finally``."""
    if item == 0:
        # The others are surely inside the job when this one is done.
        wait_for(Path(folder), "pid-*", 1)
        return 0
    temporary = Path(folder, f"temporary-{item}")
    temporary.touch()
    Path(folder, f"pid-{item}-{os.getpid()}").touch()
    try:
        time.sleep(60)
    finally:
        temporary.unlink()
    return item


def deaf(folder: str, item: int, report: Report) -> int:
    """Like ``linger``, but it ignores the signal to stop."""
    if item == 0:
        wait_for(Path(folder), "pid-*", 1)
        return 0
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    Path(folder, f"pid-{item}-{os.getpid()}").touch()
    time.sleep(60)
    return item


def hold_interpreter(folder: str, item: int, report: Report) -> int:
    """Sleep inside C with the interpreter lock held, so that no Python thread of the worker can run."""
    Path(folder, f"pid-{item}-{os.getpid()}").touch()
    ctypes.PyDLL(None).sleep(60)
    return item


def sleep(folder: str, item: int, report: Report) -> int:
    Path(folder, f"pid-{item}-{os.getpid()}").touch()
    time.sleep(60)
    return item


def nap(item: float, report: Report) -> float:
    time.sleep(item)
    return item


@dataclass(frozen=True)
class Hungry:
    """Needs more memory than a process is given, by way of a library."""

    library: str
    label: str = "training seed on a+b, kept in checkpoints/0f"


def devour(item: Hungry, report: Report) -> int:
    """Only in a process of its own: its memory is limited from now on."""
    import numpy as np
    import torch

    begun = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    room = begun + (1 << 30)
    resource.setrlimit(resource.RLIMIT_AS, (room, room))
    match item.library:
        case "torch":
            return len(torch.ones(1 << 30))
        case "numpy":
            return len(np.ones(1 << 29))
        case _:
            return len(bytearray(1 << 32))


def overflow_card(item: Hungry, report: Report) -> int:
    """Raises what torch 2.11 raised on an H100 without room; no card is at hand where tests run."""
    import torch

    text = "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has 79.2 GiB of which 1.1 GiB is free."
    raise torch.OutOfMemoryError(text)


def wait_for(folder: Path, pattern: str, count: int) -> None:
    deadline = time.monotonic() + 100  # on a busy machine a worker may take long to start
    while len(list(folder.glob(pattern))) < count:
        assert time.monotonic() < deadline
        time.sleep(0.01)


@dataclass(frozen=True)
class Labelled:
    """An item that says what it is."""

    what: str
    label: str


def misbehave_labelled(item: Labelled, report: Report) -> str:
    return misbehave(item.what, report)


@dataclass(frozen=True)
class Placed:
    """An item that wants a device."""

    device: str
    what: str = "fine"

    @property
    def label(self) -> str:
        return f"{self.what} on {self.device}"


def misbehave_placed(item: Placed, report: Report) -> str:
    return misbehave(item.what, report)


def keep(item: Placed, report: Report) -> tuple[int, int, str]:
    """Process, tables made there so far, and its device."""
    KEPT.get("table", item.what, lambda: [item.what])
    return os.getpid(), KEPT.made["table"], os.environ.get("CUVEE_DEVICE", "none")


def slowly_keep(item: Placed, report: Report) -> tuple[int, int, str]:
    time.sleep(0.02)
    return keep(item, report)


def surroundings(item: Placed, report: Report) -> tuple[int, dict[str, str]]:
    return whereabouts(0, report)


def imported(item: "Placed", report: Report) -> tuple[int, list[str]]:
    """The process, and what it has imported."""
    return os.getpid(), sorted(sys.modules)


def publish(folder: str, fault: str, item: int, report: Report) -> int:
    """Publish a folder that says which attempt made it; the first attempt at item 1 meets a fault before.

    Item 2 waits until the first attempt at item 1 has come to its end.
    """
    root = Path(folder)
    number = _attempts(root, item)
    report(1.0, f"attempt {number}")
    if item == 2 and fault == "pause":
        wait_for(root, "refused", 1)
    if item == 1 and number == 1 and fault == "pause":
        return _paused(root, root / "made")
    with atomic_folder(root / "made" / str(item)) as temporary:
        if item == 1 and number == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        (temporary / "attempt").write_text(str(number))
    return number


def _attempts(root: Path, item: int) -> int:
    (root / f"began-{item}-{os.getpid()}-{time.monotonic_ns()}").touch()
    return len(list(root.glob(f"began-{item}-*")))


@dataclass(frozen=True)
class Apart:
    """An item whose worker sees another folder than the one that is named here."""

    made: Path
    """In which each item publishes a folder."""
    signals: str
    """A folder that all see, in which the test hears of attempts."""
    number: int


def publish_apart(item: Apart, report: Report) -> tuple[int, Path]:
    """As ``publish`` with the fault ``pause``; also where it was published."""
    root = Path(item.signals)
    number = _attempts(root, item.number)
    report(1.0, f"attempt {number}")
    if item.number == 2:
        wait_for(root, "refused", 1)
    if item.number == 1 and number == 1:
        return _paused(root, item.made), item.made
    with atomic_folder(item.made / str(item.number)) as temporary:
        (temporary / "attempt").write_text(str(number))
    return number, item.made


def _paused(root: Path, made: Path) -> int:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
    try:
        with atomic_folder(made / "1") as temporary:
            (temporary / "attempt").write_text("1")
            (root / "paused").write_text(str(os.getpid()))
            os.kill(os.getpid(), signal.SIGSTOP)
    except CuveeError as error:
        (root / "refused").write_text(str(error))
        raise
    return 1


def hang_once(folder: str, item: int, report: Report) -> int:
    """Each item's first attempt hangs, deaf to all but SIGKILL."""
    if _attempts(Path(folder), item) == 1:
        os.kill(os.getpid(), signal.SIGSTOP)
    return item


def publish_once(folder: str, report: Report) -> str:
    with atomic_folder(Path(folder) / "made") as temporary:
        (temporary / "model").touch()
    return folder
