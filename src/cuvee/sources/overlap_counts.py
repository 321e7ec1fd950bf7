"""N-grams of evaluations found in the training text of a source, kept by content (sources).

    FOLDER/<key>.json    hash of an evaluation's text -> n-grams looked for, n-grams found

The key is the hash of the training text, so counts hold whatever sources and evaluations are called, and a
study that looks again reads them in no time. A damaged file is no error: its counts are made again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cuvee.hashing import digest
from cuvee.seal import read_sealed, write_sealed
from cuvee.sources.contamination import NGRAM_WORDS, SAMPLE_NGRAMS

VERSION = 1
"""Raised whenever a change of code changes what is counted."""

Count = tuple[int, int]
"""N-grams looked for, n-grams found."""


@dataclass(eq=False)
class OverlapCounts:
    """What is known of one source. Made by ``of``."""

    path: Path | None
    """None keeps nothing."""

    known: dict[str, Count] = field(default_factory=dict)
    """Hash of an evaluation's text -> counts."""

    @classmethod
    def of(cls, folder: Path | None, training: Sequence[str]) -> "OverlapCounts":
        """Those kept in ``folder`` for a source whose training parts have these content hashes."""
        if folder is None:
            return cls(None)
        content = {
            "version": VERSION,
            "words": NGRAM_WORDS,
            "sample": SAMPLE_NGRAMS,
            "text": sorted(training),
        }
        path = folder / f"{digest(content)}.json"
        return cls(path, _read(path))

    def add(self, counts: Mapping[str, Count]) -> None:
        """Add counts, and keep them."""
        self.known.update(counts)
        if self.path is not None:
            write_sealed(self.path, self.known)


def _read(path: Path) -> dict[str, Count]:
    try:
        rows = read_sealed(path)
        return {str(name): (int(looked_for), int(found)) for name, (looked_for, found) in rows.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
