"""datatrove's tokenized files: tokens in NAME.ds, where documents end in NAME.ds.index.

    NAME.ds            tokens of two or four bytes, little endian
    NAME.ds.index      the end of each document, in tokens (u64)
    NAME.ds.metadata   optional: "TOKENIZER|BYTES OF A TOKEN", tokens, the same for people

Without an index, documents end at end-of-text tokens. Read from datatrove/pipeline/tokens/tokenizer.py.
"""

from pathlib import Path

import numpy as np

from cuvee.errors import BrokenRecord
from cuvee.sources.separated_tokens import open_separated
from cuvee.sources.token_file import TokenFile, divided_at, in_order

NAME = "datatrove"

_WIDTHS = (2, 4)


def index_of(path: Path) -> Path:
    """Where the documents end."""
    return path.with_name(f"{path.name}.index")


def metadata_of(path: Path) -> Path:
    """What the tokens were made with."""
    return path.with_name(f"{path.name}.metadata")


def tokenizer_of(path: Path) -> str:
    """The name of the tokenizer as the metadata give it; empty where they do not."""
    head = _head(path)
    return head[0].rpartition("|")[0] or head[0] if head else ""


def open_datatrove(path: Path, end_of_text: int, vocabulary: int) -> TokenFile:
    """Open NAME.ds by its index.

    Raises:
        BrokenRecord: one of both is damaged, or they do not fit together.
    """
    size, index, width = path.stat().st_size, index_of(path), _declared(path)
    if not index.is_file():
        if width is None:
            found = open_separated(path, end_of_text, vocabulary)
            return TokenFile(path, NAME, found.dtype, found.starts, found.lengths)
        dtype = np.dtype(f"<u{width}")
        return TokenFile(path, NAME, dtype, *divided_at(path, dtype, end_of_text, vocabulary))
    if index.stat().st_size % 8 or not index.stat().st_size:
        raise BrokenRecord(f"{index}: {index.stat().st_size} bytes are no ends of documents; it is truncated")
    ends = np.fromfile(index, "<u8").astype(np.int64)
    starts = np.concatenate(([0], ends[:-1]))
    fitting = [one for one in _WIDTHS if size == one * int(ends[-1]) and one == (width or one)]
    if not fitting:
        said = f", {width} bytes each" if width else ""
        raise BrokenRecord(
            f"{path}: {int(ends[-1]):,} tokens{said}, as its index says, do not take {size:,} bytes; it is "
            "truncated, or of another type than its index and metadata say"
        )
    in_order(index, starts, ends - starts, int(ends[-1]))
    return TokenFile(path, NAME, np.dtype(f"<u{fitting[0]}"), starts, ends - starts)


def _head(path: Path) -> list[str]:
    file = metadata_of(path)
    return file.read_text(encoding="utf-8", errors="replace").splitlines() if file.is_file() else []


def _declared(path: Path) -> int | None:
    """Bytes of a token, where the metadata say."""
    head = _head(path)
    width = head[0].rpartition("|")[2] if head else ""
    return int(width) if width.isdigit() and int(width) in _WIDTHS else None
