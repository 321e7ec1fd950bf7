"""What losses are measured on, and whether that is enough to decide by."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cuvee.types import AnyArray, BoolArray

FEWEST_DOCUMENTS = 20
"""Documents of an evaluation, in each half, from which on it can decide."""
FEW = "Few held-out documents"
"""The first words of the warning of too few documents. It stands in the first lines of every
answer."""
COUNTS_FROM = 0.01
"""Part of the largest weight in the target from which on an evaluation counts: one of less decides nothing,
however few its documents are."""


@dataclass(frozen=True)
class EvaluationRow:
    """What a loss was measured on."""

    evaluation: str
    documents: int
    """By which mixtures were chosen."""
    tokens: int
    checking_documents: int
    """Which no choice has seen."""
    checking_tokens: int
    weight: float
    """In the target."""


def that_count(weights: AnyArray) -> BoolArray:
    """Which evaluations decide anything [E], given their weights in the target [E]."""
    return np.asarray(weights >= COUNTS_FROM * np.max(weights))


def few_documents(evaluations: Sequence[EvaluationRow]) -> list[str]:
    """A sentence where evaluations in the target have too few documents, and what would help; or none."""
    if not evaluations:
        return []
    counting = that_count(np.array([one.weight for one in evaluations]))
    short = [
        one
        for one, counts in zip(evaluations, counting, strict=True)
        if counts and min(one.documents, one.checking_documents) < FEWEST_DOCUMENTS
    ]
    if not short:
        return []
    counts = ", ".join(f"{one.evaluation} {one.documents} and {one.checking_documents}" for one in short)
    return [
        f"{FEW} (to choose and to check: {counts}): with fewer than {FEWEST_DOCUMENTS} "
        "each, intervals are wide, and rough themselves. Raise `split.evaluation`, cut long documents with "
        "`chunk_characters`, or give the evaluation more text." + _single(short)
    ]


def _single(short: Sequence[EvaluationRow]) -> str:
    alone = [one.evaluation for one in short if min(one.documents, one.checking_documents) < _TWO]
    return f" Of {', '.join(alone)} no interval knows what another document would say." if alone else ""


_TWO = 2  # documents, the fewest that differ
