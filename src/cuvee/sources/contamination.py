"""How much of an evaluation also stands in the training text (sources).

Overlap is counted in n-grams of 13 words, as Brown et al. 2020 (GPT-3, appendix C) did: words are
runs of ASCII letters and digits and of all other non-ASCII bytes, in lower case. Each n-gram is
hashed to 64 bits; with 200 thousand n-grams an accidental match has a chance below 1e-8 for each
million words of training text. A document shorter than 13 words has no n-gram and is only checked
for exact equality; text without spaces between words (Chinese, say) is hardly checked at all.

Speed is about 30 MB a second and core: words are hashed by prefix sums over blocks of many texts.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from cuvee.sources.permutation import UInt64Array, mix64
from cuvee.types import BoolArray, IntArray

NGRAM_WORDS = 13
"""Words in one n-gram."""

SAMPLE_NGRAMS = 200_000
"""At most so many n-grams of one evaluation are looked for."""

HARMFUL_SHARE = 0.05
"""Share of an evaluation's n-grams in a source from which on a loss is no longer that of unseen text."""

_MULTIPLIER = 0x2545F4914F6CDD1D  # odd, so that it has an inverse modulo 2^64
_BLOCK_BYTES = 1 << 18


@dataclass(frozen=True)
class Contamination:
    """What one training source has in common with one evaluation."""

    evaluation: str
    """Name of the evaluation."""

    source: str
    """Name of the training source."""

    exact_removed: int
    """Documents removed from the source because the evaluation has exactly the same."""

    ngrams: int
    """Different n-grams of the evaluation that were looked for."""

    ngrams_found: int
    """How many of them are in the training parts of the source."""

    held_out: bool = False
    """The evaluation was held out of this very source."""

    @property
    def ngram_share(self) -> float:
        """The share of the evaluation's n-grams found, 0 if it has none."""
        return self.ngrams_found / self.ngrams if self.ngrams else 0.0

    @property
    def harmful(self) -> bool:
        """It is enough to bend a comparison of mixtures."""
        return self.ngram_share >= HARMFUL_SHARE


def overlap_sentence(found: Contamination) -> str:
    """What an overlap means, from which share on it matters, and how to be rid of it."""
    source = f"source '{found.source}'"
    if found.held_out:
        where, remedy = "the rest of its source", f"remove near-duplicates from {source}"
    else:
        where, remedy = source, f"remove those texts from {source} or from the evaluation"
    return (
        f"{found.ngram_share:.1%} of the passages of {NGRAM_WORDS} words in evaluation '{found.evaluation}' "
        f"also stand in {where}: its loss is partly memory and speaks too well of {source}, which matters "
        f"from about {HARMFUL_SHARE:.0%} on; {remedy}"
    )


def ngram_hashes(texts: Sequence[str], length: int = NGRAM_WORDS) -> UInt64Array:
    """The hashes of all n-grams of ``length`` words that lie within one text, in order, uint64 [n].

    Many texts at once cost much less than one by one.
    """
    # A line feed after each text, so that no word runs over from one into the next.
    encoded = [text.lower().encode() + b"\n" for text in texts]
    words, starts = _hash_words(b"".join(encoded))
    count = len(words) - length + 1
    if count <= 0:
        return np.empty(0, dtype=np.uint64)
    hashes = np.zeros(count, dtype=np.uint64)
    for offset in range(length):
        hashes = hashes * np.uint64(_MULTIPLIER) + words[offset : offset + count]
    owner = np.searchsorted(np.cumsum([len(data) for data in encoded]), starts, side="right")
    return mix64(hashes[owner[:count] == owner[-count:]])


