"""BM25 against its formula, written as loops, and on text that is none."""

from math import log

import numpy as np
import pytest

from cuvee.errors import EmptySource
from cuvee.valuation.bm25 import BM25, K1, B, words

TEXTS = ("The cat sat on the mat", "a dog sat", "cat cat cat dog", "", "Überraschung im Wald!")


def by_loops(query: str) -> list[float]:
    documents = [words(text) for text in TEXTS]
    mean = sum(map(len, documents)) / len(documents)
    found = []
    for document in documents:
        total = 0.0
        for word in words(query):
            holds = sum(word in other for other in documents)
            idf = log(1 + (len(documents) - holds + 0.5) / (holds + 0.5))
            often = document.count(word)
            total += idf * often * (K1 + 1) / (often + K1 * (1 - B + B * len(document) / mean))
        found.append(total)
    return found


@pytest.mark.parametrize("query", ["cat", "the dog sat", "cat cat dog", "überraschung", "nowhere", "", "!?"])
def test_scores_are_those_of_the_formula(query: str) -> None:
    np.testing.assert_allclose(BM25.of(TEXTS).scores(query), by_loops(query), atol=1e-12)


def test_documents_without_a_word_score_nothing() -> None:
    assert BM25.of(["", "!!"]).scores("cat").tolist() == [0.0, 0.0]
    with pytest.raises(EmptySource, match="no document to index"):
        BM25.of([])
