"""A table of documents as tokens: what is valued, and what for (valuation).

The documents of any token shards stand one behind the other; their tokens stay where they are (memory-mapped)
and are read in blocks. A document is named by its source, its shard and its place there, which says the same
on every machine, as shards are ordered by content.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from cuvee.errors import ConfigError, EmptySource
from cuvee.hashing import digest, digest_bytes
from cuvee.quantities import agreeing
from cuvee.sources.mapped_tokens import Tokens
from cuvee.sources.shards import TokenShard, copy_documents
from cuvee.sources.tokenizer import Tokenizer
from cuvee.types import AnyArray, BoolArray, IntArray

BLOCK_TOKENS = 1 << 20
"""Tokens that are read at once where nothing else limits them: 2 to 4 MiB."""


@dataclass(frozen=True, eq=False)
class DocumentTable:
    """n documents of S sources. Made by ``of_shards`` or ``of_texts``; narrowed by ``select``.

    Raises:
        ConfigError: columns of different length, an unknown source, or an id twice.
        EmptySource: there is no document, or one has no token.
    """

    tokenizer: Tokenizer
    sources: tuple[str, ...]
    """Names, S."""
    source: IntArray = field(repr=False)
    """Index into ``sources`` of each document [n]."""
    shard: IntArray = field(repr=False)
    """Index into ``tokens`` of each document [n]."""
    start: IntArray = field(repr=False)
    """First token in that shard [n]."""
    length: IntArray = field(repr=False)
    """Tokens [n], the end-of-text token not counted."""
    tokens: tuple[Tokens, ...] = field(repr=False)
    """Tokens of each shard, uint16 or uint32."""
    content: tuple[str, ...]
    """Hash of the text of each shard."""
    ids: tuple[str, ...] | None = field(default=None, repr=False)
    """Names that a user gave to the documents; None: see ``id_of``."""
    labels: IntArray | None = field(default=None, repr=False)
    """Class of each document [n], where the user knows classes."""

    def __post_init__(self) -> None:
        columns = (self.shard, self.start, self.length, *(() if self.labels is None else (self.labels,)))
        if any(len(one) != len(self.source) for one in columns):
            raise ConfigError("documents: source, shard, start, length and labels must be of one length")
        if not len(self.source):
            raise EmptySource("documents: there is none; give at least one")
        if not (self.source.min() >= 0 and self.source.max() < len(self.sources)):
            raise ConfigError(f"documents: a source is none of the {len(self.sources)} that are named")
        if len(empty := np.flatnonzero(self.length < 1)):
            raise EmptySource(
                f"documents: {len(empty)} {agreeing(len(empty), 'has', 'have')} no token, the first is "
                f"number {int(empty[0])} of source "
                f"'{self.sources[int(self.source[empty[0]])]}'; leave them out"
            )
        if self.ids is not None:
            _check_ids(self.ids, len(self.source))

    @classmethod
    def of_shards(cls, shards: Mapping[str, Sequence[TokenShard]], tokenizer: Tokenizer) -> "DocumentTable":
        """All documents of token shards, source by source; documents without text are left out.

        Raises:
            ConfigError: a shard was made with another tokenizer.
            EmptySource: there is no document.
        """
        opened = [(place, one) for place, name in enumerate(shards) for one in shards[name]]
        for _, one in opened:
            if one.tokenizer_hash != tokenizer.hash:
                raise ConfigError(f"{one.folder}: made with another tokenizer; tokenize it anew")
        sizes = [one.documents for _, one in opened]
        offsets = [np.asarray(one.document_offsets) for _, one in opened]
        start = np.concatenate([one[:-1] for one in offsets]) if opened else np.zeros(0, np.int64)
        length = np.concatenate([np.diff(one) - 1 for one in offsets]) if opened else np.zeros(0, np.int64)
        kept = length > 0
        return cls(
            tokenizer,
            tuple(shards),
            np.repeat([place for place, _ in opened], sizes).astype(np.int64)[kept],
            np.repeat(np.arange(len(opened)), sizes)[kept],
            start.astype(np.int64)[kept],
            length.astype(np.int64)[kept],
            tuple(one.tokens for _, one in opened),
            tuple(one.content_hash for _, one in opened),
        )

    @classmethod
    def of_texts(
        cls,
        texts: Sequence[str],
        tokenizer: Tokenizer,
        *,
        sources: Sequence[str] | None = None,
        ids: Sequence[str] | None = None,
        labels: Sequence[int] | None = None,
    ) -> "DocumentTable":
        """Documents in memory.

        Args:
            texts: one a document.
            tokenizer: whose tokens they become.
            sources: the name of each document's source; None: all are of one, ``documents``.
            ids: a name for each document, no two alike.
            labels: a class for each document.

        Raises:
            EmptySource: no document, or one without a token.
            ConfigError: lists of different length, or an id twice.
        """
        named = list(sources) if sources is not None else ["documents"] * len(texts)
        if len(named) != len(texts):
            raise ConfigError(f"documents: {len(named)} sources for {len(texts)} texts")
        encoded = tokenizer.encode_batch(texts)
        lengths = np.array([len(one) for one in encoded], dtype=np.int64)
        flat = np.array(
            [token for one in encoded for token in (*one, tokenizer.end_of_text)], dtype=np.uint32
        )
        names = tuple(dict.fromkeys(named))
        return cls(
            tokenizer,
            names,
            np.array([names.index(one) for one in named], dtype=np.int64),
            np.zeros(len(texts), dtype=np.int64),
            np.cumsum(lengths + 1) - lengths - 1,
            lengths,
            (flat,),
            (digest_bytes(flat.tobytes()),),
            tuple(ids) if ids is not None else None,
            np.array(labels, dtype=np.int64) if labels is not None else None,
        )

    def __len__(self) -> int:
        return len(self.source)

    @property
    def size(self) -> int:
        """Tokens of all documents."""
        return int(self.length.sum())

    @cached_property
    def key(self) -> str:
        """Hash of the documents, their order and their sources; not of their ids."""
        columns = (self.source, self.shard, self.start, self.length)
        labels = digest_bytes(self.labels.tobytes()) if self.labels is not None else None
        places = [digest_bytes(np.ascontiguousarray(one).tobytes()) for one in columns]
        return digest([self.tokenizer.hash, self.sources, self.content, places, labels])

    def select(self, rows: IntArray | BoolArray) -> "DocumentTable":
        """Some of the documents, in the order of ``rows``.

        Raises:
            EmptySource: none is left.
        """
        rows = np.flatnonzero(rows) if rows.dtype == np.bool_ else np.asarray(rows, dtype=np.int64)
        return replace(
            self,
            source=self.source[rows],
            shard=self.shard[rows],
            start=self.start[rows],
            length=self.length[rows],
            ids=tuple(self.ids[int(row)] for row in rows) if self.ids is not None else None,
            labels=self.labels[rows] if self.labels is not None else None,
        )

    def document(self, row: int) -> AnyArray:
        """The tokens of one document, without its end-of-text token."""
        begin = int(self.start[row])
        found: AnyArray = self.tokens[int(self.shard[row])][begin : begin + int(self.length[row])]
        return found

    def text(self, row: int) -> str:
        """The text of one document, as its tokens decode."""
        return self.tokenizer.decode(self.document(row).tolist())

    def bytes_of(self, row: int) -> int:
        """Bytes of the text of one document in UTF-8."""
        return len(self.text(row).encode())

    def id_of(self, row: int) -> str:
        """The user's name of a document, or its source, the hash of its shard and its first token there."""
        if self.ids is not None:
            return self.ids[row]
        shard = self.content[int(self.shard[row])]
        return f"{self.sources[int(self.source[row])]}/{shard}/{int(self.start[row])}"

    def blocks(self, tokens: int = BLOCK_TOKENS) -> Iterator[tuple[IntArray, IntArray, IntArray]]:
        """Documents in order, so many tokens at once; a longer document is a block of its own.

        Yields:
            Rows [b], their tokens one behind the other [t] (int64), and where each begins [b + 1].
        """
        ends = np.cumsum(self.length)
        first = 0
        while first < len(self):
            before = int(ends[first] - self.length[first])
            last = max(first + 1, int(np.searchsorted(ends, before + tokens, side="right")))
            rows = np.arange(first, last)
            flat = np.concatenate([self.document(int(row)) for row in rows]).astype(np.int64)
            yield rows, flat, np.concatenate([[0], np.cumsum(self.length[rows])])
            first = last

    def copied(self, root: Path, rows: IntArray, source: str) -> TokenShard:
        """Some of the documents as a shard of their own, under the hash of all that decides it; once.

        Args:
            root: the folder of such shards.
            rows: which documents.
            source: the name that the shard bears.
        """
        folder = root / digest([self.key, source, rows.tolist()])
        documents = ((self.document(int(row)), self.bytes_of(int(row))) for row in rows)
        return copy_documents(folder, documents, self.tokenizer, source=source, part="unit-0")

    def tokens_by_source(self) -> IntArray:
        """Tokens of each source [S]."""
        return np.bincount(self.source, weights=self.length, minlength=len(self.sources)).astype(np.int64)


def _check_ids(ids: tuple[str, ...], count: int) -> None:
    if len(ids) != count:
        raise ConfigError(f"documents: {len(ids)} ids for {count} documents")
    seen: dict[str, int] = {}
    for row, one in enumerate(ids):
        if one in seen:
            raise ConfigError(
                f"documents: id '{one}' stands twice, at {seen[one]} and {row}; make ids unique"
            )
        seen[one] = row