def sample_ngrams(texts: Iterable[str], limit: int = SAMPLE_NGRAMS) -> UInt64Array:
    """The different n-grams of some texts with the ``limit`` smallest hashes, sorted.

    A uniform sample without repetition that depends neither on order nor on chance; memory is
    bounded by the limit and one text.
    """
    waiting = [np.empty(0, dtype=np.uint64)]
    for batch in _batches(texts):
        waiting.append(ngram_hashes(batch))
        if sum(map(len, waiting)) >= 2 * limit:
            waiting = [np.unique(np.concatenate(waiting))[:limit]]
    return np.unique(np.concatenate(waiting))[:limit]


class OverlapCounter:
    """Marks which sampled n-grams of several evaluations stand in the texts it is shown.

    Args:
        samples: for each evaluation its sampled n-grams, sorted and different.
    """

    def __init__(self, samples: Mapping[str, UInt64Array]) -> None:
        self._samples = samples
        self._wanted: UInt64Array = np.unique(np.concatenate([np.empty(0, np.uint64), *samples.values()]))
        self._found: BoolArray = np.zeros(len(self._wanted), dtype=np.bool_)

    def show(self, texts: Iterable[str]) -> None:
        """Mark the n-grams of training texts; memory is bounded by about 1 MB or one text."""
        if not len(self._wanted):
            return
        for batch in _batches(texts):
            hashes = ngram_hashes(batch)
            hashes = np.sort(hashes[hashes <= self._wanted[-1]])  # sorted, looking up is 3 times as fast
            places = np.searchsorted(self._wanted, hashes)
            self._found[places[self._wanted[places] == hashes]] = True

    def found(self) -> dict[str, int]:
        """How many n-grams of each evaluation were seen so far."""
        seen = self._wanted[self._found]
        return {
            name: int(np.count_nonzero(np.isin(sample, seen, assume_unique=True)))
            for name, sample in self._samples.items()
        }


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    characters = 0
    for text in texts:
        batch.append(text)
        characters += len(text)
        if characters >= _BLOCK_BYTES:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


def _hash_words(data: bytes) -> tuple[UInt64Array, IntArray]:
    """The hash of every word and where it starts; of a word longer than a block only the block counts."""
    codes = np.frombuffer(data, dtype=np.uint8)
    inside = _word_bytes()[codes]
    edges = np.flatnonzero(inside[1:] != inside[:-1]) + 1
    edges = np.concatenate(([0], edges)) if len(inside) and inside[0] else edges
    starts, ends = edges[::2], edges[1::2]  # data ends with a line feed, so every word has an end
    powers, inverses = _powers()
    hashes = np.empty(len(starts), dtype=np.uint64)
    first = 0
    while first < len(starts):
        origin = int(starts[first])
        last = max(first + 1, int(np.searchsorted(ends, origin + _BLOCK_BYTES, side="right")))
        stop = min(int(ends[last - 1]), origin + _BLOCK_BYTES)
        # sum_i byte_i r^i over a word is a difference of prefix sums, and r^-start makes it the same
        # wherever the word stands. No byte of a word is zero, so length counts too.
        sums = np.zeros(stop - origin + 1, dtype=np.uint64)
        np.cumsum(codes[origin:stop] * powers[: stop - origin], out=sums[1:])
        begin, end = starts[first:last] - origin, np.minimum(ends[first:last], stop) - origin
        hashes[first:last] = (sums[end] - sums[begin]) * inverses[begin]
        first = last
    return mix64(hashes), starts


@cache
def _word_bytes() -> BoolArray:
    table = np.zeros(256, dtype=np.bool_)
    table[list(b"0123456789abcdefghijklmnopqrstuvwxyz")] = True
    table[128:] = True
    return table


@cache
def _powers() -> tuple[UInt64Array, UInt64Array]:
    """The powers of the multiplier and of its inverse modulo 2^64, from exponent 0."""
    factors = np.full((2, _BLOCK_BYTES + 1), _MULTIPLIER, dtype=np.uint64)
    factors[1] = pow(_MULTIPLIER, -1, 1 << 64)
    factors[:, 0] = 1
    powers, inverses = np.cumprod(factors, axis=1, dtype=np.uint64)
    return powers, inverses
