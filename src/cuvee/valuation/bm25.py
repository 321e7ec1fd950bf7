"""BM25: which documents share rare words with a query.

    score(q, d) = sum over words w of q of  idf(w) f (k1 + 1) / (f + k1 (1 - b + b |d| / mean length))
    idf(w)      = log(1 + (n - n_w + 1/2) / (n_w + 1/2))

f is how often w stands in d, n_w in how many documents it stands (Robertson & Zaragoza 2009, The
Probabilistic Relevance Framework, https://doi.org/10.1561/1500000019). The one under the logarithm keeps
frequent words from counting against a document.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cuvee.errors import EmptySource
from cuvee.types import FloatArray

K1, B = 1.2, 0.75
"""The book's own choice where nothing is known of the documents."""
_WORD = re.compile(r"\w+")


def words(text: str) -> list[str]:
    """Its words in lower case, in order."""
    return _WORD.findall(text.lower())


@dataclass(frozen=True, eq=False)
class BM25:
    """An index of n documents and V words."""

    place: dict[str, int] = field(repr=False)
    """Column of each word."""
    counts: Any = field(repr=False)
    """How often words stand in documents, sparse [n, V]."""
    weights: Any = field(repr=False)
    """What each word adds to each document's score, sparse by columns [n, V]."""
    idf: FloatArray = field(repr=False)
    """[V]."""

    @classmethod
    def of(cls, texts: Iterable[str]) -> "BM25":
        """Index texts; one pass, memory by the number of different words of each document.

        Raises:
            EmptySource: there is no text.
        """
        place: dict[str, int] = {}
        rows = [np.array([place.setdefault(one, len(place)) for one in words(text)]) for text in texts]
        if not rows:
            raise EmptySource("BM25: there is no document to index")
        counts = _counts([one.astype(np.int64) for one in rows], len(place))
        found = np.diff(counts.tocsc().indptr)
        idf = np.log1p((len(rows) - found + 0.5) / (found + 0.5))
        return cls(place, counts, _weights(counts, idf), idf)

    def scores(self, query: str) -> FloatArray:
        """The score of each document [n]; a word counts as often as the query has it."""
        asked = [self.place[one] for one in words(query) if one in self.place]
        total = np.asarray(self.weights[:, asked].sum(axis=1), dtype=np.float64)
        return total.ravel()


def _counts(rows: list[Any], width: int) -> Any:
    from scipy.sparse import coo_array

    document = np.repeat(np.arange(len(rows)), [len(one) for one in rows])
    ones = np.ones(len(document))
    found = coo_array((ones, (document, np.concatenate(rows))), shape=(len(rows), max(width, 1)))
    return found.tocsr()  # equal places are added up


def _weights(counts: Any, idf: FloatArray) -> Any:
    length = np.asarray(counts.sum(axis=1)).ravel()
    relative = length / max(float(length.mean()), 1e-12)
    weights = counts.tocoo()
    slack = K1 * (1.0 - B + B * relative[weights.row])
    weights.data = idf[weights.col] * weights.data * (K1 + 1.0) / (weights.data + slack)
    return weights.tocsc()
