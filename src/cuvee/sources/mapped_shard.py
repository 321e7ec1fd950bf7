"""Shards that copy no token: they say where the tokens of each document lie in the files of a source.

    places.npy            int64 [D, 2], file and first token there
    document_offsets.npy, document_bytes.npy, meta.json    as in any shard; meta.json has the files

The text of a source is read and hashed whenever a study begins, so a file that changed gives another shard.
A shard whose files moved, were touched or hold other tokens (``sample_hash``) is made again, which costs no
reading.
"""

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from cuvee.errors import EmptySource
from cuvee.files import atomic_folder
from cuvee.sources.mapped_tokens import described
from cuvee.sources.shards import MAPPED, PLACES, TokenShard, digest_order, shard_type, write_description
from cuvee.sources.token_source import TokenSource
from cuvee.sources.tokenizer import Tokenizer
from cuvee.types import AnyArray, BoolArray, IntArray


@dataclass(frozen=True, eq=False)
class KeptDocuments:
    """D documents that a source keeps, in reading order."""

    rows: IntArray = field(repr=False)
    """Of each its place among all that the source has [D]."""

    digests: AnyArray = field(repr=False)
    """Of each its identity, uint8 [D, 32]."""

    sizes: IntArray = field(repr=False)
    """Of each the bytes of its text [D]."""

    def select(self, chosen: BoolArray) -> "KeptDocuments":
        """Some of them."""
        return KeptDocuments(self.rows[chosen], self.digests[chosen], self.sizes[chosen])


def map_documents(
    folder: Path, documents: KeptDocuments, tokens: TokenSource, tokenizer: Tokenizer, source: str, part: str
) -> TokenShard:
    """A shard of documents of files of tokens; one that fits is opened and kept.

    Raises:
        EmptySource: there is no document.
    """
    if not len(documents.rows):
        raise EmptySource(f"part '{part}' of source '{source}' has no document")
    if folder.exists() and not is_stale(folder, tokens):
        return TokenShard.open(folder)
    shutil.rmtree(folder, ignore_errors=True)
    order = digest_order(documents.digests)
    places, lengths = _places(tokens, tokenizer.end_of_text)
    chosen = documents.rows[order]
    with atomic_folder(folder) as temporary:
        np.save(temporary / PLACES, places[chosen])
        write_description(
            temporary,
            documents.digests,
            lengths[chosen] + 1,
            documents.sizes[order],
            tokenizer,
            (source, part),
            {MAPPED: described(tokens.files), "dtype": shard_type(tokenizer).str},
        )
    return TokenShard.open(folder)


def is_stale(folder: Path, tokens: TokenSource) -> bool:
    """Whether a shard refers to files that are not those of the source as they are; a copy never is."""
    try:
        meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False  # it is refused in words when it is opened
    return MAPPED in meta and meta[MAPPED] != described(tokens.files)


def _places(tokens: TokenSource, end_of_text: int) -> tuple[IntArray, IntArray]:
    """Of all documents in reading order file and first token [n, 2], and tokens without end-of-text [n]."""
    places, lengths = [], []
    for number, file in enumerate(tokens.files):
        places.append(np.column_stack((np.full(file.documents, number), file.starts)))
        lengths.append(file.lengths - file.ended(end_of_text))
    return np.concatenate(places).astype(np.int64), np.concatenate(lengths).astype(np.int64)
