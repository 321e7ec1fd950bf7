"""Near-duplicates among the sources of a study: found, counted and named, and dropped if the user says so.

The earlier document stays, as with exact copies: of one source the one read first, of two sources that of the
earlier. Documents of evaluations with files of their own come before all. Finding takes a pass over all text,
so what was found is kept by content:

    FOLDER/near-<key>.json    which of the kept documents of a source resemble earlier ones, and which
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from cuvee.errors import ConfigError
from cuvee.hashing import digest
from cuvee.seal import read_sealed, write_sealed
from cuvee.sources.document import Document
from cuvee.sources.minhash import PERMUTATIONS, SHINGLE_WORDS, MinHashIndex, Resemblance
from cuvee.types import BoolArray, IntArray, Json

VERSION = 1
"""Raised whenever a change of code changes what is found."""

_EXAMPLES = 5


@dataclass(frozen=True)
class NearOptions:
    """What is done about near-duplicates."""

    threshold: float
    """Similarity from which on two documents are near-duplicates."""

    drop: bool = True
    """Leave the later one out; False only counts."""

    folder: Path | None = None
    """Keeps what was found; None keeps nothing."""

    seed: int = 1
    """Chooses the hashes."""

    @property
    def key(self) -> list[Any]:
        """What decides what is found, besides the text."""
        return [VERSION, SHINGLE_WORDS, PERMUTATIONS, self.threshold, self.drop, self.seed]

    def __post_init__(self) -> None:
        if not 0 < self.threshold < 1:
            raise ConfigError(f"duplicates.near must lie between 0 and 1; got {self.threshold}")


@dataclass(frozen=True)
class NearFound:
    """The near-duplicates of one source."""

    rows: IntArray = field(repr=False)
    """Places among the documents that the source keeps, sorted."""

    earlier: Mapping[str, int]
    """How many by the source that has the earlier one, itself included."""

    examples: tuple[str, ...]
    """The first of them, in words."""

    @classmethod
    def of(cls, found: Sequence[tuple[int, str, Resemblance]]) -> "NearFound":
        """Of each its place, where it was read, and what it resembles."""
        rows = np.array([row for row, _, _ in found], dtype=np.int64)
        counts = Counter(earlier.source for _, _, earlier in found)
        examples = (
            f"{location} resembles {earlier.location} ({earlier.similarity:.2f})"
            for _, location, earlier in found[:_EXAMPLES]
        )
        return cls(rows, dict(counts), tuple(examples))

    def as_json(self) -> Json:
        """To be kept."""
        return {"rows": self.rows.tolist(), "earlier": dict(self.earlier), "examples": list(self.examples)}

    def among(self, documents: int) -> BoolArray:
        """Which of so many documents they are, bool [documents]."""
        marked = np.zeros(documents, dtype=np.bool_)
        marked[self.rows] = True
        return marked


@dataclass(frozen=True, eq=False)
class Readable:
    """A source whose kept documents can be read again."""

    name: str
    """Of the source, or of the evaluation."""

    content: str
    """Hash of the kept documents in reading order."""

    documents: Callable[[], Iterator[Document]] = field(repr=False)
    """Reads them."""

    same_text: frozenset[str] = frozenset()
    """Sources whose documents it may have again."""

    evaluation: bool = False
    """Later documents are compared with its own, and those with nothing."""

    @property
    def key(self) -> list[Any]:
        """What it decides of what is found."""
        return [self.name, self.content, sorted(self.same_text), self.evaluation]


class Index(Protocol):
    """Documents so far; see ``MinHashIndex``."""

    def signature(self, text: str) -> Any: ...

    def resembled(self, signature: Any, passed_over: frozenset[str] = ...) -> Resemblance | None: ...

    def add(self, signature: Any, source: str, location: str) -> None: ...


@dataclass(eq=False)
class NearDuplicates:
    """All sources, one after the other."""

    options: NearOptions
    index: Index | None = None
    """Compares documents; made when it is needed."""
    _key: str = ""
    _waiting: list[Readable] = field(default_factory=list)

    def pass_over(self, source: Readable) -> NearFound:
        """The near-duplicates of a source; its documents are compared with all that came before.

        Cost: its text is read once, about 8 MB a second and core, unless what was found is kept; 4 kB of
        memory a document.

        Raises:
            ConfigError: the extra is not installed.
        """
        self._key = digest([self._key, *self.options.key, *source.key])
        self._waiting.append(source)
        if source.evaluation:
            return NearFound.of([])
        folder = self.options.folder
        file = folder / f"near-{self._key}.json" if folder is not None else None
        known = _read(file) if file is not None else None
        if known is not None:
            return known
        found = self._found()
        if file is not None:
            write_sealed(file, found.as_json())
        return found

    def _found(self) -> NearFound:
        """What the last source has; of those before it the hashes are not at hand where all was known."""
        index = self.index = self.index or MinHashIndex.of(self.options.threshold, self.options.seed)
        for source in self._waiting:
            found = _compared(index, source, self.options.drop)
        self._waiting.clear()
        return found


def _compared(index: Index, source: Readable, drop: bool) -> NearFound:
    """Compare the documents of a source with the index, and add those that stay."""
    rows: list[tuple[int, str, Resemblance]] = []
    for row, document in enumerate(source.documents()):
        signature = index.signature(document.text)
        if signature is None:
            continue
        earlier = None if source.evaluation else index.resembled(signature, source.same_text)
        if earlier is not None:
            rows.append((row, document.location, earlier))
        if earlier is None or not drop:
            index.add(signature, source.name, document.location)
    return NearFound.of(rows)


def _read(file: Path) -> NearFound | None:
    """What is kept; None where it is not there, or damaged: it is found again."""
    try:
        kept = read_sealed(file)
        rows = np.array(kept["rows"], dtype=np.int64)
        return NearFound(
            rows, {str(one): int(n) for one, n in kept["earlier"].items()}, tuple(kept["examples"])
        )
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
