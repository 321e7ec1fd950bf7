"""From a study file to a table of runs of the user's own trainer: the flow of ``cuvee swarm``.

A design of mixtures is planned, each is a run of the command of the study file, and what the runs measured is
a table. They are launched here, or written as scripts that something else runs; the same call again collects
what has ended since. What is there is never made again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cuvee.errors import ConfigError
from cuvee.execution.interface import Executor
from cuvee.exporters.interface import SourceFacts
from cuvee.exporters.registry import exporter_named
from cuvee.files import atomic_path
from cuvee.flows.swarm.design import design
from cuvee.flows.swarm.emission import emit_runs
from cuvee.progress import Progress, Silent
from cuvee.quantities import agreeing, counted
from cuvee.runs.observations import Observations
from cuvee.runs.run import Run, observations_of
from cuvee.study.file.config import StudyConfig
from cuvee.study.file.folder import StudyFolder
from cuvee.study.opening import available_tokens, opened
from cuvee.study.plan.commanded_run import CommandedRun
from cuvee.study.plan.mixtures import region_of
from cuvee.study.plan.training_text import training_text
from cuvee.study.producers.commanded import CommandedRuns
from cuvee.study.runner import Runner
from cuvee.study.source_facts import facts_beside

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
        parts = [
            f"{len(self.observations)} of {counted(self.asked, 'run')} "
            f"{agreeing(len(self.observations), 'is', 'are')} done"
        ]
        parts += [f"{len(self.failed)} failed"] if self.failed else []
        parts += (
            [f"{len(self.missing)} {agreeing(len(self.missing), 'has', 'have')} not ended"]
            if self.missing
            else []
        )
        return f"{', '.join(parts)}."


def run(
    config: StudyConfig,
    folder: StudyFolder,
    progress: Progress | None = None,
    executor: Executor | None = None,
    emit: Path | None = None,
) -> Swarm:
    """Make what is missing, or write it as scripts, and collect what has ended.

    Args:
        config: of the study.
        folder: of the study.
        progress: where stages are reported.
        executor: where runs are launched; default processes of this machine.
        emit: a folder for the scripts; None launches the runs.

    Raises:
        ConfigError: the study names no command, or the mixtures cannot be written in its format.
        CuveeError: text or limits that cannot be used.
    """
    progress = progress or Silent()
    _check(config)
    with opened(config, folder, progress, executor) as runner:
        available = available_tokens(config, runner.plan.material)
        facts = _facts(runner, available, progress)
        root = folder.swarm / "runs" if emit is None else emit.absolute() / "runs"
        producer = CommandedRuns(runner.plan, facts, root, launched=emit is None)
        requests = _requests(runner, available)
        _remark(producer, requests, progress)
        runner.make(producer, requests)
        known = runner.known(producer, requests)
        if emit is not None:
            emit_runs(emit, config, producer, requests, known)
        return _collected(runner, producer, requests, known, available)


def _check(config: StudyConfig) -> None:
    """What can be refused before any text is read."""
    if not config.trainer.command:
        raise ConfigError(
            "trainer.command: names no command; say how your trainer is called, such as "
            '"python train.py --mixture {mixture} --output {output}" (docs/trainers.md)'
        )
    if config.trainer.format:
        exporter_named(config.trainer.format)


def _facts(runner: Runner, available: dict[str, int], progress: Progress) -> dict[str, SourceFacts]:
    """What the exporter is to know of the sources that may be in the mixture."""
    plan, found = runner.plan, facts_beside(runner.plan.folder.root)
    own = {name: found[name] for name in plan.config.pool_sources}
    if plan.config.trainer.returns == "model":
        return {
            name: replace(one, tokens=plan.material.tokens(name))
            for name, one in training_text(plan, own, progress).items()
        }
    return {name: one.of_tokens(available[name]) for name, one in own.items()}


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
