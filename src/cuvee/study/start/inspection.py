"""Looking at a folder of data: which sources it holds and how much text they are.

Only a sample is read, by the readers that a study uses. Text files that are not compressed are text as they
are; of all others the sample says how much text a byte on disk stands for.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path

from cuvee.errors import BrokenRecord, MissingSource
from cuvee.sources.decoded import decoded
from cuvee.sources.file_types import (
    COMPRESSIONS,
    KNOWN,
    TEXT_TYPES,
    TOKEN_TYPES,
    is_companion,
    stem_of,
    type_of,
)
from cuvee.sources.readers import SourceSpec, read_records, read_source
from cuvee.sources.record import Record, leaves
from cuvee.sources.source_files import FileList, Reason, files_in, passed_over_in_words, reason_to_pass_over
from cuvee.sources.token_source import open_tokens
from cuvee.sources.unpacked import UnreadableFile, expansion, in_words
from cuvee.study.file.folder import CONFIG_NAME, GENERATED, GENERATED_FILES
from cuvee.study.start.text_fields import text_field

SAMPLED_FILES = 8
SAMPLED_RECORDS = 50
SAMPLED_BYTES = 1 << 22
"""No more records of a file are looked at once they have so much."""
PIECE_CHARACTERS = 50_000
"""Of the pieces that text files are cut into where they are larger than a document may be."""
_PIECE_BYTES = 1 << 20
_OF_MEGATRON = re.compile(r"(?<=.)_text_(document|sentence)$")


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
    """Records looked at, at most ``SAMPLED_FILES * SAMPLED_RECORDS``, and text files."""
    text_field: str = "text"
    """The field that holds the text of the sampled records."""
    chunk_characters: int | None = None
    """The pieces that its documents must be cut into; None where they need not."""
    remarks: tuple[str, ...] = ()
    """What is left out of it, joined or cut; sentences without a stop."""
    formats: tuple[str, ...] = ()
    """Formats of its files that hold tokens."""
    tokens: int | None = None
    """In those files, as far as they were opened: for that their tokenizer must lie beside them."""

    @property
    def only_tokens(self) -> bool:
        """There is no text in it."""
        return bool(self.formats) and not self.text_bytes

    @property
    def size(self) -> str:
        """How much text there is, in words."""
        if self.only_tokens:
            return self._tokens
        return f"{'about ' if self.estimated else ''}{_size(self.text_bytes)}"

    @property
    def note(self) -> str:
        """In a few words."""
        files = "1 file" if self.files == 1 else f"{self.files} files"
        if self.formats:
            text = f", {self.size} of text" if self.text_bytes else ""
            return f"{files}{text}, {self._tokens}"
        sample = "1 document" if self.documents_sampled == 1 else f"{self.documents_sampled} documents"
        return f"{files}, {self.size} of text, {sample} sampled"

    @property
    def _tokens(self) -> str:
        """Its tokens in words."""
        many = _size(self.bytes) if self.tokens is None else f"{self.tokens:,}"
        return f"{many} {'of ' if self.tokens is None else ''}tokens ({', '.join(self.formats)})"


@dataclass(frozen=True)
class Inspection:
    """What a folder of data holds. Iterates over its sources."""

    sources: tuple[FoundSource, ...]
    """By name."""
    passed_over: tuple[str, ...]
    """What beside them is no source, counted and named."""
    tokenizer: str | None = None
    """Where a tokenizer lies, relative to the folder that was looked at, if sources hold tokens."""

    def __iter__(self) -> Iterator[FoundSource]:
        return iter(self.sources)


@dataclass(frozen=True)
class _Sample:
    """Some documents of a source."""

    documents: int = 0
    text_bytes: int = 0
    disk_bytes: float = 0.0
    """What they take in their files; 0 if that is not known."""

    def __add__(self, other: "_Sample") -> "_Sample":
        return _Sample(
            self.documents + other.documents,
            self.text_bytes + other.text_bytes,
            self.disk_bytes + other.disk_bytes,
        )


def inspect(folder: Path) -> Inspection:
    """The sources of a folder, by name: each sub-folder with data in it, and each data file beside them.

    Cost: the folder is listed, the first records of some files are read.

    Raises:
        MissingSource: there is no such folder, or nothing in it that can be read; or a sub-folder has a card
            or a licence, and no data.
        BrokenRecord: a file that was looked at cannot be read.
        ConfigError: no field of its records looks like text.
    """
    if not folder.is_dir():
        raise MissingSource(f"{folder}: no such folder")
    found: dict[str, FoundSource] = {}
    beside: list[tuple[Path, Reason]] = []
    tokenizer = _tokenizer(folder)
    for entry in _entries(folder):
        inside = _inside(entry)
        if inside.files:
            name = _free_name(_called(entry), found)
            found[name] = _measured(name, entry.relative_to(folder), inside, tokenizer)
        else:
            _require_no_card(entry, inside)
            beside += inside.passed_over
    left_out = passed_over_in_words(beside)
    if not found:
        raise MissingSource(f"{folder}: no file of a known kind in it ({'; '.join((KNOWN, *left_out))})")
    tokens = any(source.formats for source in found.values())
    lies = str(tokenizer.relative_to(folder)) if tokens and tokenizer is not None else None
    return Inspection(tuple(found.values()), left_out, lies)


def _called(entry: Path) -> str:
    """The name of a source: of Megatron's files without what its preprocessing puts behind a prefix."""
    if entry.is_dir():
        return entry.resolve().name
    return _OF_MEGATRON.sub("", stem_of(entry)) if type_of(entry) == ".bin" else stem_of(entry)


