"""Scores as rows of the store: metrics by name, and nats document by document."""

from math import isfinite

from cuvee.evaluation.scores import Scores
from cuvee.runs.metric_names import BITS, NATS
from cuvee.types import FloatArray


def metrics_of(scores: Scores) -> dict[str, float]:
    """Losses of one model by name, the unit in the name; those that are no numbers are left out."""
    names = scores.documents.evaluations
    nats = {NATS + name: float(v) for name, v in zip(names, scores.nats_per_token, strict=True)}
    bits = {BITS + name: float(v) for name, v in zip(names, scores.bits_per_byte, strict=True)}
    return {name: value for name, value in (nats | bits).items() if isfinite(value)}


def documents_of(scores: Scores) -> dict[str, FloatArray]:
    """Nats of the documents of one model, evaluation by evaluation."""
    documents = scores.documents
    return {
        name: scores.nats[documents.evaluation == position]
        for position, name in enumerate(documents.evaluations)
    }
