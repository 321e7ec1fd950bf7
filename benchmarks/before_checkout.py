"""The cuvee of an earlier commit beside the present one: where it lies, and processes that run either.

The earlier source is taken out of git into the work folder. A process finds the one or the other by
``PYTHONPATH``, has the environment that the same cuvee gives its workers, and sees no GPU.
"""

import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from benchmarks.harness import FOLDER
from cuvee.errors import ConfigError
from cuvee.files import atomic_folder

ROOT = FOLDER.parent
EARLIER = "07f2d23"
"""Before the work on GPUs began."""
BEFORE, NOW = "before", "now"
WORKER = FOLDER / "before_worker.py"
_SAY_ENVIRONMENT = (
    "import json; from cuvee.execution.local import WORKER_ENVIRONMENT; print(json.dumps(WORKER_ENVIRONMENT))"
)


def sources(work: Path) -> dict[str, Path]:
    """The two folders that ``PYTHONPATH`` may name.

    Raises:
        ConfigError: the earlier commit is not in this checkout.
    """
    folder = work / EARLIER
    if not folder.is_dir():
        command = ["git", "archive", "--format=tar", EARLIER, "src"]
        done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True)
        if done.returncode:
            raise ConfigError(
                f"benchmark: git has no commit {EARLIER} in {ROOT} ({done.stderr.decode().strip()}); "
                "`git fetch --unshallow` gets it"
            )
        with atomic_folder(folder) as temporary, tarfile.open(fileobj=BytesIO(done.stdout)) as archive:
            archive.extractall(temporary, filter="data")
    return {BEFORE: folder / "src", NOW: ROOT / "src"}


def environment(source: Path) -> dict[str, str]:
    """Of a process that runs the cuvee of a folder, with one thread and without GPUs."""
    # With byte code, as an installed cuvee has it: compiling all files would be a third of a short command.
    own = {"PYTHONDONTWRITEBYTECODE": "", "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(source)}
    return os.environ | {"OMP_NUM_THREADS": "1"} | own


def worker_environment(source: Path) -> dict[str, str]:
    """The same with what that cuvee gives its workers."""
    command = [sys.executable, "-c", _SAY_ENVIRONMENT]
    done = subprocess.run(command, env=environment(source), check=True, capture_output=True)
    said: dict[str, str] = json.loads(done.stdout)
    return environment(source) | said


@dataclass(frozen=True)
class Worker:
    """A process that stays, and does what it is asked (``before_worker.py``)."""

    process: subprocess.Popen[str]

    def turn(self, words: Mapping[str, Any]) -> tuple[float, str]:
        """Do a work once; processor seconds, and a digest of what came out."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(words) + "\n")
        self.process.stdin.flush()
        answer = self.answer()
        return float(answer["seconds"]), str(answer["digest"])

    def answer(self) -> dict[str, Any]:
        """The next line that it says.

        Raises:
            RuntimeError: it ended instead; why stands on the terminal.
        """
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{WORKER}: ended with {self.process.wait()}")
        found: dict[str, Any] = json.loads(line)
        return found


@contextmanager
def worker(source: Path) -> Iterator[Worker]:
    """A worker that imports cuvee from a folder.

    Raises:
        RuntimeError: it found another cuvee.
    """
    process = subprocess.Popen(
        [sys.executable, str(WORKER)],
        env=worker_environment(source),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        one = Worker(process)
        found = Path(one.answer()["cuvee"])
        if not found.is_relative_to(source):
            raise RuntimeError(f"{WORKER}: imported {found}, and was to import from {source}")
        yield one
    finally:
        process.kill()
        process.communicate()
