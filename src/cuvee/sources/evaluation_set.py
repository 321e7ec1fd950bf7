"""Evaluation sets: short pieces of many held-out documents, in which every token is predicted once (sources).

A loss is only as sure as its documents are many: tokens of one document resemble each other. So a budget of
tokens is spread over as many documents as there are. A document that is longer than its part gives whole
windows, evenly spread over it; no token is scored twice. Where all text fits into the budget, all of it is
scored.

Pieces are joined, those of whole windows first. A piece from the beginning of a document is preceded by an
end-of-text token, another by the token before it, as in training. A piece may begin inside a window and then
sees the end of the one before it, again as in training. The last window is padded.

A held-out part has two *halves*, every other document each: with one of them mixtures are chosen, with the
other what was chosen is checked.
"""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from cuvee.errors import ConfigError
from cuvee.hashing import digest
from cuvee.sources.shards import TokenShard
from cuvee.types import BoolArray, FloatArray, IntArray

Int32Array = npt.NDArray[np.int32]

PADDING = -1
"""The document index of targets that are not scored."""

SHORTEST_PIECE = 128
"""Fewest tokens of a document that a budget is spread over, windows and documents that are shorter aside: the
first
tokens of a piece are predicted from next to nothing."""

Half = Literal["choosing", "checking"]
HALVES: tuple[Half, ...] = ("choosing", "checking")
"""Which documents of a held-out part: those by which mixtures are chosen, or those that no choice has
seen."""


