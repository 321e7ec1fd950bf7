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
Artifacts = Annotated[
    str | None,
    typer.Option(
        "--artifacts",
        metavar="URL",
        help="By way of which nodes without a shared folder get and give files, such as s3://bucket/folder.",
    ),
]


@dataclass(frozen=True)
class Place:
    """Where jobs run."""

    executor: ExecutorOption = ExecutorOption.local
    address: str | None = None
    job_memory: float = 0.0
    artifacts: str | None = None

    def check(self) -> "Place":
        """Itself.

        Raises:
            ConfigError: options of Ray without it.
        """
        from cuvee.errors import ConfigError

        given = self.address is not None or self.artifacts is not None or self.job_memory
        if self.executor is ExecutorOption.local and given:
            raise ConfigError("--address, --artifacts and --job-memory are of Ray: give --executor ray, too")
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
        from cuvee.execution.local import LocalProcesses
        from cuvee.execution.ray_tasks import Needs, RayExecutor, connected
        from cuvee.execution.url_artifacts import UrlArtifacts

        needs, here = Needs(memory=round(self.job_memory * _GIB)), LocalProcesses(config.workers)
        with connected(self.address, config.workers):
            apart = None if self.artifacts is None else UrlArtifacts.begin(folder.root, self.artifacts)
            with RayExecutor(folder.root, needs, artifacts=apart, here=here) as executor:
                yield executor


HERE_AND_NOW = Place()
"""Processes of this machine."""
