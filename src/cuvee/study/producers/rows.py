"""Scores as rows of the store: metrics by name, and nats document by document."""

from collections.abc import Mapping
from math import isfinite

from cuvee.evaluation.scores import Scores
from cuvee.evaluation.task_scores import TaskScores, TaskShape
from cuvee.runs.formats.task_units import of_task
from cuvee.runs.metric_names import BITS, NATS
from cuvee.types import FloatArray


def metrics_of(scores: Scores, shapes: Mapping[str, TaskShape] | None = None) -> dict[str, float]:
    """Losses of one model by name, the unit in the name; those that are no numbers are left out.

    Args:
        scores: of one model [D].
        shapes: given where all requests of downstream tasks were scored: their metrics are found.
    """
    if shapes:
        return _of_tasks(scores, shapes)
    names = scores.documents.evaluations
    nats = {NATS + name: float(v) for name, v in zip(names, scores.nats_per_token, strict=True)}
    bits = {BITS + name: float(v) for name, v in zip(names, scores.bits_per_byte, strict=True)}
    return {name: value for name, value in (nats | bits).items() if isfinite(value)}


def _of_tasks(scores: Scores, shapes: Mapping[str, TaskShape]) -> dict[str, float]:
    nats = documents_of(scores)
    return {
        of_task(metric, task): float(value)
        for task, shape in shapes.items()
        for metric, value in TaskScores(shape, nats[task]).means.items()
        if isfinite(value)
    }


def documents_of(scores: Scores) -> dict[str, FloatArray]:
    """Nats of the documents of one model, evaluation by evaluation."""
    documents = scores.documents
    return {
        name: scores.nats[documents.evaluation == position]
        for position, name in enumerate(documents.evaluations)
    }
