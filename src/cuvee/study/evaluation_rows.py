"""Evaluation rows: what the losses of a study are measured on."""

from collections.abc import Mapping

import numpy as np

from cuvee.decisions.evaluations import EvaluationRow, that_count
from cuvee.evaluation.scores import Documents
from cuvee.study.plan.material import Material
from cuvee.types import FloatArray


def evaluation_rows(material: Material, weights: Mapping[str, float]) -> tuple[EvaluationRow, ...]:
    """One row an evaluation: documents and tokens of its two halves, and its weight in the target."""
    return tuple(
        EvaluationRow(one.name, one.documents, one.tokens, other.documents, other.tokens, weights[one.name])
        for one, other in zip(material.evaluations, material.checking.evaluations, strict=True)
    )


def fewest_documents(documents: Documents, weights: Mapping[str, float]) -> int:
    """Documents of the evaluation that has the fewest, among those that decide anything."""
    return int(documents.counts[that_count(documents.target(dict(weights)))].min())


def of_known_error(documents: Documents, target: FloatArray) -> FloatArray:
    """The weights in the target [E] of which the choice of documents makes an error: not those that decide
    nothing and have a single document, of which nothing is known."""
    return np.where(that_count(target) | (documents.counts > 1), target, 0.0)
