"""The job that runs a trainer of the user's on this machine, in a process group of its own."""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass

from cuvee.execution.cores import usable_cores
from cuvee.execution.interface import Report
from cuvee.execution.local import WORKER_ENVIRONMENT
from cuvee.execution.process_group import run_group
from cuvee.study.file.settings import TrainerSettings
from cuvee.study.plan.run_folder import TIMEOUT, RunFolder
from cuvee.study.plan.run_result import RunResult, result_of

_THREADS = "OMP_NUM_THREADS"
_HOUR = 3600.0


@dataclass(frozen=True)
class LaunchTask:
    """Run what lies in a folder."""

    folder: RunFolder
    settings: TrainerSettings
    needed: tuple[str, ...]
    """Metrics without which a run has failed."""
    environment: Mapping[str, str]
    """Variables in which that of a worker differs from what the trainer shall see."""

    @property
    def label(self) -> str:
        """As it is called in errors."""
        return f"the trainer's run in {self.folder.path}"


def launch(task: LaunchTask, report: Report) -> RunResult:
    """Job: attempts until one succeeds, or there are no more."""
    for _ in range(task.settings.retries + 1):
        found = _attempted(task)
        if not found.error:
            break
    report(1, f"{task.folder.path.name} {'failed' if found.error else 'ended'}")
    return found


def trainer_environment(workers: int) -> dict[str, str]:
    """What this process has of the variables that its workers set, and a fair part of the cores if nothing
    is said."""
    own = {name: os.environ[name] for name in WORKER_ENVIRONMENT if name in os.environ}
    return {_THREADS: str(max(1, usable_cores() // workers)), **own}


def _attempted(task: LaunchTask) -> RunResult:
    folder, timeout = task.folder, task.settings.timeout
    others = {name: value for name, value in os.environ.items() if name not in WORKER_ENVIRONMENT}
    folder.begin()
    before, begun = folder.attempts, time.monotonic()
    status = run_group(
        ["/bin/sh", str(folder.script)],
        folder.path,
        others | dict(task.environment),
        None if timeout is None else timeout * _HOUR,
    )
    folder.took((*before, time.monotonic() - begun))
    if status is None:
        folder.end(TIMEOUT)
    elif not folder.ended:  # the script itself was killed
        folder.end(str(128 - status if status < 0 else status or 1))
    found = result_of(folder, task.settings, task.needed)
    assert found is not None  # it has ended
    return found
