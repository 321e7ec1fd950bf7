"""The job that measures a model which a trainer of the user's left in a folder."""

from dataclasses import dataclass, replace
from pathlib import Path

from cuvee.errors import CheckpointError, ConfigError, SourceError
from cuvee.evaluation.scores import Scores
from cuvee.execution.interface import Report
from cuvee.models.hugging_face import check_finite, read_flat
from cuvee.models.interface import CausalModel
from cuvee.sources.tokenizer import load_tokenizer, tokenizer_hash
from cuvee.study.plan.job import Bench, Failed
from cuvee.training.run import ModelSpec


@dataclass(frozen=True)
class ModelTask:
    """Measure a model folder on every evaluation."""

    folder: Path
    bench: Bench
    """Of the study: its evaluations, and how it computes."""
    tokenizer: str
    """Hash of the study's."""

    @property
    def label(self) -> str:
        """As it is called in errors."""
        return f"measuring the model in {self.folder}"

    @property
    def device(self) -> str:
        """Where it computes."""
        return self.bench.model.device


@dataclass(frozen=True, eq=False)
class MeasuredFolder:
    """A model with its losses."""

    scores: Scores
    parameters: int
    flops_per_token: float
    """Of a forward pass."""


def measure_folder(task: ModelTask, report: Report) -> MeasuredFolder | Failed:
    """Job: a folder that is no such model is a result too."""
    try:
        found = _measured(task)
    except (CheckpointError, ConfigError, SourceError) as error:
        return Failed(str(error))
    report(1, task.folder.name)
    return found


def _measured(task: ModelTask) -> MeasuredFolder:
    if (own := tokenizer_hash(task.folder)) != task.tokenizer:
        raise CheckpointError(
            f"{task.folder}: its tokenizer ({own}) is not that of the study ({task.tokenizer}), so that "
            "losses a token cannot be compared; train with the folder that {tokenizer} names, and save it "
            "unchanged"
        )
    spec = task.bench.model
    model = ModelSpec(None, task.folder, spec.dtype, device=spec.device, window=spec.window)
    built = model.build()
    _check_fit(task, built)
    flat = read_flat(task.folder, built)
    check_finite(task.folder, flat)
    scores = replace(task.bench, model=model).evaluator().score(flat.to(spec.device))
    return MeasuredFolder(scores, built.layout.size, built.flops_per_token)


def _check_fit(task: ModelTask, model: CausalModel) -> None:
    """Refuse a model that cannot read the evaluations."""
    tokens = load_tokenizer(task.folder).vocabulary_size
    length = max(one.context_length for one in task.bench.evaluations)
    for what, has, needs in (
        ("tokens in its vocabulary", model.vocabulary_size, tokens),
        ("tokens of context", model.context_length, length),
    ):
        if has < needs:
            raise CheckpointError(f"{task.folder}: has {has} {what}, but the study needs {needs}")
