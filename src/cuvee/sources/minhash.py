"""Near-duplicates by MinHash and locality-sensitive hashing (the only file that needs datasketch).

The similarity of two documents is that of their sets of shingles, all runs of 5 words: |A and B| / |A or B|
(Broder 1997). 128 hashes estimate it with a standard error of at most 0.044; an index of bands (Indyk and
Motwani 1998) finds candidates without comparing all. Words are those of ``contamination.py``. A document of
fewer words has no shingle and resembles nothing.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cuvee.errors import ConfigError
from cuvee.sources.contamination import ngram_hashes

SHINGLE_WORDS = 5
"""Words of a shingle."""

PERMUTATIONS = 128
"""Hashes of a document."""

_BLOCK_SHINGLES = 1 << 14


@dataclass(frozen=True)
class Resemblance:
    """What an earlier document has in common with one."""

    source: str
    """The source of the earlier one."""

    location: str
    """Where it was read."""

    similarity: float
    """Estimated share of shingles that both have."""


@dataclass(frozen=True, eq=False)
class MinHashIndex:
    """Documents so far, to be asked which one another resembles. Made by ``of``."""

    threshold: float
    """The similarity from which on two documents are near-duplicates."""

    seed: int
    """Chooses the hashes: the same seed finds the same."""

    _lsh: Any = field(repr=False)
    _empty: Any = field(repr=False)
    _known: list[tuple[str, str, Any]] = field(default_factory=list, repr=False)

    @classmethod
    def of(cls, threshold: float, seed: int = 1) -> "MinHashIndex":
        """An empty index.

        Raises:
            ConfigError: the extra is not installed.
        """
        try:
            from datasketch import MinHash, MinHashLSH
        except ImportError as error:
            raise ConfigError(
                "duplicates.near needs datasketch, which is not installed: pip install 'cuvee[dedup]', or "
                "leave "
                "`near` out"
            ) from error
        empty = MinHash(num_perm=PERMUTATIONS, seed=seed, hashfunc=int)
        return cls(threshold, seed, MinHashLSH(threshold=threshold, num_perm=PERMUTATIONS), empty)

    def signature(self, text: str) -> Any:
        """The hashes of a document; None where it has no shingle."""
        shingles = np.unique(ngram_hashes([text], SHINGLE_WORDS) >> np.uint64(32))
        if not len(shingles):
            return None
        found = self._empty.copy()
        for first in range(0, len(shingles), _BLOCK_SHINGLES):
            found.update_batch(shingles[first : first + _BLOCK_SHINGLES].tolist())
        return found

    def resembled(self, signature: Any, passed_over: frozenset[str] = frozenset()) -> Resemblance | None:
        """The document that resembles one most, the earliest of several.

        Args:
            signature: its hashes.
            passed_over: sources that may have the same documents.
        """
        found = None
        for number in sorted(self._lsh.query(signature)):
            source, location, hashes = self._known[number]
            similarity = float(np.mean(hashes == signature.hashvalues))
            if source in passed_over or similarity < self.threshold:
                continue
            if found is None or similarity > found.similarity:
                found = Resemblance(source, location, similarity)
        return found

    def add(self, signature: Any, source: str, location: str) -> None:
        """Let later documents be compared with this one."""
        self._lsh.insert(len(self._known), signature, check_duplication=False)
        self._known.append((source, location, signature.hashvalues))
