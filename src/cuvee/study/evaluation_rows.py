"""What losses are measured on, and whether that is enough to decide by (floor 7)."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from cuvee.study.decision import EvaluationRow

if TYPE_CHECKING:
    from cuvee.study.material import Material

FEWEST_DOCUMENTS = 20
"""Documents of an evaluation, in each half, from which on it can decide."""


def evaluation_rows(material: "Material", weights: Mapping[str, float]) -> tuple[EvaluationRow, ...]:
    """One row an evaluation: documents and tokens of its two halves, and its weight in the target."""
    return tuple(
        EvaluationRow(one.name, one.documents, one.tokens, other.documents, other.tokens, weights[one.name])
        for one, other in zip(material.evaluations, material.checking.evaluations, strict=True)
    )


def few_documents(evaluations: Sequence[EvaluationRow]) -> list[str]:
    """A sentence where evaluations in the target have too few documents, and what would help; or none."""
    short = [
        one
        for one in evaluations
        if one.weight > 0 and min(one.documents, one.checking_documents) < FEWEST_DOCUMENTS
    ]
    if not short:
        return []
    counts = ", ".join(f"{one.evaluation} {one.documents} and {one.checking_documents}" for one in short)
    return [
        f"Few held-out documents (to choose and to check: {counts}): with fewer than {FEWEST_DOCUMENTS} "
        "each, what is best hangs on which they are. Raise `split.evaluation`, cut long documents with "
        "`chunk_characters`, or give the evaluation more text."
    ]
