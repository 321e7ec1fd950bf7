"""Looking at a folder of data: which sources it holds and how large they are (floor 7)."""

import io
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from cuvee.errors import ConfigError, MissingSource
from cuvee.sources.readers import COMPRESSIONS, READERS
from cuvee.study.folder import GENERATED

SAMPLED_FILES = 8
SAMPLED_RECORDS = 50
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
    documents_sampled: int
    """Records looked at, at most ``SAMPLED_FILES * SAMPLED_RECORDS``."""
    text_field: str
    """The field that holds the text of the sampled records."""

    @property
    def note(self) -> str:
        """In a few words."""
        files = "1 file" if self.files == 1 else f"{self.files} files"
        sample = "1 document" if self.documents_sampled == 1 else f"{self.documents_sampled} documents"
        return f"{files}, {self.bytes / 1e6:.1f} MB, {sample} sampled"


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
        if entry.name.startswith(".") or about or (entry.is_dir() and entry.name in GENERATED):
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
    fields: dict[str, int] = {}
    sampled = 0
    for file in files[:SAMPLED_FILES]:
        for field in islice(_text_fields(file), SAMPLED_RECORDS):
            fields[field] = fields.get(field, 0) + 1
            sampled += 1
    field = max(fields, key=lambda key: fields[key]) if fields else "text"
    return FoundSource(name, str(path), len(files), sum(f.stat().st_size for f in files), sampled, field)


def _text_fields(file: Path) -> Iterator[str]:
    """For each record of a file the field that holds its text; plain text is one record."""
    if _kind(file) in (".txt", ".md"):
        yield "text"
        return
    try:
        records = _parquet_records(file) if _kind(file) == ".parquet" else _json_records(file)
        for record in records:
            yield _text_field(record, file)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file}: cannot be read as {_kind(file)}: {error}") from error


def _text_field(record: object, file: Path) -> str:
    texts = {k: v for k, v in record.items() if isinstance(v, str)} if isinstance(record, dict) else {}
    usual = next((field for field in _USUAL_FIELDS if field in texts), None)
    if usual is None and not texts:
        raise ConfigError(f"{file}: a record without any text field: {str(record)[:60]}")
    return usual or max(texts, key=lambda key: len(texts[key]))


def _json_records(file: Path) -> Iterator[object]:
    import pyarrow as pa

    with pa.input_stream(str(file), compression="detect") as stream:
        for line in io.TextIOWrapper(stream, encoding="utf-8"):
            if line.strip():
                yield json.loads(line)


def _parquet_records(file: Path) -> Iterator[object]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(file) as table:
        for batch in table.iter_batches(batch_size=SAMPLED_RECORDS):
            yield from batch.to_pylist()


def _free_name(name: str, taken: dict[str, FoundSource]) -> str:
    number = 2
    free = name
    while free in taken:
        free, number = f"{name}-{number}", number + 1
    return free
