"""Reading documents from files: text, JSON lines and parquet, plain or compressed (sources).

One reader a file type, in the table ``READERS``; each streams, so that memory is bounded by one
block, row group slice or record. Text must be UTF-8 (a byte-order mark is dropped). ``gz``, ``zst``
and ``bz2`` are unpacked on the way. Whatever cannot be read is told with its file and line.
"""

import codecs
import glob
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from cuvee.errors import BrokenRecord, ConfigError, MissingSource
from cuvee.sources.document import Document
from cuvee.sources.hub import HUB_PREFIX, read_hub

_BLOCK_BYTES = 1 << 20
_PARQUET_ROWS = 1024


@dataclass(frozen=True)
class SourceSpec:
    """What a source is made of, and how to read it."""

    name: str
    """Name of the source."""

    paths: tuple[str, ...]
    """Files, folders (read recursively), patterns (``data/**/*.jsonl.zst``), or Hugging Face datasets
    as ``hub:owner/name/config:split``; read in this order, and by name within each."""

    text_field: str = "text"
    """The field or column that holds the text, in JSON lines, parquet and datasets."""

    allow_broken: bool = False
    """Skip and count records that cannot be read, instead of stopping."""

    max_bytes: int | None = None
    """Stop reading before the document that would bring the source above so many bytes of text."""

    chunk_characters: int | None = None
    """Cut longer documents into pieces of at most so many characters, at paragraphs where possible."""

    def __post_init__(self) -> None:
        if not self.name:
            raise ConfigError("a source needs a name that is not empty")
        if isinstance(self.paths, str) or not self.paths or not all(self.paths):
            raise ConfigError(f"source '{self.name}' needs a list of paths; got {self.paths!r}")
        for field in ("max_bytes", "chunk_characters"):
            limit = getattr(self, field)
            if limit is not None and limit < 1:
                raise ConfigError(f"{field} of source '{self.name}' must be at least 1; got {limit}")


@dataclass(frozen=True)
class ReadOptions:
    """What a reader is told besides the file."""

    spec: SourceSpec
    """The source that is read."""

    broken: Callable[[BrokenRecord], None]
    """Called for each record that cannot be read; raises it, or takes note and returns."""


Reader = Callable[[Path, ReadOptions], Iterator[Document]]


def read_source(
    spec: SourceSpec, on_broken: Callable[[BrokenRecord], None] | None = None
) -> Iterator[Document]:
    """All documents of a source in order, each once it is asked for.

    Args:
        spec: the source.
        on_broken: told each record skipped under ``allow_broken``.

    Raises:
        MissingSource: a path does not exist, or a folder or pattern has no file that can be read.
        BrokenRecord: a record cannot be read and ``allow_broken`` is not set.
        ConfigError: a file has a type that is not known.
    """

    def broken(error: BrokenRecord) -> None:
        if not spec.allow_broken:
            raise error
        if on_broken is not None:
            on_broken(error)

    options = ReadOptions(spec, broken)
    total = 0
    for place in source_files(spec):
        if isinstance(place, str):
            documents = read_hub(place, spec.name, spec.text_field, broken)
        else:
            documents = _reader_of(place, spec)(place, options)
        for document in documents:
            for piece in _pieces_of(document, spec.chunk_characters):
                total += len(piece.text.encode())
                if spec.max_bytes is not None and total > spec.max_bytes:
                    return
                yield piece


