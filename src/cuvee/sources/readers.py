"""Reading documents from files: text, JSON and Parquet, plain or compressed (sources).

One reader a file type, in the table ``READERS``; each streams, so that memory is bounded by one
block, a few rows or one record, and a document has a limit. Text must be UTF-8 (a byte-order mark is
dropped). Whatever cannot be read is named with its file and line. A file of which nothing can be read
is an error, also where broken records are allowed: a source would be empty and nobody would know.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from cuvee.errors import BrokenRecord, ConfigError
from cuvee.sources.decoded import NotUtf8, decoded
from cuvee.sources.document import Document
from cuvee.sources.file_types import KNOWN, type_of
from cuvee.sources.hub import HUB_PREFIX, read_hub
from cuvee.sources.json_records import json_records, line_records
from cuvee.sources.parquet_records import parquet_records
from cuvee.sources.record import MOST_DOCUMENT_BYTES, RECORD_FACTOR, OnBroken, Record, text_of
from cuvee.sources.source_files import files_of, passed_over_in_words
from cuvee.sources.token_source import TOKEN_FORMATS, TokenSource, format_of, open_tokens
from cuvee.sources.unpacked import UnreadableFile, in_words
from cuvee.types import BoolArray


@dataclass(frozen=True)
class SourceSpec:
    """What a source is made of, and how to read it."""

    name: str
    """Name of the source."""

    paths: tuple[str, ...]
    """Files, folders (read recursively), patterns (``data/**/*.jsonl.zst``), or Hugging Face datasets
    as ``hub:owner/name/config:split``; read in this order, and by name within each."""

    text_field: str = "text"
    """The field or column that holds the text, in JSON, Parquet and datasets; ``data.text`` is a field
    inside another. Where it holds the messages of a conversation, they are joined."""

    allow_broken: bool = False
    """Skip and count records that cannot be read, instead of stopping."""

    max_bytes: int | None = None
    """Stop reading before the document that would bring the source above so many bytes of text."""

    chunk_characters: int | None = None
    """Cut longer documents into pieces of at most so many characters, at paragraphs where possible."""

    format: str | None = None
    """The format of files that hold tokens, where their names do not say it (``TOKEN_FORMATS``)."""

    tokenizer: Path | None = None
    """Folder of the tokenizer that made the tokens, where files hold tokens."""

    document_bytes: int = MOST_DOCUMENT_BYTES
    """A document of more bytes of text is refused, or left out as a broken one."""

    @property
    def record_bytes(self) -> int:
        """The same for a record with all its fields, as it is written."""
        return RECORD_FACTOR * self.document_bytes

    @property
    def text_bytes(self) -> int:
        """The same for the text of a record: that of a document, more where it is cut afterwards."""
        return self.document_bytes if self.chunk_characters is None else self.record_bytes

    def __post_init__(self) -> None:
        if not self.name:
            raise ConfigError("a source needs a name that is not empty")
        if isinstance(self.paths, str) or not self.paths or not all(self.paths):
            raise ConfigError(f"source '{self.name}' needs a list of paths; got {self.paths!r}")
        for field in ("max_bytes", "chunk_characters", "document_bytes"):
            limit = getattr(self, field)
            if limit is not None and limit < 1:
                raise ConfigError(f"{field} of source '{self.name}' must be at least 1; got {limit}")
        if self.format is not None and self.format not in TOKEN_FORMATS:
            raise ConfigError(
                f"format of source '{self.name}' must be one of {', '.join(TOKEN_FORMATS)}; "
                f"got {self.format!r}"
            )
        if self.chunk_characters is not None and self.chunk_characters > self.document_bytes:
            raise ConfigError(
                f"chunk_characters of source '{self.name}' must be at most {self.document_bytes}, the limit "
                f"on a document; got {self.chunk_characters}"
            )


@dataclass(frozen=True)
class ReadOptions:
    """What a reader is given besides the file."""

    spec: SourceSpec
    """The source that is read."""

    broken: OnBroken
    """Called for each record that cannot be read; raises it, or takes note and returns."""


Reader = Callable[[Path, ReadOptions], Iterator[Document]]


def read_source(spec: SourceSpec, on_broken: OnBroken | None = None) -> Iterator[Document]:
    """All documents of a source in order, each once it is asked for.

    Args:
        spec: the source.
        on_broken: called with each record skipped under ``allow_broken``.

    Raises:
        MissingSource: a path does not exist, or a folder or pattern has no file that can be read.
        BrokenRecord: a record cannot be read and ``allow_broken`` is not set, or a file cannot be opened.
        ConfigError: a file has a type that is not known, or holds tokens and no tokenizer is declared.
    """
    return (one for one in _read(spec, on_broken, None) if one is not None)


def read_rows(spec: SourceSpec, rows: BoolArray) -> Iterator[Document | None]:
    """The documents of a source of which some are wanted; None for another where it costs nothing to leave
    it.

    Args:
        spec: the source.
        rows: which of the documents that ``read_source`` gives are wanted, bool [read].

    Raises:
        See ``read_source``.
    """
    return _read(spec, None, rows)


def _read(spec: SourceSpec, on_broken: OnBroken | None, rows: BoolArray | None) -> Iterator[Document | None]:
    def broken(error: BrokenRecord) -> None:
        if not spec.allow_broken:
            raise error
        if on_broken is not None:
            on_broken(error)

    options = ReadOptions(spec, broken)
    total = count = 0
    documents: Iterable[Document | None]
    for place in source_files(spec):
        if isinstance(place, str):
            documents = read_hub(place, spec.name, spec.text_field, broken, spec.text_bytes)
        elif holds_tokens(place, spec):
            decoded_rows = rows[count:] if rows is not None and spec.max_bytes is None else None
            documents = token_source(spec).of(place, spec.name, decoded_rows)
        else:
            documents = _reader_of(place, spec)(place, options)
        for document in documents:
            if document is None:
                count += 1
                yield None
                continue
            for piece in _pieces_of(document, spec.chunk_characters):
                count += 1
                total += len(piece.text.encode())
                if spec.max_bytes is not None and total > spec.max_bytes:
                    return
                yield piece


def holds_tokens(path: Path, spec: SourceSpec) -> bool:
    """Whether a file of a source holds tokens, not text."""
    return format_of(path, spec.format) is not None


def token_source(spec: SourceSpec) -> TokenSource:
    """The files of a source that hold tokens, opened and tried; once a process.

    Raises:
        BrokenRecord: a file cannot be read.
        ConfigError: their tokenizer is not declared, or the source is to be cut.
        SourceError: another tokenizer made them.
    """
    files = tuple(one for one in source_files(spec) if isinstance(one, Path) and holds_tokens(one, spec))
    if spec.tokenizer is None:
        raise ConfigError(
            f"source '{spec.name}': {files[0]} holds tokens; name the tokenizer that made them, for the "
            "whole study, as `tokenizer: {folder: ...}`"
        )
    if spec.chunk_characters is not None:
        raise ConfigError(
            f"source '{spec.name}': {files[0]} holds tokens, and only text can be cut; leave "
            "chunk_characters out"
        )
    return open_tokens(files, spec.tokenizer, spec.format, spec.name)


def token_files(spec: SourceSpec) -> bool:
    """Whether any file of a source holds tokens."""
    return any(isinstance(one, Path) and holds_tokens(one, spec) for one in source_files(spec))


def nothing_but_tokens(spec: SourceSpec) -> bool:
    """Whether all of a source is files of tokens, read to their end."""
    files = source_files(spec)
    return spec.max_bytes is None and all(isinstance(one, Path) and holds_tokens(one, spec) for one in files)


def source_files(spec: SourceSpec) -> list[Path | str]:
    """The files of a source in reading order, each once; ``hub:`` addresses as they are.

    Raises:
        MissingSource: a path does not exist, or a folder or pattern has no file that can be read.
    """
    places: dict[Path | str, None] = {}
    for path in spec.paths:
        if path.startswith(HUB_PREFIX):
            places[path] = None
        else:
            places.update(dict.fromkeys(files_of(path, spec.name).files))
    return list(places)


def passed_over(spec: SourceSpec) -> tuple[str, ...]:
    """The files beside those of a source that are not read, counted and named, one text a reason.

    Raises:
        MissingSource: see ``source_files``.
    """
    lists = [files_of(path, spec.name) for path in spec.paths if not path.startswith(HUB_PREFIX)]
    read = {file for one in lists for file in one.files}
    left = dict.fromkeys(found for one in lists for found in one.passed_over if found[0] not in read)
    return passed_over_in_words(left)


def read_text(path: Path, options: ReadOptions) -> Iterator[Document]:
    """A text file is one document; with ``chunk_characters`` it is cut while it is read."""
    spec, fragments = options.spec, decoded(path)
    begun = False
    try:
        first = next(fragments)
        begun = True
        text = chain([first], fragments)
        if spec.chunk_characters is None:
            yield Document("".join(_limited(text, spec.document_bytes)), spec.name, str(path))
        else:
            for number, piece in enumerate(split_text(text, spec.chunk_characters)):
                yield Document(piece, spec.name, f"{path}#{number}")
    except UnreadableFile as error:
        broken = BrokenRecord(f"{path}: {error}")
        if not begun and not isinstance(error, NotUtf8):
            raise broken from error
        options.broken(broken)


def read_json_lines(path: Path, options: ReadOptions) -> Iterator[Document]:
    """Every line is a JSON object with a text field; blank lines are passed over."""
    yield from _texts(line_records(path, options.broken, options.spec.record_bytes), options)


def read_json(path: Path, options: ReadOptions) -> Iterator[Document]:
    """JSON objects with a text field: one a line, in one array, or one after another."""
    yield from _texts(json_records(path, options.broken, options.spec.record_bytes), options)


def read_parquet(path: Path, options: ReadOptions) -> Iterator[Document]:
    """Every row is a document; the text column must hold strings, or the messages of conversations."""
    spec = options.spec
    yield from _texts(parquet_records(path, spec.text_field, options.broken, spec.text_bytes), options)


def read_records(path: Path, spec: SourceSpec) -> Iterator[Record]:
    """The records of a file with all their fields, as the readers see them before they take the text.

    Raises:
        BrokenRecord: a record cannot be read.
        ConfigError: the file has a type that holds no records.
    """

    def broken(error: BrokenRecord) -> None:
        raise error

    kind = type_of(path)
    if kind == ".parquet":
        return parquet_records(path, None, broken, spec.text_bytes)
    if kind == ".json":
        return json_records(path, broken, spec.record_bytes)
    if kind in (".jsonl", ".ndjson"):
        return line_records(path, broken, spec.record_bytes)
    raise ConfigError(f"{path}: a file of this type has no records")


# A new type needs its suffix in ``sources/file_types.py``, too.
READERS: dict[str, Reader] = {
    ".txt": read_text,
    ".md": read_text,
    ".jsonl": read_json_lines,
    ".ndjson": read_json_lines,
    ".json": read_json,
    ".parquet": read_parquet,
}
"""The reader of each file type."""


def split_text(fragments: Iterable[str], limit: int) -> Iterator[str]:
    """Cut a text into pieces of at most ``limit`` characters that add up to it.

    Pieces end at a blank line where they can, else at a line end, else anywhere. Memory is bounded
    by the limit and one fragment.

    Args:
        fragments: the text in fragments of any size.
        limit: characters in one piece, at least 1.
    """
    piece = paragraph = ""  # whole paragraphs; the lines of the one that is not yet whole
    for line in _text_lines(fragments, limit):
        if len(piece) + len(paragraph) + len(line) > limit and piece:
            yield piece
            piece = ""
        if len(paragraph) + len(line) > limit:
            yield paragraph
            paragraph = ""
        paragraph += line
        if not line.strip():
            piece += paragraph
            paragraph = ""
    if piece or paragraph:
        yield piece + paragraph


def _text_lines(fragments: Iterable[str], limit: int) -> Iterator[str]:
    """Lines with their ends; a line longer than the limit comes in parts."""
    rest = ""
    for fragment in fragments:
        lines = (rest + fragment).split("\n")
        rest = lines.pop()
        for line in lines:
            whole = line + "\n"
            yield from (whole[i : i + limit] for i in range(0, len(whole), limit))
        if len(rest) > limit:
            cut = (len(rest) - 1) // limit * limit
            yield from (rest[i : i + limit] for i in range(0, cut, limit))
            rest = rest[cut:]
    if rest:
        yield rest


def _pieces_of(document: Document, limit: int | None) -> Iterator[Document]:
    if limit is None or len(document.text) <= limit:
        yield document
        return
    for number, piece in enumerate(split_text([document.text], limit)):
        yield Document(piece, document.source, f"{document.location}#{number}")


class _TooLarge(UnreadableFile):
    """A text file is larger than a document may be."""


def _limited(fragments: Iterable[str], limit: int) -> Iterator[str]:
    size = 0
    for fragment in fragments:
        size += len(fragment.encode())
        if size > limit:
            raise _TooLarge(
                f"is one document of more than {in_words(limit)}, the most that is read; set "
                "chunk_characters to cut it into pieces"
            )
        yield fragment


def _texts(records: Iterable[Record], options: ReadOptions) -> Iterator[Document]:
    """The text of each record as a document."""
    spec = options.spec
    for record in records:
        try:
            text = text_of(record.fields, spec.text_field, record.location, spec.text_bytes)
        except BrokenRecord as error:
            options.broken(error)
            continue
        yield Document(text, spec.name, record.location)


def _reader_of(path: Path, spec: SourceSpec) -> Reader:
    reader = READERS.get(type_of(path))
    if reader is None:
        raise ConfigError(f"source '{spec.name}': cannot read {path}; known types are {KNOWN}")
    return reader
