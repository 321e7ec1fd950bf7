"""Token shards: the tokenized documents of one part of one source, on disk (sources).

A shard is a folder:

    tokens.bin            uint16 (vocabulary up to 65536) or uint32, little endian, memory-mapped
    document_offsets.npy  int64 [D + 1], where each document begins in the tokens
    document_bytes.npy    int64 [D], bytes of its UTF-8 text
    meta.json             what it is and what it was made from, with digests of all files

Each document is its tokens followed by one end-of-text token. Documents lie in the order of their
SHA-256, whatever the order in which they were read: the same text gives the same bytes however it
is spread over files, and any prefix of the shard is a random sample of its documents.

A shard of a source that holds tokens already may have none of its own: ``places.npy`` says where they lie
(``mapped_shard.py``). What it gives is the same, to the byte.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cuvee.errors import EmptySource, SourceError
from cuvee.files import atomic_folder
from cuvee.seal import FILES, damage, digests_of, unsealed, write_sealed
from cuvee.sources.document import Document
from cuvee.sources.mapped_tokens import MappedTokens, Tokens, opened
from cuvee.sources.tokenizer import Tokenizer
from cuvee.types import AnyArray, IntArray, Json

FORMAT = 1
"""Raised whenever the bytes of a shard would change; part of every shard's key."""

_TOKENS, _OFFSETS, _BYTES = "tokens.bin", "document_offsets.npy", "document_bytes.npy"
PLACES, MAPPED = "places.npy", "tokens_in"
"""Of a shard without tokens of its own: where they lie, and the key of ``meta.json`` that names the files."""
_UNORDERED = "unordered.bin"
_BLOCK_CHARACTERS = 1 << 20
_BLOCK_DOCUMENTS = 4096


@dataclass(frozen=True, eq=False)
class TokenShard:
    """An open shard. Arrays are memory-mapped and read-only; pickling carries only the folder."""

    folder: Path
    """Where it lies."""

    source: str
    """Name of the source."""

    part: str
    """Which part of the source (``seed``, ``unit-0``, ``eval``, ...)."""

    tokenizer_hash: str
    """Hash of the tokenizer."""

    content_hash: str
    """Hash of the sorted digests of the documents."""

    end_of_text: int
    """The token that ends every document."""

    tokens: Tokens = field(repr=False)
    """All tokens, uint16 or uint32, n of them."""

    document_offsets: IntArray = field(repr=False)
    """Where each document begins, int64 [D + 1]."""

    document_bytes: IntArray = field(repr=False)
    """Bytes of the text of each document, int64 [D]."""

    compared: bool = True
    """Its files had digests; those of earlier versions have none."""

    def check_vocabulary(self, size: int) -> None:
        """See that no token is outside a vocabulary; of shards without digests, as nothing else finds it
        there.

        Raises:
            SourceError: one is.
        """
        if not self.compared and (largest := int(self.tokens[:].max())) >= size:
            raise SourceError(
                f"{self.folder / _TOKENS} holds token {largest}, but the tokenizer has only "
                f"{size}: it is damaged; remove the folder to have it made again"
            )

    @property
    def documents(self) -> int:
        """D, the number of documents."""
        return len(self.document_bytes)

    @property
    def bytes(self) -> int:
        """Bytes of text in all documents."""
        return int(self.document_bytes.sum())

    def document(self, index: int) -> AnyArray:
        """The tokens of one document, its end-of-text included."""
        found: AnyArray = self.tokens[
            int(self.document_offsets[index]) : int(self.document_offsets[index + 1])
        ]
        return found

    @staticmethod
    def open(folder: Path) -> "TokenShard":
        """Open a shard; its files are compared with their digests, once a process.

        Raises:
            SourceError: it is not there, was written in another format, is damaged, or its files do not fit
                together.
        """
        try:
            meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
            if meta["format"] != FORMAT:
                raise ValueError(f"it has format {meta['format']}, this version reads {FORMAT}")
            unsealed(meta)
            own = None if MAPPED in meta else _own(folder, meta)
            digests = meta.get(FILES, {})
            if wrong := damage(folder, digests, (PLACES if MAPPED in meta else _TOKENS, _OFFSETS, _BYTES)):
                raise ValueError(wrong)
            offsets = np.load(folder / _OFFSETS, mmap_mode="r")
            sizes = np.load(folder / _BYTES, mmap_mode="r")
            tokens = own if own is not None else _mapped(folder, meta, offsets)
            if int(offsets[-1]) != len(tokens) or len(sizes) != len(offsets) - 1:
                raise ValueError(f"its documents end at token {int(offsets[-1])} of {len(tokens)}")
            return TokenShard(
                folder=folder,
                source=meta["source"],
                part=meta["part"],
                tokenizer_hash=meta["tokenizer_hash"],
                content_hash=meta["content_hash"],
                end_of_text=meta["end_of_text"],
                tokens=tokens,
                document_offsets=offsets,
                document_bytes=sizes,
                compared=bool(digests),
            )
        except Exception as error:  # NumPy's reader of headers raises whatever its parser does
            raise SourceError(
                f"{folder} is no readable token shard ({error}); remove the folder to have it made again"
            ) from error

    def __reduce__(self) -> tuple[Callable[[Path], "TokenShard"], tuple[Path]]:
        return TokenShard.open, (self.folder,)