def source_files(spec: SourceSpec) -> list[Path | str]:
    """The files of a source in reading order, each once; ``hub:`` addresses as they are.

    Raises:
        MissingSource: a path does not exist, or a folder or pattern has no file that can be read.
    """
    places: dict[Path | str, None] = {}
    for path in spec.paths:
        if path.startswith(HUB_PREFIX):
            places[path] = None
            continue
        if Path(path).is_file():
            found = [Path(path)]
        elif Path(path).is_dir():
            found = sorted(file for file in Path(path).rglob("*") if _readable(file, Path(path)))
        else:
            matches = glob.glob(path, recursive=True)  # noqa: PTH207 (pathlib has no absolute patterns)
            found = sorted(Path(match) for match in matches if Path(match).is_file())
        if not found:
            reason = "has no file of a known type" if Path(path).is_dir() else "does not exist"
            raise MissingSource(
                f"path '{path}' of source '{spec.name}' {reason} (known types: {', '.join(READERS)}, "
                f"also with {', '.join(COMPRESSIONS)}; relative paths start at {Path.cwd()})"
            )
        places.update(dict.fromkeys(found))
    return list(places)


def read_text(path: Path, options: ReadOptions) -> Iterator[Document]:
    """A text file is one document; with ``chunk_characters`` it is cut while it is read."""
    spec = options.spec
    try:
        if spec.chunk_characters is None:
            yield Document("".join(_decoded(path)), spec.name, str(path))
        else:
            for number, piece in enumerate(split_text(_decoded(path), spec.chunk_characters)):
                yield Document(piece, spec.name, f"{path}#{number}")
    except BrokenRecord as error:
        options.broken(error)


def read_json_lines(path: Path, options: ReadOptions) -> Iterator[Document]:
    """Every line is a JSON object with a text field; blank lines are passed over."""
    number = 0
    try:
        for number, line in enumerate(_lines(path), start=1):
            location = f"{path}:{number}"
            try:
                text = _text_of_line(line, options.spec.text_field, location)
            except BrokenRecord as error:
                options.broken(error)
                continue
            if text is not None:
                yield Document(text, options.spec.name, location)
    except _UnreadableFile as error:
        options.broken(BrokenRecord(f"{path}:{number + 1}: {error}"))


def read_parquet(path: Path, options: ReadOptions) -> Iterator[Document]:
    """Every row is a document; the text column must hold strings."""
    field = options.spec.text_field
    row = 0
    try:
        with pq.ParquetFile(path) as file:
            if problem := _column_problem(file.schema_arrow, field):
                options.broken(BrokenRecord(f"{path}: {problem}"))
                return
            for batch in file.iter_batches(batch_size=_PARQUET_ROWS, columns=[field]):
                # As bytes, so that text that is not UTF-8 is found row by row.
                for value in batch.column(0).cast(pa.large_string()).cast(pa.large_binary()).to_pylist():
                    row += 1
                    location = f"{path}:{row}"
                    try:
                        text = _text_of_cell(value, field, location)
                    except BrokenRecord as error:
                        options.broken(error)
                        continue
                    yield Document(text, options.spec.name, location)
    except (pa.ArrowException, OSError) as error:
        options.broken(BrokenRecord(f"{path}:{row + 1}: cannot read on: {error}"))


READERS: dict[str, Reader] = {
    ".txt": read_text,
    ".md": read_text,
    ".jsonl": read_json_lines,
    ".ndjson": read_json_lines,
    ".parquet": read_parquet,
}
"""The reader of each file type."""

COMPRESSIONS = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2"}
"""Suffixes of compressed text and JSON lines, and what pyarrow calls them."""


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


def _reader_of(path: Path, spec: SourceSpec) -> Reader:
    reader = READERS.get(_type_of(path))
    if reader is None:
        raise ConfigError(
            f"source '{spec.name}': cannot read {path}; known types are {', '.join(READERS)}, "
            f"also with {', '.join(COMPRESSIONS)}"
        )
    return reader


def _type_of(path: Path) -> str:
    """The suffix that names the type: ``.jsonl`` for ``a.jsonl.zst``."""
    suffix = path.suffix.lower()
    if suffix in COMPRESSIONS:
        inner = Path(path.stem).suffix.lower()
        return "" if inner == ".parquet" else inner
    return suffix


