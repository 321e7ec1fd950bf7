"""One training carried out by several processes, for models that are too large for one.

    torchrun.py    torch's launcher, which ends when we do
    rank.py        each process: its part of the batch, of the gradient and of the state

The processes begin where one process would, save the same state file, and leave a state that is the same up
to the rounding of sums. What goes between us and them lies in a temporary folder: the work, what was done so
far, errors, and in the end the state.
"""

import json
import os
import pickle
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from cuvee.errors import CuveeError, WorkerError
from cuvee.models.interface import CausalModel
from cuvee.training.loop import Batches
from cuvee.training.recipe import Recipe
from cuvee.training.state import TrainingState

_LOOK_SECONDS = 0.2
_MOST = 1500
"""Characters that are shown of what the processes printed."""
_ENDED = re.compile(r"rank\s*:\s*(\d+) \(local_rank: \d+\)\s*exitcode\s*:\s*(-?\d+)")
"""In torchrun's own words."""


_FOLLOWING = frozenset({signal.SIGTERM, signal.SIGABRT})
"""Signals by which processes end as another one did: of torchrun, and of gloo, which misses its peer."""


@dataclass(frozen=True)
class SharedWork:
    """A training that several processes share. All of it can be sent to them."""

    model: Callable[[str], CausalModel]
    """Makes the model on a device; nothing else in the process uses it."""
    device: str
    """Where the study computes."""
    recipe: Recipe
    key: str
    begin: Callable[[CausalModel], TrainingState]
    """Where it begins, if it was not saved on its way; called in the first process."""
    batches: Callable[[], Batches]
    state_file: Path | None = None
    """As in ``train``."""
    evaluate: Callable[[Tensor], dict[str, float]] | None = None
    """As in ``train``; called in the first process."""
    evaluate_every: int = 0
    until: int | None = None


@dataclass(frozen=True)
class Exchange:
    """The folder between us and the processes of a training."""

    folder: Path

    @property
    def work(self) -> Path:
        return self.folder / "work"

    @property
    def progress(self) -> Path:
        """A line for every report: tokens done, and a note, as JSON."""
        return self.folder / "progress"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def seconds(self) -> Path:
        """Work time of all processes, and wall time of the steps."""
        return self.folder / "seconds"

    @property
    def said(self) -> Path:
        """All that was printed."""
        return self.folder / "said"

    def error(self, rank: int) -> Path:
        return self.folder / f"error-{rank}"


@dataclass(frozen=True, eq=False)
class Launched:
    """What several processes made of a training."""

    state: TrainingState
    seconds: float
    """Work time of all of them."""
    wall_seconds: float
    """That the steps took."""


def launched(work: SharedWork, report: Callable[[float, str], None] = lambda tokens, note: None) -> Launched:
    """Carry out a training in ``work.recipe.processes`` processes of this machine.

    Raises:
        NonFiniteLoss, ConfigError: as ``train``, from any of the processes.
        WorkerError: one of them died; what was saved is gone on from by the next call.
    """
    beside = None if work.state_file is None else work.state_file.parent
    if beside is not None:
        beside.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{work.key}.", suffix=".tmp", dir=beside) as folder:
        exchange = Exchange(Path(folder))
        exchange.work.write_bytes(pickle.dumps(work))
        code = _carried_out(exchange, work.recipe.processes, report)
        state = TrainingState.load(exchange.state, work.key) if code == 0 else None
        if state is None:
            raise _failure(exchange, work, code)
        seconds, wall = json.loads(exchange.seconds.read_text())
        return Launched(state, seconds, wall)


def _carried_out(exchange: Exchange, processes: int, report: Callable[[float, str], None]) -> int:
    command = ["-m", "cuvee.training.torchrun", str(exchange.folder), str(processes), str(os.getpid())]
    paths = os.pathsep.join(path for path in sys.path if path)
    environment = {"OMP_NUM_THREADS": "1", **os.environ, "PYTHONPATH": paths}
    exchange.progress.touch()
    pending = ""
    with exchange.said.open("wb") as said, exchange.progress.open() as progress:
        process = subprocess.Popen(
            [sys.executable, *command],
            env=environment, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True,
        )  # fmt: skip
        try:
            while process.poll() is None:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(_LOOK_SECONDS)
                for line in progress:
                    pending += line
                    if pending.endswith("\n"):
                        report(*json.loads(pending))
                        pending = ""
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # its children end with it
            process.wait()
        return process.returncode


def _failure(exchange: Exchange, work: SharedWork, code: int) -> CuveeError:
    """The error that came first: a process that dies makes the others fail."""
    said = exchange.said.read_text(errors="replace")
    ended = [(int(rank), -int(code)) for rank, code in _ENDED.findall(said) if int(code) < 0]
    files = [exchange.error(rank) for rank in range(work.recipe.processes)]
    errors = sorted((one for one in files if one.is_file()), key=lambda one: one.stat().st_mtime_ns)
    found = [pickle.loads(one.read_bytes()) for one in errors]
    killed = [(rank, number) for rank, number in ended if number not in _FOLLOWING]
    known = [error for error in found if isinstance(error, CuveeError)]
    if known and not killed:
        return known[0]
    for rank, number in killed or [one for one in ended if one[1] != signal.SIGTERM]:
        return _died(work, f"process {rank} {_signal(number)}", said)
    return _died(work, f"torchrun ended with exit code {code}", found[0] if found else said)


def _died(work: SharedWork, what: str, said: str) -> WorkerError:
    saved = "what was saved stays: the same command goes on from there" if work.state_file else "try again"
    return WorkerError(
        f"run {work.key}, a training of {work.recipe.processes} processes: {what}; {saved}. If the system "
        f"ran out of memory, raise `accumulation` or `processes`, or use fewer `workers`\n"
        f"{said.strip()[-_MOST:]}"
    )


def _signal(number: int) -> str:
    with suppress(ValueError):
        return f"was killed by {signal.Signals(number).name}"
    return f"was killed by signal {number}"