def _entries(folder: Path) -> list[Path]:
    """What in a folder may be a source: all of it, if it is one dataset saved to disk."""
    if (folder / "state.json").is_file() and any(folder.glob("*.arrow")):
        return [folder]
    return [one for one in sorted(folder.iterdir()) if not (_own(one) or is_companion(one))]


def _tokenizer(folder: Path) -> Path | None:
    """The folder of a tokenizer among the data; the first by name."""
    places = (folder / "tokenizer", folder, *(one for one in sorted(folder.iterdir()) if one.is_dir()))
    inner = (one / "tokenizer" for one in places[2:])
    return next((one for one in (*places, *inner) if (one / "tokenizer.json").is_file()), None)


def _own(entry: Path) -> bool:
    """Hidden, a tokenizer, or made by cuvee."""
    if entry.is_dir():
        if (entry / "tokenizer.json").is_file() and not files_in(entry).files:
            return True
        return entry.name.startswith(".") or entry.name in GENERATED or (entry / CONFIG_NAME).is_file()
    if (entry.parent / CONFIG_NAME).is_file() and entry.name in GENERATED_FILES:
        return True
    return entry.name.startswith(".") or entry.name == CONFIG_NAME


def _inside(entry: Path) -> FileList:
    if entry.is_dir():
        return files_in(entry)
    reason = reason_to_pass_over(entry)
    return FileList((entry,)) if reason is None else FileList((), ((entry, reason),))


def _require_no_card(entry: Path, inside: FileList) -> None:
    """A folder with a card is meant to be a source."""
    if entry.is_dir() and any(reason in ("card", "pointer") for _, reason in inside.passed_over):
        raise MissingSource(
            f"{entry}: there is nothing in it but {'; '.join(inside.left_out)}; put its data there, in files "
            f"of known kinds ({KNOWN}), or take the folder away"
        )


def _measured(name: str, path: Path, inside: FileList, tokenizer: Path | None) -> FoundSource:
    held = tuple(file for file in inside.files if type_of(file) in TOKEN_TYPES)
    if held:
        rest = replace(inside, files=tuple(file for file in inside.files if file not in held))
        return _with_tokens(_measured_text(name, path, rest), held, tokenizer)
    return _measured_text(name, path, inside)


def _with_tokens(source: FoundSource, files: tuple[Path, ...], tokenizer: Path | None) -> FoundSource:
    """The source with files that hold tokens; they are opened where their tokenizer is at hand."""
    opened = open_tokens(files, tokenizer, None, source.name) if tokenizer is not None else None
    said = opened.remarks if opened is not None else ()
    return replace(
        source,
        files=source.files + len(files),
        bytes=source.bytes + sum(file.stat().st_size for file in files),
        formats=tuple(sorted({TOKEN_TYPES[type_of(file)] for file in files})),
        tokens=opened.tokens if opened is not None else None,
        remarks=(*source.remarks, *said),
    )