@dataclass(frozen=True, eq=False)
class EvaluationSet:
    """Windows of held-out tokens; W windows of T targets over D documents."""

    name: str
    """Name of the evaluation."""

    tokenizer_hash: str
    """Hash of the tokenizer."""

    key: str
    """Hash of all that decides the windows (not the name): text, tokenizer, T, budget, half."""

    inputs: IntArray = field(repr=False)
    """Input tokens, int64 [W, T]."""

    targets: IntArray = field(repr=False)
    """The token to predict after each input, int64 [W, T]."""

    document: Int32Array = field(repr=False)
    """Index of the document that each target belongs to, int32 [W, T]; ``PADDING`` is not scored."""

    document_bytes: FloatArray = field(repr=False)
    """Bytes of the text of each document [D]; of a document scored in part, its part by tokens."""

    def __post_init__(self) -> None:
        if not self.inputs.shape == self.targets.shape == self.document.shape or self.inputs.ndim != 2:
            raise ConfigError(
                f"inputs {self.inputs.shape}, targets {self.targets.shape} and document "
                f"{self.document.shape} of evaluation '{self.name}' must have one shape [W, T]"
            )
        for array in (self.inputs, self.targets, self.document, self.document_bytes):
            array.flags.writeable = False

    @staticmethod
    def from_shard(
        name: str,
        shard: TokenShard,
        *,
        context_length: int,
        max_tokens: int | None = None,
        half: Half | None = None,
    ) -> "EvaluationSet":
        """The evaluation set of one shard.

        Args:
            name: name of the evaluation.
            shard: its documents.
            context_length: T.
            max_tokens: at most so many targets (one window at least); None takes all.
            half: which documents; None takes all. The one document of a shard is in both halves.

        Raises:
            ConfigError: T or the budget is not positive.
        """
        if context_length < 1 or (max_tokens is not None and max_tokens < 1):
            raise ConfigError(
                f"context_length and max_tokens of evaluation '{name}' must be at least 1; "
                f"got {context_length} and {max_tokens}"
            )
        pieces = _Pieces.spread(shard, half, context_length, max_tokens)
        positions, tokens = pieces.positions, int(pieces.lengths.sum())
        windows = -(-tokens // context_length)
        inputs, targets = (
            np.full(windows * context_length, shard.end_of_text, dtype=np.int64) for _ in range(2)
        )
        owner = np.full(windows * context_length, PADDING, dtype=np.int32)
        targets[:tokens] = shard.tokens[positions]
        inputs[:tokens] = np.where(positions > 0, shard.tokens[positions - 1], shard.end_of_text)
        owner[:tokens] = np.repeat(pieces.documents, pieces.lengths)
        scored = np.bincount(pieces.documents, weights=pieces.lengths, minlength=len(pieces.chosen))
        shape = (windows, context_length)
        return EvaluationSet(
            name=name,
            tokenizer_hash=shard.tokenizer_hash,
            key=digest(
                {
                    "content": shard.content_hash,
                    "tokenizer": shard.tokenizer_hash,
                    "context_length": context_length,
                    "pieces": [pieces.starts.tolist(), pieces.lengths.tolist()],
                }
            ),
            inputs=inputs.reshape(shape),
            targets=targets.reshape(shape),
            document=owner.reshape(shape),
            document_bytes=shard.document_bytes[pieces.chosen]
            * (scored / np.diff(shard.document_offsets)[pieces.chosen]),
        )

    @property
    def context_length(self) -> int:
        """T, targets in one window."""
        return int(self.inputs.shape[1])

    @property
    def windows(self) -> int:
        """W, the number of windows."""
        return int(self.inputs.shape[0])

    @property
    def documents(self) -> int:
        """D, the number of documents."""
        return len(self.document_bytes)

    @property
    def scored(self) -> BoolArray:
        """Which targets are scored, bool [W, T]."""
        scored: BoolArray = self.document != PADDING
        return scored

    @property
    def tokens(self) -> int:
        """The number of scored targets."""
        return int(np.count_nonzero(self.scored))

    @property
    def bytes(self) -> float:
        """Bytes of the text that is scored, the denominator of bits per byte."""
        return float(self.document_bytes.sum())


@dataclass(frozen=True, eq=False)
class _Pieces:
    """Which tokens of a shard are scored, piece by piece."""

    chosen: IntArray
    """The documents of the shard that take part [D]."""
    documents: IntArray
    """Of each piece, index into ``chosen``."""
    starts: IntArray
    """Of each piece, its first token in the shard."""
    lengths: IntArray

    @property
    def positions(self) -> IntArray:
        """Tokens of the shard, in the order in which they are scored."""
        before = np.cumsum(self.lengths) - self.lengths
        return np.asarray(np.arange(int(self.lengths.sum())) + np.repeat(self.starts - before, self.lengths))

    @classmethod
    def spread(
        cls, shard: TokenShard, half: Half | None, context_length: int, max_tokens: int | None
    ) -> "_Pieces":
        """Spread a budget over the documents of a half."""
        chosen = np.arange(shard.documents)
        if half is not None and shard.documents > 1:
            chosen = chosen[0 if half == "choosing" else 1 :: 2]
        lengths = np.diff(shard.document_offsets)[chosen]
        if max_tokens is None or lengths.sum() <= max_tokens:
            return cls(chosen, np.arange(len(chosen)), np.asarray(shard.document_offsets[chosen]), lengths)
        least = np.minimum(lengths, min(SHORTEST_PIECE, context_length))
        chosen = chosen[: max(1, int(np.searchsorted(np.cumsum(least), max_tokens, side="right")))]
        lengths = lengths[: len(chosen)]
        parts = _parts(lengths, max_tokens, context_length)
        counts = np.where(lengths > parts, np.maximum(1, parts // context_length), 1)
        documents = np.repeat(np.arange(len(chosen)), counts)
        number = np.arange(len(documents)) - np.repeat(np.cumsum(counts) - counts, counts)
        sizes = (parts // counts)[documents]
        # Each piece lies somewhere in its own stretch of the document, at a place that differs between
        # documents.
        stretch = (lengths / counts)[documents]
        place = (number + _GOLDEN * documents % 1.0 * (1.0 - sizes / stretch)) * stretch
        starts = np.asarray(shard.document_offsets[chosen])[documents] + np.floor(place).astype(np.int64)
        order = np.argsort(sizes % context_length > 0, kind="stable")
        return cls(chosen, documents[order], starts[order], sizes[order])


_GOLDEN = (5**0.5 - 1) / 2  # its multiples are spread evenly over the unit interval


def _parts(lengths: IntArray, budget: int, window: int) -> IntArray:
    """Tokens that each document gives [D]: the same of all that are long enough, in whole windows from one
    on."""
    if lengths.sum() <= budget:
        return lengths
    ascending = np.sort(lengths)
    left = budget - np.concatenate(([0], np.cumsum(ascending)[:-1]))
    levels = left // np.arange(len(lengths), 0, -1)
    level = max(1, int(levels[np.argmax(levels < ascending)]))
    if level < window:
        return np.asarray(np.minimum(lengths, level))
    level -= level % window
    parts: IntArray = np.minimum(lengths, level)
    longer = np.flatnonzero(lengths >= level + window)[: (budget - int(parts.sum())) // window]
    parts[longer] += window
    return parts
