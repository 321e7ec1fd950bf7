"""What documents are worth by one method, and the same summed by source (valuation).

Higher means keep, whatever the sign in a paper. A document that a method cannot value has no value (NaN); it
is counted, never given a made-up one.
"""

from dataclasses import dataclass, field

import numpy as np

from cuvee.errors import ConfigError
from cuvee.types import BoolArray, FloatArray
from cuvee.valuation.document_table import DocumentTable

RESAMPLES = 1000
"""Bootstrap samples behind an interval: its ends move by some 3 % of its width from seed to seed."""


@dataclass(frozen=True, eq=False)
class Values:
    """One value a document.

    Raises:
        ConfigError: a value is infinite, or there is none at all.
    """

    method: str
    """A row of ``VALUERS``."""
    unit: str
    of_document: FloatArray = field(repr=False)
    """[n]; NaN where the method has none."""
    key: str
    """Hash of all that determines the values."""
    notes: tuple[str, ...] = ()
    """What a reader must know of this run of the method."""

    def __post_init__(self) -> None:
        if np.isinf(self.of_document).any():
            row = int(np.flatnonzero(np.isinf(self.of_document))[0])
            raise ConfigError(f"{self.method}: the value of document {row} is infinite")
        if not self.known.any():
            raise ConfigError(f"{self.method}: has a value for none of {len(self.of_document)} documents")

    @property
    def known(self) -> BoolArray:
        """Which documents have a value [n]."""
        return np.asarray(np.isfinite(self.of_document))

    @property
    def coverage(self) -> float:
        """Share of the documents that have a value."""
        return float(self.known.mean())

    def by_source(self, documents: DocumentTable, confidence: float, seed: int) -> tuple["SourceValue", ...]:
        """The mean value of a document of each source, weighted by tokens, with a bootstrap interval.

        The interval holds what other documents of the same source would change; not what another training of
        the proxy would. Time O(1000 n), memory O(n).

        Args:
            documents: those that were valued.
            confidence: of the intervals, in (0, 1).
            seed: of the bootstrap.
        """
        rng = np.random.default_rng([seed, len(documents)])
        return tuple(
            self._of_source(documents, place, confidence, rng) for place in range(len(documents.sources))
        )

    def _of_source(
        self, documents: DocumentTable, place: int, confidence: float, rng: np.random.Generator
    ) -> "SourceValue":
        rows = np.flatnonzero((documents.source == place) & self.known)
        name = documents.sources[place]
        if not len(rows):
            return SourceValue(name, 0, 0, float("nan"), (float("nan"), float("nan")))
        tokens, values = documents.length[rows].astype(np.float64), self.of_document[rows]
        mean = float(tokens @ values / tokens.sum())
        if len(rows) < 2:
            return SourceValue(name, 1, int(tokens.sum()), mean, (-np.inf, np.inf))
        drawn = _resampled_means(values, tokens, rng)
        tail = (1.0 - confidence) / 2.0
        low, high = np.quantile(drawn, [tail, 1.0 - tail])
        return SourceValue(name, len(rows), int(tokens.sum()), mean, (float(low), float(high)))


@dataclass(frozen=True)
class SourceValue:
    """What a source is worth by one method."""

    source: str
    documents: int
    """That have a value."""
    tokens: int
    """Of these."""
    mean: float
    """Of its documents, weighted by tokens; NaN where none has a value."""
    interval: tuple[float, float]
    """Infinite where one document is all there is."""


def _resampled_means(values: FloatArray, tokens: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Weighted means of bootstrap samples [RESAMPLES]; by multinomial counts, in memory O(n)."""
    found = np.empty(RESAMPLES)
    weighted = values * tokens
    for one in range(RESAMPLES):
        counts = rng.multinomial(len(values), np.full(len(values), 1.0 / len(values)))
        found[one] = counts @ weighted / (counts @ tokens)
    return found