def content_hash(digests: AnyArray) -> str:
    """The hash of a set of documents: 16 hexadecimal characters over their sorted digests.

    Args:
        digests: SHA-256 of each document, uint8 [D, 32].
    """
    return hashlib.sha256(digests[digest_order(digests)].tobytes()).hexdigest()[:16]


def digest_order(digests: AnyArray) -> IntArray:
    """The order that sorts digests (uint8 [D, 32]) as numbers, int64 [D]."""
    words = np.ascontiguousarray(digests).view(">u8")
    return np.lexsort(words.T[::-1])


def write_shard(
    folder: Path,
    documents: Iterable[Document],
    tokenizer: Tokenizer,
    *,
    source: str,
    part: str,
    expected: str | None = None,
    report: Callable[[float, str], None] | None = None,
) -> TokenShard:
    """Tokenize documents into a shard; an existing folder is opened and kept.

    Memory is bounded by one block of documents (about 1 MiB of text, or one longer document) plus
    48 bytes a document. The tokens are written once as they come and once in order.

    Args:
        folder: where the shard shall lie; appears only when complete.
        documents: what to write, in any order.
        tokenizer: whose tokens to write.
        source: name of the source.
        part: name of the part.
        expected: the content hash that the documents must have.
        report: called with the bytes of text done since the last call.

    Raises:
        EmptySource: there is no document.
        SourceError: the documents are not those expected.
    """
    if folder.exists():
        return TokenShard.open(folder)
    dtype = shard_type(tokenizer)
    with atomic_folder(folder) as temporary:
        digests, lengths, sizes = bytearray(), [], []
        with (temporary / _UNORDERED).open("wb") as stream:
            for block in _blocks(documents):
                for document, tokens in zip(block, _encoded(block, tokenizer), strict=True):
                    stream.write(_ended(tokens, tokenizer, dtype).tobytes())
                    digests += document.identity
                    lengths.append(len(tokens) + 1)
                    sizes.append(len(document.text.encode()))
                if report is not None:
                    report(float(sum(sizes[-len(block) :])), f"{source} {part}")
        if not sizes:
            raise EmptySource(f"part '{part}' of source '{source}' has no document")
        table = np.frombuffer(digests, dtype=np.uint8).reshape(-1, 32)
        content = content_hash(table)
        if expected is not None and content != expected:
            raise SourceError(
                f"the files of source '{source}' changed while they were read (content {content}, "
                f"expected {expected}); run again"
            )
        _finish(temporary, table, np.array(lengths), np.array(sizes, dtype=np.int64), tokenizer, source, part)
    return TokenShard.open(folder)


def copy_documents(
    folder: Path,
    documents: Iterable[tuple[AnyArray, int]],
    tokenizer: Tokenizer,
    *,
    source: str,
    part: str,
) -> TokenShard:
    """A shard of documents that are tokens already; an existing folder is opened and kept.

    The order and the content hash are those of the tokens, as the text is not at hand; both are the same for
    the same documents, whatever their order here.

    Args:
        folder: where the shard shall lie; appears only when complete.
        documents: tokens of each, without the end-of-text token, and the bytes of its text.
        tokenizer: whose tokens they are.
        source: name of the source.
        part: name of the part.

    Raises:
        EmptySource: there is no document.
    """
    if folder.exists():
        return TokenShard.open(folder)
    dtype = shard_type(tokenizer)
    with atomic_folder(folder) as temporary:
        digests, lengths, sizes = bytearray(), [], []
        with (temporary / _UNORDERED).open("wb") as stream:
            for tokens, size in documents:
                data = np.append(tokens, tokenizer.end_of_text).astype(dtype).tobytes()
                stream.write(data)
                digests += hashlib.sha256(data).digest()
                lengths.append(len(tokens) + 1)
                sizes.append(size)
        if not sizes:
            raise EmptySource(f"part '{part}' of source '{source}' has no document")
        table = np.frombuffer(digests, dtype=np.uint8).reshape(-1, 32)
        _finish(temporary, table, np.array(lengths), np.array(sizes, dtype=np.int64), tokenizer, source, part)
    return TokenShard.open(folder)


