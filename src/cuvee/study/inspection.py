"""Looking at a folder of data: which sources it holds and how much text they are (floor 7).

Only a sample is read. Text files that are not compressed are text as they are; of all others the sample says
how much text a byte on disk stands for.
"""

import io
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cuvee.errors import ConfigError, MissingSource
from cuvee.sources.readers import COMPRESSIONS, READERS
from cuvee.study.folder import CONFIG_NAME, GENERATED

SAMPLED_FILES = 8
SAMPLED_RECORDS = 50
_PIECE_BYTES = 1 << 20
_BLOCK_BYTES = 1 << 16
_MOST_UNPACKED = 1 << 24
_TEXT = (".txt", ".md")
_ABOUT = ("readme", "license", "licence", "notice", "changelog", "manifest")
_USUAL_FIELDS = ("text", "content", "body", "document", "raw_content", "markdown")


@dataclass(frozen=True)
class FoundSource:
    """A sub-folder or a file that can be a source."""

    name: str
    path: str
    """Relative to the folder that was looked at."""
    files: int
    bytes: int
    """On disk, compressed files as they lie there."""
    text_bytes: int
    """Of the text inside, in UTF-8."""
    estimated: bool
    """``text_bytes`` comes from a sample."""
    documents_sampled: int
    """Records looked at, at most ``SAMPLED_FILES * SAMPLED_RECORDS``."""
    text_field: str
    """The field that holds the text of the sampled records."""

    @property
    def size(self) -> str:
        """How much text there is, in words."""
        return f"{'about ' if self.estimated else ''}{_size(self.text_bytes)}"

    @property
    def note(self) -> str:
        """In a few words."""
        files = "1 file" if self.files == 1 else f"{self.files} files"
        sample = "1 document" if self.documents_sampled == 1 else f"{self.documents_sampled} documents"
        return f"{files}, {self.size} of text, {sample} sampled"


@dataclass
class _Sample:
    """The first records of a file."""

    fields: Counter[str] = field(default_factory=Counter)
    """How often each field held the text."""
    text_bytes: int = 0
    disk_bytes: float = 0.0
    """What these records take in the file; 0 if that is not known."""

    def add(self, name: str, text: str) -> None:
        self.fields[name] += 1
        self.text_bytes += len(text.encode(errors="replace"))


def inspect(folder: Path) -> list[FoundSource]:
    """The sources of a folder, by name: each sub-folder with data in it, and each data file beside them.

    Cost: the folder is listed, the first records of some files are read.

    Raises:
        MissingSource: there is no such folder, or no file in it that can be read.
        ConfigError: a record has no field that looks like text.
    """
    if not folder.is_dir():
        raise MissingSource(f"{folder}: no such folder")
    found: dict[str, FoundSource] = {}
    for entry in sorted(folder.iterdir()):
        about = entry.is_file() and _stem(entry).lower() in _ABOUT
        made = entry.is_dir() and (entry.name in GENERATED or (entry / CONFIG_NAME).is_file())
        if entry.name.startswith(".") or about or made:
            continue
        files = list(_data_files(entry))
        if files:
            name = _free_name(entry.name if entry.is_dir() else _stem(entry), found)
            found[name] = _measured(name, entry.relative_to(folder), files)
    if not found:
        known = f"{', '.join(READERS)}, also with {', '.join(COMPRESSIONS)}"
        raise MissingSource(f"{folder}: no file of a known kind in it ({known})")
    return list(found.values())


def _data_files(entry: Path) -> Iterator[Path]:
    if entry.is_file():
        files: Iterable[Path] = [entry]
    else:
        files = (Path(folder, name) for folder, _, names in sorted(os.walk(entry)) for name in sorted(names))
    yield from (file for file in files if _kind(file) in READERS and not file.name.startswith("."))


def _kind(file: Path) -> str:
    """The suffix that says what is inside, compression aside."""
    suffix = file.suffix.lower()
    return Path(file.stem).suffix.lower() if suffix in COMPRESSIONS else suffix


