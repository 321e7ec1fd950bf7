"""Where the jobs of a command run: options, and the executor that they mean."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cuvee.execution.interface import Executor
    from cuvee.study.file.config import StudyConfig
    from cuvee.study.file.folder import StudyFolder

_GIB = 1 << 30


class ExecutorOption(StrEnum):
    """Kinds of executors."""

    local = "local"
    ray = "ray"


ExecutorName = Annotated[
    ExecutorOption,
    typer.Option("--executor", help="Where jobs run: processes of this machine, or a Ray cluster."),
]
Address = Annotated[
    str | None,
    typer.Option(
        "--address",
        metavar="ADDRESS",
        help="Of the Ray cluster, `auto` or host:port. Default: a Ray of this command on this machine.",
    ),
]
JobMemory = Annotated[
    float,
    typer.Option("--job-memory", min=0, metavar="GIB", help="Memory that Ray reserves for each job."),
]


@dataclass(frozen=True)
class Place:
    """Where jobs run."""

    executor: ExecutorOption = ExecutorOption.local
    address: str | None = None
    job_memory: float = 0.0

    def check(self) -> "Place":
        """Itself.

        Raises:
            ConfigError: options of Ray without it.
        """
        from cuvee.errors import ConfigError

        if self.executor is ExecutorOption.local and (self.address is not None or self.job_memory):
            raise ConfigError("--address and --job-memory are of Ray: give --executor ray, too")
        return self

    @contextmanager
    def open(self, config: "StudyConfig", folder: "StudyFolder") -> Iterator["Executor | None"]:
        """The executor, for who holds the study; None means its default.

        Raises:
            ConfigError: Ray is not installed or cannot be reached.
        """
        if self.executor is ExecutorOption.local:
            yield None
            return
        from cuvee.execution.ray_tasks import Needs, RayExecutor, connected

        needs = Needs(memory=round(self.job_memory * _GIB))
        with connected(self.address, config.workers), RayExecutor(folder.root, needs) as executor:
            yield executor


HERE_AND_NOW = Place()
"""Processes of this machine."""
