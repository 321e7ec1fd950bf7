"""From a study file to a table of runs of the user's own trainer: the flow of ``cuvee swarm``.

A design of mixtures is planned, each is a run of the command of the study file, and what the runs measured is
a table. They are launched here, or written as scripts that something else runs; the same call again collects
what has ended since. What is there is never made again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cuvee.execution.interface import Executor
from cuvee.files import atomic_path
from cuvee.flows.swarm.design import design
from cuvee.flows.swarm.outlook import SwarmOutlook
from cuvee.flows.swarm.question import check_directions
from cuvee.progress import Progress, Silent
from cuvee.runs.observations import Observations
from cuvee.runs.run import Run, observations_of
from cuvee.study.asked_runs import AskedRuns, counted_runs
from cuvee.study.emission import emit_runs
from cuvee.study.file.config import StudyConfig
from cuvee.study.file.folder import StudyFolder
from cuvee.study.opening import available_tokens, opened
from cuvee.study.plan.commanded_run import CommandedRun
from cuvee.study.plan.mixtures import region_of
from cuvee.study.producers.commanded import CommandedRuns
from cuvee.study.runner import Runner
from cuvee.study.trainer_runs import check_trainer, commanded_runs, needed_metrics, pace_of, write_text_of

TABLE = "runs.csv"


@dataclass(frozen=True, eq=False)
class Swarm:
    """The runs of a trainer, as far as they have ended."""

    observations: Observations
    """Those that measured something, in the order of the design."""
    table: Path
    """Where they stand as a table."""
    failed: tuple[Run, ...]
    missing: tuple[str, ...]
    """Keys of runs that have not ended."""
    runs: Path
    """In which each run has a folder."""
    available: dict[str, int]
    """Tokens of each source at the target run."""

    @property
    def asked(self) -> int:
        """Runs of the design."""
        return len(self.observations) + len(self.failed) + len(self.missing)

    @property
    def statement(self) -> str:
        """How many are done, failed and missing."""
        return f"{counted_runs(len(self.observations), len(self.failed), len(self.missing))}."


def run(
    config: StudyConfig,
    folder: StudyFolder,
    progress: Progress | None = None,
    executor: Executor | None = None,
    emit: Path | None = None,
    limit: int | None = None,
) -> Swarm:
    """Make what is missing, or write it as scripts, and collect what has ended.

    Args:
        config: of the study.
        folder: of the study.
        progress: where stages are reported.
        executor: where runs are launched; default processes of this machine.
        emit: a folder for the scripts; None launches the runs.
        limit: make or write no more than so many of those that are missing.

    Raises:
        ConfigError: the study names no command, or the mixtures cannot be written in its format.
        CuveeError: text or limits that cannot be used.
    """
    progress = progress or Silent()
    check_trainer(config, needed_metrics(config))
    check_directions(config)
    with opened(config, folder, progress, executor) as runner:
        available = available_tokens(config, runner.plan.material)
        producer = commanded_runs(runner, emit)
        requests = _requests(runner, available)
        _remark(producer, requests, progress)
        write_text_of(runner)
        AskedRuns(producer.root, tuple(map(producer.key, requests))).write(folder)
        runner.make(producer, _limited(runner, producer, requests, limit))
        known = runner.known(producer, requests)
        if emit is not None:
            emit_runs(emit, config, producer, requests, known)
        return _collected(runner, producer, requests, known, available)


def outlook(
    config: StudyConfig,
    folder: StudyFolder,
    progress: Progress | None = None,
    executor: Executor | None = None,
) -> SwarmOutlook:
    """What the runs that are left will take; text is prepared, nothing is launched or written for them."""
    check_trainer(config, needed_metrics(config))
    check_directions(config)
    with opened(config, folder, progress, executor, looking=True) as runner:
        producer = commanded_runs(runner)
        requests = _requests(runner, available_tokens(config, runner.plan.material))
        return SwarmOutlook.of(config, requests, runner.known(producer, requests), pace_of(runner))


def _limited(
    runner: Runner, producer: CommandedRuns, requests: list[CommandedRun], limit: int | None
) -> list[CommandedRun]:
    """The first of those that are not done, so many of them."""
    known = runner.known(producer, requests)
    left = [one for one, run in zip(requests, known, strict=True) if run is None or run.status == "failed"]
    return left[:limit]


def _requests(runner: Runner, available: dict[str, int]) -> list[CommandedRun]:
    config = runner.plan.config
    tokens = config.trainer.tokens or config.reference_training.tokens
    mixtures = design(region_of(config, available), available, config.trainer.count, config.seed)
    return [CommandedRun(one, tokens, config.seed) for one in mixtures]


def _remark(producer: CommandedRuns, requests: Sequence[CommandedRun], progress: Progress) -> None:
    """Say once what the format cannot express; what holds of some mixtures alone stands in their scripts."""
    remarks = [producer.remarks(one) for one in requests]
    for sentence in remarks[0]:
        if all(sentence in others for others in remarks):
            progress.message(sentence)


def _collected(
    runner: Runner,
    producer: CommandedRuns,
    requests: Sequence[CommandedRun],
    known: Sequence[Run | None],
    available: dict[str, int],
) -> Swarm:
    done = [one for one in known if one is not None and one.status == "done"]
    observations = observations_of(done, runner.plan.config.pool_sources)
    table = runner.plan.folder.swarm / TABLE
    with atomic_path(table) as path:
        observations.write_csv(path)
    return Swarm(
        observations,
        table,
        tuple(one for one in known if one is not None and one.status == "failed"),
        tuple(producer.key(one) for one, run in zip(requests, known, strict=True) if run is None),
        producer.root,
        available,
    )
