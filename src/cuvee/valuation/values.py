"""What documents are worth by one method, and the same summed by source (valuation).

Higher means keep, whatever the sign in a paper. A document that a method cannot value has no value (NaN); it
is counted, never given a made-up one.
"""

from dataclasses import dataclass, field

import numpy as np

from cuvee.errors import ConfigError
from cuvee.types import BoolArray, FloatArray
from cuvee.valuation.document_table import DocumentTable
from cuvee.valuation.ratio_mean import ratio_mean


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

    def by_source(self, documents: DocumentTable, confidence: float) -> tuple["SourceValue", ...]:
        """The mean value of the documents of each source, weighted by tokens.

        The interval is over other documents of the same source; another training of the proxy is not in it.

        Args:
            documents: those that were valued.
            confidence: of the intervals, in (0, 1).
        """
        return tuple(self._of_source(documents, place, confidence) for place in range(len(documents.sources)))

    def _of_source(self, documents: DocumentTable, place: int, confidence: float) -> "SourceValue":
        rows = np.flatnonzero((documents.source == place) & self.known)
        name = documents.sources[place]
        if not len(rows):
            return SourceValue(name, 0, 0, float("nan"), (float("nan"), float("nan")))
        tokens = documents.length[rows].astype(np.float64)
        mean, low, high = ratio_mean(self.of_document[rows] * tokens, tokens, confidence)
        return SourceValue(name, len(rows), int(tokens.sum()), mean, (low, high))


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
