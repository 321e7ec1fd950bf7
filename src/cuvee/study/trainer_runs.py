"""The runs of a study's own trainer, ready to be asked for: what the flows share that ask for some."""

from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

from cuvee.errors import ConfigError
from cuvee.exporters.interface import SourceFacts
from cuvee.exporters.registry import exporter_named
from cuvee.runs.roles import SEARCH, SWARM
from cuvee.study.file.config import StudyConfig
from cuvee.study.opening import available_tokens
from cuvee.study.plan.commanded_run import trainer_weights
from cuvee.study.plan.plan import Plan
from cuvee.study.plan.training_text import training_facts, write_training_text
from cuvee.study.producers.commanded import CommandedRuns
from cuvee.study.runner import Runner
from cuvee.study.source_facts import facts_beside
from cuvee.study.trainer_pace import TrainerPace


def check_trainer(config: StudyConfig, needed: Sequence[str]) -> None:
    """What can be refused before any text is read.

    Args:
        config: of the study.
        needed: metrics that runs have to give.

    Raises:
        ConfigError: the study names no command, no such format, or weighs a metric that it leaves out.
    """
    trainer = config.trainer
    if not trainer.command:
        raise ConfigError(
            "trainer.command: names no command; say how your trainer is called, such as "
            '"python train.py --mixture {mixture} --output {output}" (docs/trainers.md)'
        )
    if trainer.format:
        exporter_named(trainer.format)
    for name in needed if trainer.metrics else ():
        if not any(name == one or fnmatchcase(name, one) for one in trainer.metrics):
            raise ConfigError(f"trainer.metrics: leaves out {name!r}, which counts in the target; add it")


def needed_metrics(config: StudyConfig) -> tuple[str, ...]:
    """Metrics of a trainer's own that its runs have to give."""
    if config.trainer.returns == "model":
        return ()
    return tuple(name for name, weight in trainer_weights(config).items() if weight > 0)


def counting(config: StudyConfig) -> tuple[str, ...]:
    """Evaluations with a weight in the target of the study."""
    return tuple(name for name, weight in config.target_weights.items() if weight > 0)


def commanded_runs(runner: Runner, emit: Path | None = None) -> CommandedRuns:
    """What makes runs of the trainer; their text is written by ``write_text_of``.

    Args:
        runner: of the study.
        emit: a folder for scripts that something else runs; None launches runs in the folder of the study.
    """
    plan = runner.plan
    root = plan.folder.swarm if emit is None else emit.absolute()
    return CommandedRuns(plan, _facts(plan), root / "runs", emit is None, needed_metrics(plan.config))


def searched_runs(runner: Runner, emit: Path | None = None) -> CommandedRuns:
    """What makes runs of the trainer in a search.

    Each has to give a loss on what counts in the target, by the name of the evaluation. One that fails is an
    experiment that measured nothing until the next command, which tries it again.
    """
    config = runner.plan.config
    needed = counting(config) if config.trainer.returns == "metrics" else ()
    return replace(commanded_runs(runner, emit), needed=needed, role=SEARCH)


def write_text_of(runner: Runner) -> None:
    """Write what the trainer may read, where its models are measured here."""
    if runner.plan.config.trainer.returns == "model":
        write_training_text(runner.plan, runner.progress)


def pace_of(runner: Runner) -> TrainerPace | None:
    """How long runs of this trainer took; None where none was timed."""
    trainer = runner.plan.config.trainer
    # A model that is measured has the parameters that it has, whatever the study file says.
    size = trainer.parameters if trainer.returns == "metrics" else None
    runs = [
        one
        for one in runner.store.runs(role=(SWARM, SEARCH))
        if one.details.get("command") == trainer.command and size in (None, one.params)
    ]
    return TrainerPace.of(runs, runner.store.seconds())


def _facts(plan: Plan) -> dict[str, SourceFacts]:
    """What the exporter is to know of the sources that may be in the mixture."""
    found = facts_beside(plan.folder.root)
    own = {name: found[name] for name in plan.config.pool_sources}
    if plan.config.trainer.returns == "model":
        return training_facts(plan, own)
    available = available_tokens(plan.config, plan.material)
    # Its runs are made on the text of the study, sample or not: that is nothing to be said of each.
    return {name: replace(one.of_tokens(available[name]), read_tokens=0) for name, one in own.items()}