def shard_type(tokenizer: Tokenizer) -> np.dtype[Any]:
    """The type of the tokens of a shard."""
    return np.dtype("<u2" if tokenizer.vocabulary_size <= 1 << 16 else "<u4")


def _finish(
    folder: Path,
    digests: AnyArray,
    lengths: IntArray,
    sizes: IntArray,
    tokenizer: Tokenizer,
    source: str,
    part: str,
) -> None:
    """Put the documents in order, and write what describes them."""
    order, dtype = digest_order(digests), shard_type(tokenizer)
    _reorder(folder / _UNORDERED, folder / _TOKENS, dtype, lengths, order)
    (folder / _UNORDERED).unlink()
    more = {"dtype": dtype.str}
    write_description(folder, digests, lengths[order], sizes[order], tokenizer, (source, part), more)


def write_description(
    folder: Path,
    digests: AnyArray,
    lengths: IntArray,
    sizes: IntArray,
    tokenizer: Tokenizer,
    place: tuple[str, str],
    more: Json,
) -> None:
    """Write all of a shard but its tokens.

    Args:
        folder: where the tokens, or the places of them, lie already.
        digests: identity of each document, in any order, uint8 [D, 32].
        lengths: tokens of each document in the order of the shard, end-of-text included [D].
        sizes: bytes of the text of each, in that order [D].
        tokenizer: whose tokens they are.
        place: names of source and part.
        more: what else ``meta.json`` shall say.
    """
    offsets = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
    np.save(folder / _OFFSETS, offsets)
    np.save(folder / _BYTES, sizes)
    names = [name for name in (_TOKENS, PLACES, _OFFSETS, _BYTES) if (folder / name).is_file()]
    meta = {
        "format": FORMAT,
        "source": place[0],
        "part": place[1],
        "tokenizer_hash": tokenizer.hash,
        "content_hash": content_hash(digests),
        "end_of_text": tokenizer.end_of_text,
        "documents": len(sizes),
        "tokens": int(offsets[-1]),
        "bytes": int(sizes.sum()),
        FILES: digests_of(folder, names),
        **more,
    }
    write_sealed(folder / "meta.json", meta)


def _own(folder: Path, meta: Json) -> AnyArray:
    tokens = np.memmap(folder / _TOKENS, dtype=np.dtype(meta["dtype"]), mode="r")
    if len(tokens) != meta["tokens"]:
        raise ValueError(f"{_TOKENS} has {len(tokens)} tokens, meta.json says {meta['tokens']}")
    return tokens


def _mapped(folder: Path, meta: Json, offsets: IntArray) -> MappedTokens:
    places = np.load(folder / PLACES)
    files = tuple(opened(meta[MAPPED]))
    return MappedTokens(files, places, np.asarray(offsets), meta["end_of_text"], np.dtype(meta["dtype"]))


def _ended(tokens: AnyArray, tokenizer: Tokenizer, dtype: np.dtype[Any]) -> AnyArray:
    """A document with its end-of-text token; both are within the vocabulary."""
    return np.append(tokens.astype(dtype), dtype.type(tokenizer.end_of_text))


def _encoded(block: list[Document], tokenizer: Tokenizer) -> list[AnyArray]:
    """The tokens of each document: its own where it has them."""
    texts = [one.text for one in block if one.tokens is None]
    made = iter(tokenizer.encode_batch(texts) if texts else [])
    return [np.array(next(made), dtype=np.int64) if one.tokens is None else one.tokens for one in block]


def _blocks(documents: Iterable[Document]) -> Iterator[list[Document]]:
    """Documents in blocks worth one call of the tokenizer."""
    block: list[Document] = []
    characters = 0
    for document in documents:
        block.append(document)
        characters += len(document.text)
        if characters >= _BLOCK_CHARACTERS or len(block) >= _BLOCK_DOCUMENTS:
            yield block
            block, characters = [], 0
    if block:
        yield block


def _reorder(
    unordered: Path, ordered: Path, dtype: np.dtype[Any], lengths: IntArray, order: IntArray
) -> None:
    tokens = np.memmap(unordered, dtype=dtype, mode="r")
    starts = np.cumsum(lengths) - lengths
    with ordered.open("wb") as stream:
        for index in order:
            stream.write(tokens[starts[index] : starts[index] + lengths[index]].tobytes())