def _measured_text(name: str, path: Path, inside: FileList) -> FoundSource:
    files = inside.files
    on_disk = sum(file.stat().st_size for file in files)
    texts = [file for file in files if type_of(file) in TEXT_TYPES]
    records = [file for file in files if type_of(file) not in TEXT_TYPES]
    source = FoundSource(
        name,
        str(path),
        len(files),
        on_disk,
        on_disk,
        False,
        0,
        remarks=tuple(f"passed over {what}" for what in inside.left_out),
    )
    source = _cut_if_needed(source, texts)
    sample = sum((_text_sample(file) for file in texts[:SAMPLED_FILES]), _Sample())
    if records:
        sampled = {file: _first_records(file) for file in records[:SAMPLED_FILES]}
        source = _with_field(source, records, list(chain(*sampled.values())))
        sample = sum((_record_sample(file, one, source) for file, one in sampled.items()), sample)
    source = replace(source, documents_sampled=sample.documents)
    if not records and not any(file.suffix.lower() in COMPRESSIONS for file in texts):
        return source
    ratio = sample.text_bytes / sample.disk_bytes if sample.disk_bytes else 0.0
    return replace(source, text_bytes=round(on_disk * ratio), estimated=True)


def _first_records(file: Path) -> list[Record]:
    """Some records of a file; few of them where they are large."""
    records: list[Record] = []
    size = 0
    for record in islice(read_records(file, SourceSpec("sample", (str(file),))), SAMPLED_RECORDS):
        records.append(record)
        size += record.size or sum(len(value) for _, value in leaves(record.fields) if isinstance(value, str))
        if size > SAMPLED_BYTES:
            break
    return records


def _with_field(source: FoundSource, files: Sequence[Path], sampled: Sequence[Record]) -> FoundSource:
    """The source with the field that holds its text."""
    if not sampled:
        return source
    where = str(files[0]) if len(files) == 1 else f"{files[0]} and {len(files) - 1} more"
    chosen = text_field(sampled, where)
    remarks = (*source.remarks, *([chosen.remark] if chosen.remark else []))
    return replace(source, text_field=chosen.name, remarks=remarks)


def _cut_if_needed(source: FoundSource, files: Sequence[Path]) -> FoundSource:
    """The source with pieces, where a text file is larger than a document may be."""
    limit = SourceSpec(source.name, (source.path,)).document_bytes
    largest = sorted(files, key=lambda file: file.stat().st_size)[-SAMPLED_FILES:]
    if not any(file.stat().st_size * expansion(file) > limit for file in largest):
        return source
    remark = f"files of more than {in_words(limit)} are cut into pieces of {PIECE_CHARACTERS:,} characters"
    return replace(source, chunk_characters=PIECE_CHARACTERS, remarks=(*source.remarks, remark))


def _text_sample(file: Path) -> _Sample:
    """Plain text is one record, of which a first piece is looked at."""
    size = 0
    try:
        for fragment in decoded(file):
            size += len(fragment.encode())
            if size >= _PIECE_BYTES:
                break
    except UnreadableFile as error:
        raise BrokenRecord(f"{file}: {error}") from error
    return _Sample(1, size, size / expansion(file))


def _record_sample(file: Path, records: Sequence[Record], source: FoundSource) -> _Sample:
    """The same records, read as a study reads them."""
    spec = SourceSpec(source.name, (str(file),), source.text_field)
    texts = [len(document.text.encode()) for document in islice(read_source(spec), len(records))]
    if type_of(file) == ".parquet":
        disk = file.stat().st_size * len(texts) / max(_rows(file), 1)
    else:
        disk = sum(record.size for record in records) / expansion(file)
    return _Sample(len(texts), sum(texts), disk)


def _rows(file: Path) -> int:
    import pyarrow.parquet as pq

    return int(pq.read_metadata(file).num_rows)


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
