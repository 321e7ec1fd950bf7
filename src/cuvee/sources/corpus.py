"""Sources divided into parts that never share a document. ``prepare`` (``preparation.py``) makes it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from cuvee.errors import ConfigError, SourceError
from cuvee.sources.corpus_report import CorpusReport, PartInfo
from cuvee.sources.document import Document
from cuvee.sources.mapped_shard import KeptDocuments
from cuvee.sources.readers import SourceSpec, read_rows
from cuvee.sources.split import PartIndices
from cuvee.types import BoolArray

DROPPED = -1
"""The part of a document that is in none."""


@dataclass(frozen=True, eq=False)
class DividedSource:
    """Where each document of a source went."""

    parts: Mapping[str, PartInfo]
    """The parts in order."""

    assigned: PartIndices
    """Index of the part of each document read, int16 [read]; ``DROPPED`` for none."""

    kept: KeptDocuments | None = None
    """What is kept, where the source holds nothing but tokens."""


@dataclass(frozen=True, eq=False)
class Corpus:
    """Sources divided into parts. Made by ``prepare``."""

    specs: Mapping[str, SourceSpec]
    """All sources by name: training sources, then those of evaluations."""

    training: tuple[str, ...]
    """Names of the training sources, in the order given."""

    evaluations: Mapping[str, str]
    """For each evaluation the source whose part ``eval`` it is."""

    report: CorpusReport
    """What was dropped, moved and found."""

    _tables: Mapping[str, DividedSource] = field(repr=False)

    def parts(self, source: str) -> tuple[str, ...]:
        """The parts of a source."""
        return tuple(self._table(source).parts)

    def part(self, source: str, part: str) -> PartInfo:
        """Size and identity of a part; needs no reading."""
        table = self._table(source)
        if part not in table.parts:
            raise ConfigError(f"source '{source}' has no part '{part}'; it has: {', '.join(table.parts)}")
        return table.parts[part]

    def rows(self, source: str, part: str) -> BoolArray:
        """Which of the documents that ``read_source`` gives are in a part, bool [read]."""
        self.part(source, part)
        table = self._table(source)
        rows: BoolArray = table.assigned == list(table.parts).index(part)
        return rows

    def kept(self, source: str, part: str) -> KeptDocuments | None:
        """The documents of a part, where the source holds nothing but tokens."""
        table = self._table(source)
        if table.kept is None:
            return None
        return table.kept.select(self.rows(source, part)[table.kept.rows])

    def documents(self, source: str, part: str) -> Iterator[Document]:
        """Read the documents of a part again, in reading order.

        Raises:
            SourceError: the source now has another number of documents.
        """
        return select_documents(self.specs[source], self.rows(source, part))

    def _table(self, source: str) -> DividedSource:
        if source not in self._tables:
            raise ConfigError(f"there is no source '{source}'; there are: {', '.join(self._tables)}")
        return self._tables[source]


def select_documents(spec: SourceSpec, rows: BoolArray) -> Iterator[Document]:
    """The marked documents of a source.

    Args:
        spec: the source.
        rows: which of the documents that ``read_source`` gives are wanted, bool [read].

    Raises:
        SourceError: the source has another number of documents by now.
    """
    count = 0
    for document in read_rows(spec, rows):
        if document is not None and count < len(rows) and rows[count]:
            yield document
        count += 1
    if count != len(rows):
        raise SourceError(
            f"the files of source '{spec.name}' changed: {len(rows)} documents before, {count} now; run again"
        )
