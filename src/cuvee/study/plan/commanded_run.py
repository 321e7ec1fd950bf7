"""CommandedRun: one run of a trainer of the user's, as it is asked for, and its key."""

from collections.abc import Mapping
from dataclasses import dataclass

from cuvee.exporters.interface import SourceFacts
from cuvee.exporters.registry import exporter_named
from cuvee.hashing import digest, digest_file
from cuvee.mixture.mixture import Mixture
from cuvee.runs.key import RunKey
from cuvee.runs.metric_names import NATS
from cuvee.sources.split import EVAL
from cuvee.study.file.config import StudyConfig
from cuvee.study.file.settings import TrainerSettings
from cuvee.study.plan.plan import Plan
from cuvee.types import Json


@dataclass(frozen=True)
class CommandedRun:
    """A mixture to be trained on, and how long."""

    mixture: Mixture
    tokens: int
    seed: int


def trainer_weights(config: StudyConfig) -> dict[str, float]:
    """Weight in the target of each metric that runs of the trainer give; empty: all count equally.

    Where cuvee measures, metrics are called by evaluation, of a trainer's own by the names that it gives.
    """
    if config.trainer.returns == "model":
        return {NATS + name: weight for name, weight in config.target_weights.items() if weight > 0}
    return dict(config.trainer.target or config.target.weights)


def commanded_key(
    plan: Plan, facts: Mapping[str, SourceFacts], files: Mapping[str, str], run: CommandedRun
) -> str:
    """Hash of all that is known to determine what a run gives.

    The environment of the trainer is not: whoever changes it, or a file that the command does not name, says
    so in the command.

    Args:
        plan: of the study.
        facts: of the sources, as the file of a mixture says them.
        files: see ``command_files``.
        run: what is asked for.
    """
    settings = plan.config.trainer
    measured: Json = (
        {"evaluations": plan.evaluations, "tokenizer": plan.material.tokenizer}
        if settings.returns == "model"
        else {"metrics": list(settings.metrics)}
    )
    inputs = {**_training(plan, facts, files, run), "result": settings.result, **measured}
    return RunKey("trained", {"trainer": inputs}).digest


def training_key(
    plan: Plan, facts: Mapping[str, SourceFacts], files: Mapping[str, str], run: CommandedRun
) -> str:
    """The same of what decides the training alone, whatever is then measured of it."""
    tokenizer = plan.material.tokenizer if "tokenizer" in plan.config.trainer.template.fields else ""
    return digest({**_training(plan, facts, files, run), "tokenizer": tokenizer})


def _training(
    plan: Plan, facts: Mapping[str, SourceFacts], files: Mapping[str, str], run: CommandedRun
) -> Json:
    settings = plan.config.trainer
    return {
        "command": settings.command,
        "files": dict(files),
        "format": _format(settings, facts, run),
        "mixture": run.mixture.key,
        "content": {name: training_content(plan, name) for name in run.mixture.support},
        "tokens": run.tokens,
        "seed": run.seed,
        "parameters": settings.parameters,
        "sequence_length": settings.sequence_length,
    }


def command_files(plan: Plan) -> dict[str, str]:
    """Digests of the files that the command names, by path; inside the study's folder from there."""
    root = plan.folder.root
    return {
        str(path.relative_to(root) if path.is_relative_to(root) else path): digest_file(path)
        for path in plan.config.trainer.template.files(root)
    }


def training_parts(plan: Plan, source: str) -> list[str]:
    """The parts of a source that may be trained on."""
    return [part for part in plan.material.corpus.parts(source) if part != EVAL]


def training_content(plan: Plan, source: str) -> list[str]:
    """Content hashes of the text of a source that may be trained on."""
    return [plan.material.corpus.part(source, part).content_hash for part in training_parts(plan, source)]


def _format(settings: TrainerSettings, facts: Mapping[str, SourceFacts], run: CommandedRun) -> Json:
    """What decides the file of a mixture, but for where text lies."""
    if not settings.format:
        return {}
    exporter = exporter_named(settings.format)
    counted = {name: [facts[name].tokens, facts[name].documents] for name in run.mixture.support}
    return {"name": exporter.name, "version": exporter.version, "sources": counted}
