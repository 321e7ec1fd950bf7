"""Evaluation rows: what the losses of a study are measured on (floor 7)."""

from collections.abc import Mapping

from cuvee.decisions.evaluations import EvaluationRow
from cuvee.study.material import Material


def evaluation_rows(material: Material, weights: Mapping[str, float]) -> tuple[EvaluationRow, ...]:
    """One row an evaluation: documents and tokens of its two halves, and its weight in the target."""
    return tuple(
        EvaluationRow(one.name, one.documents, one.tokens, other.documents, other.tokens, weights[one.name])
        for one, other in zip(material.evaluations, material.checking.evaluations, strict=True)
    )
