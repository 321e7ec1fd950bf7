"""Small real files and shards for the tests of the sources."""

import json
import lzma
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from cuvee.sources.document import Document
from cuvee.sources.shards import TokenShard, write_shard

END = 0
"""The end-of-text token of ``ByteTokenizer``."""


class ByteTokenizer:
    """Token = byte + 1, so that every expectation can be written down by hand."""

    def __init__(self, vocabulary_size: int = 257) -> None:
        self.vocabulary_size = vocabulary_size
        self.end_of_text = END
        self.hash = f"bytes-{vocabulary_size}"

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        return [[byte + 1 for byte in text.encode()] for text in texts]


class Recorder:
    """A Progress that remembers."""

    def __init__(self) -> None:
        self.stages: list[tuple[str, float, str]] = []
        self.done: list[float] = []
        self.messages: list[str] = []

    def stage(self, title: str, total: float, unit: str) -> None:
        self.stages.append((title, total, unit))
        self.done.append(0.0)

    def done_before(self, amount: float) -> None:
        self.done[-1] += amount

    def advance(self, amount: float, note: str = "") -> None:
        self.done[-1] += amount

    def message(self, text: str) -> None:
        self.messages.append(text)


class Serial:
    """An executor that runs jobs at once and counts them."""

    def __init__(self) -> None:
        self.items: list[Any] = []

    def map(
        self,
        job: Callable[[Any, Callable[[float, str], None]], Any],
        items: Sequence[Any],
        on_progress: Callable[[int, float, str], None] | None = None,
    ) -> Iterator[tuple[int, Any]]:
        for index, item in enumerate(items):
            self.items.append(item)

            def report(amount: float, note: str, index: int = index) -> None:
                if on_progress is not None:
                    on_progress(index, amount, note)

            yield index, job(item, report)


def documents(texts: Iterable[str], source: str = "s") -> list[Document]:
    return [Document(text, source, f"memory:{i}") for i, text in enumerate(texts)]


def make_shard(
    folder: Path, texts: Iterable[str], *, source: str = "s", vocabulary_size: int = 257
) -> TokenShard:
    tokenizer: Any = ByteTokenizer(vocabulary_size)
    return write_shard(folder, documents(texts, source), tokenizer, source=source, part="unit-0")


def token_shard(source: str, tokens: Sequence[int], tokenizer_hash: str = "t") -> TokenShard:
    """A shard in memory with the tokens given, as one document."""
    return TokenShard(
        folder=Path("memory"),
        source=source,
        part="unit-0",
        tokenizer_hash=tokenizer_hash,
        content_hash="c",
        end_of_text=END,
        tokens=np.asarray(tokens, dtype=np.uint16),
        document_offsets=np.array([0, len(tokens)]),
        document_bytes=np.array([len(tokens)]),
    )


def write_lines(path: Path, texts: Iterable[object], field: str = "text") -> Path:
    """JSON lines, compressed by what the suffix says."""
    data = "".join(json.dumps({field: text}) + "\n" for text in texts).encode()
    return write_bytes(path, data)


def write_bytes(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".xz":
        path.write_bytes(lzma.compress(data))
        return path
    compression = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2"}.get(path.suffix)
    with pa.output_stream(str(path), compression=compression) as stream:
        stream.write(data)
    return path
