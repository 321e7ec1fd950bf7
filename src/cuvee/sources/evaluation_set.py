"""Evaluation sets: fixed windows in which every token of every document is predicted once (sources).

The documents of a shard are joined as they lie there, with one end-of-text token before the first;
each is preceded by the end-of-text token of the one before it, as in training. The tokens predicted
are those of the documents, their own end-of-text token included. Windows are consecutive and do not
overlap; the last is padded. A document may begin inside a window and then sees the end of the one
before it, again as in training.
"""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from cuvee.errors import ConfigError
from cuvee.hashing import digest
from cuvee.sources.shards import TokenShard
from cuvee.types import BoolArray, IntArray

Int32Array = npt.NDArray[np.int32]

PADDING = -1
"""The document index of targets that are not scored."""


@dataclass(frozen=True, eq=False)
class EvaluationSet:
    """Windows of held-out tokens; W windows of T targets over D documents."""

    name: str
    """Name of the evaluation."""

    tokenizer_hash: str
    """Hash of the tokenizer."""

    key: str
    """Hash of all that decides the windows (not the name): text, tokenizer, T, limit."""

    inputs: IntArray = field(repr=False)
    """Input tokens, int64 [W, T]."""

    targets: IntArray = field(repr=False)
    """The token to predict after each input, int64 [W, T]."""

    document: Int32Array = field(repr=False)
    """Index of the document that each target belongs to, int32 [W, T]; ``PADDING`` is not scored."""

    document_bytes: IntArray = field(repr=False)
    """Bytes of the text of each document, int64 [D]."""

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
        name: str, shard: TokenShard, *, context_length: int, max_tokens: int | None = None
    ) -> "EvaluationSet":
        """The evaluation set of one shard.

        Args:
            name: name of the evaluation.
            shard: its documents.
            context_length: T.
            max_tokens: at most so many targets: the first documents of the shard (which lie in the
                order of their hashes) that fit as a whole, and at least one. None takes all.

        Raises:
            ConfigError: T or the limit is not positive.
        """
        if context_length < 1 or (max_tokens is not None and max_tokens < 1):
            raise ConfigError(
                f"context_length and max_tokens of evaluation '{name}' must be at least 1; "
                f"got {context_length} and {max_tokens}"
            )
        ends = np.asarray(shard.document_offsets[1:])
        documents = len(ends)
        if max_tokens is not None:
            documents = max(1, int(np.searchsorted(ends, max_tokens, side="right")))
        tokens = int(ends[documents - 1])
        windows = -(-tokens // context_length)

        padded = np.full(windows * context_length + 1, shard.end_of_text, dtype=np.int64)
        padded[1 : tokens + 1] = shard.tokens[:tokens]
        owner = np.full(windows * context_length, PADDING, dtype=np.int32)
        owner[:tokens] = np.repeat(
            np.arange(documents, dtype=np.int32), np.diff(shard.document_offsets[: documents + 1])
        )
        shape = (windows, context_length)
        return EvaluationSet(
            name=name,
            tokenizer_hash=shard.tokenizer_hash,
            key=digest(
                {
                    "content": shard.content_hash,
                    "tokenizer": shard.tokenizer_hash,
                    "context_length": context_length,
                    "documents": documents,
                }
            ),
            inputs=padded[:-1].reshape(shape).copy(),
            targets=padded[1:].reshape(shape).copy(),
            document=owner.reshape(shape),
            document_bytes=np.array(shard.document_bytes[:documents]),
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
    def bytes(self) -> int:
        """Bytes of text in all documents, the denominator of bits per byte."""
        return int(self.document_bytes.sum())