def _stem(file: Path) -> str:
    return Path(file.stem).stem if file.suffix.lower() in COMPRESSIONS else file.stem


def _measured(name: str, path: Path, files: list[Path]) -> FoundSource:
    on_disk = sum(file.stat().st_size for file in files)
    if all(file.suffix.lower() in _TEXT for file in files):
        sampled = min(len(files), SAMPLED_FILES)
        return FoundSource(name, str(path), len(files), on_disk, on_disk, False, sampled, "text")
    samples = [_sampled(file) for file in files[:SAMPLED_FILES]]
    fields = sum((one.fields for one in samples), Counter[str]())
    known = sum(one.disk_bytes for one in samples)
    text = sum(one.text_bytes for one in samples)
    return FoundSource(
        name,
        str(path),
        len(files),
        on_disk,
        round(on_disk * text / known) if known else 0,
        True,
        fields.total(),
        fields.most_common(1)[0][0] if fields else "text",
    )


def _sampled(file: Path) -> _Sample:
    try:
        if _kind(file) == ".parquet":
            return _parquet_sample(file)
        return _text_sample(file) if _kind(file) in _TEXT else _json_sample(file)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file}: cannot be read as {_kind(file)}: {error}") from error


def _text_sample(file: Path) -> _Sample:
    """Plain text is one record, of which a first piece is looked at."""
    with _unpacked(file) as stream:
        size = len(stream.read(_PIECE_BYTES))
    return _Sample(Counter({"text": 1}), size, size / _expansion(file))


def _json_sample(file: Path) -> _Sample:
    sample, read = _Sample(), 0
    with io.BufferedReader(_unpacked(file)) as stream:
        for line in stream:
            read += len(line)
            if line.strip():
                sample.add(*_text_of(json.loads(line.decode("utf-8-sig")), file))
            if sample.fields.total() == SAMPLED_RECORDS:
                break
    sample.disk_bytes = read / _expansion(file)
    return sample


def _parquet_sample(file: Path) -> _Sample:
    import pyarrow.parquet as pq

    sample = _Sample()
    with pq.ParquetFile(file) as table:
        for batch in table.iter_batches(batch_size=SAMPLED_RECORDS):
            for record in batch.to_pylist():
                sample.add(*_text_of(record, file))
            break
        rows = table.metadata.num_rows
    sample.disk_bytes = file.stat().st_size * sample.fields.total() / rows if rows else 0.0
    return sample


def _unpacked(file: Path) -> Any:
    import pyarrow as pa

    return pa.input_stream(str(file), compression=COMPRESSIONS.get(file.suffix.lower()))


def _expansion(file: Path) -> float:
    """Bytes that a byte on disk unpacks to, by the first piece of the file."""
    import pyarrow as pa

    compression = COMPRESSIONS.get(file.suffix.lower())
    if compression is None:
        return 1.0
    with file.open("rb") as whole, pa.BufferReader(whole.read(_PIECE_BYTES)) as piece:
        stream, unpacked = pa.CompressedInputStream(piece, compression), 0
        with suppress(OSError):  # the piece ends anywhere
            while unpacked < _MOST_UNPACKED and (block := stream.read(_BLOCK_BYTES)):
                unpacked += len(block)
        return max(unpacked, 1) / max(int(piece.tell()), 1)


def _text_of(record: object, file: Path) -> tuple[str, str]:
    """The field that holds the text of a record, and the text."""
    texts = {k: v for k, v in record.items() if isinstance(v, str)} if isinstance(record, dict) else {}
    usual = next((name for name in _USUAL_FIELDS if name in texts), None)
    if usual is None and not texts:
        raise ConfigError(f"{file}: a record without any text field: {str(record)[:60]}")
    name = usual or max(texts, key=lambda key: len(texts[key]))
    return name, texts[name]


def _size(count: int) -> str:
    """Bytes in the unit that suits them."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return "1 byte" if count == 1 else f"{count} bytes"


def _free_name(name: str, taken: dict[str, FoundSource]) -> str:
    number = 2
    free = name
    while free in taken:
        free, number = f"{name}-{number}", number + 1
    return free