def _readable(file: Path, folder: Path) -> bool:
    hidden = any(part.startswith(".") for part in file.relative_to(folder).parts)
    return not hidden and _type_of(file) in READERS and file.is_file()


class _UnreadableFile(Exception):
    """The file cannot be opened or unpacked; its text is the reason."""


def _blocks(path: Path) -> Iterator[bytes]:
    """The unpacked bytes of a file in blocks."""
    compression = COMPRESSIONS.get(path.suffix.lower())
    try:
        with pa.input_stream(str(path), compression=compression) as stream:
            while block := stream.read(_BLOCK_BYTES):
                yield block
    except (pa.ArrowException, OSError) as error:
        raise _UnreadableFile(f"cannot read on: {error}") from error


def _lines(path: Path) -> Iterator[bytes]:
    """The lines of a file, without their ends and a byte-order mark."""
    rest: list[bytes] = []
    for number, block in enumerate(_blocks(path)):
        block = block if number else block.removeprefix(codecs.BOM_UTF8)
        head, *tail = block.split(b"\n")
        rest.append(head)
        for line in tail:
            yield b"".join(rest)
            rest = [line]
    if last := b"".join(rest):
        yield last


def _decoded(path: Path) -> Iterator[str]:
    """The text of a file in fragments, without a byte-order mark.

    Raises:
        BrokenRecord: the file cannot be read, or is not UTF-8 (the byte offset is told).
    """
    decoder = codecs.getincrementaldecoder("utf-8")("strict")
    consumed = 0
    try:
        for block in _blocks(path):
            pending = len(decoder.getstate()[0])
            try:
                text = decoder.decode(block)
            except UnicodeDecodeError as error:
                raise _not_utf8(str(path), consumed - pending + error.start, error) from error
            yield text if consumed else text.removeprefix("\ufeff")
            consumed += len(block)
        try:
            yield decoder.decode(b"", final=True)
        except UnicodeDecodeError as error:
            raise _not_utf8(str(path), consumed - len(error.object) + error.start, error) from error
    except _UnreadableFile as error:
        raise BrokenRecord(f"{path}: {error}") from error


def _text_of_line(line: bytes, field: str, location: str) -> str | None:
    """The text of a line of JSON; None for a blank line."""
    if not line.strip():
        return None
    try:
        record = json.loads(line.decode())
    except UnicodeDecodeError as error:
        raise _not_utf8(location, error.start, error) from error
    except (ValueError, RecursionError) as error:
        raise BrokenRecord(f"{location}: is no valid JSON: {error}") from error
    if not isinstance(record, dict):
        raise BrokenRecord(f"{location}: must be a JSON object with a field '{field}'")
    if field not in record:
        known = ", ".join(record) or "none"
        raise BrokenRecord(f"{location}: there is no field '{field}' (fields: {known}); set text_field")
    text = record[field]
    if not isinstance(text, str):
        raise BrokenRecord(f"{location}: field '{field}' must be a string, not {type(text).__name__}")
    if b"\\u" in line:  # only an escape can name half a surrogate pair
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise BrokenRecord(f"{location}: field '{field}' has half a surrogate pair") from error
    return text


def _text_of_cell(value: bytes | None, field: str, location: str) -> str:
    if value is None:
        raise BrokenRecord(f"{location}: column '{field}' is empty (null)")
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise _not_utf8(location, error.start, error) from error


def _column_problem(schema: pa.Schema, field: str) -> str | None:
    if field not in schema.names:
        return f"there is no column '{field}'; set text_field to one of: {', '.join(schema.names)}"
    kind = schema.field(field).type
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return None
    return f"column '{field}' holds {kind}, not strings; set text_field"


def _not_utf8(location: str, offset: int, error: UnicodeDecodeError) -> BrokenRecord:
    return BrokenRecord(
        f"{location}: is not UTF-8 at byte {offset} ({error.reason}); convert the file, "
        "for example with iconv -t utf-8"
    )
