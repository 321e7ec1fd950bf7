"""The documents of files that hold tokens already.

A document is known by its text, as the declared tokenizer decodes it: it falls on the same side of every
split as the text itself would, and is a duplicate of it. That holds where the tokenizer makes the same tokens
of that text, which is tried on documents spread over the source. Where it does not (tokens with marks of
another tool, say), a document is known by its tokens, and a message says so. Where it hardly ever does, the
tokenizer is another one.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from cuvee.errors import BrokenRecord, ConfigError, SourceError
from cuvee.sources import arrow_tokens, datatrove_tokens, megatron_tokens, separated_tokens
from cuvee.sources.document import Document
from cuvee.sources.file_types import TOKEN_TYPES, type_of
from cuvee.sources.token_file import TokenFile, check_range
from cuvee.sources.token_text import TokenText
from cuvee.sources.tokenizer import same_tokens
from cuvee.types import AnyArray, BoolArray

TRIED_DOCUMENTS = 32
"""Documents of a source that are encoded again."""
_LEAST_TOKENS = 16
_MARKS = ("tokenizer", ".")

Opener = Callable[[Path, int, int], TokenFile]

TOKEN_FORMATS: dict[str, Opener] = {
    megatron_tokens.NAME: megatron_tokens.open_megatron,
    separated_tokens.NAME: separated_tokens.open_separated,
    datatrove_tokens.NAME: datatrove_tokens.open_datatrove,
    arrow_tokens.NAME: arrow_tokens.open_arrow,
}
"""How each format is opened: path, end-of-text token, vocabulary."""


@dataclass(frozen=True, eq=False)
class TokenSource:
    """Files of tokens with their tokenizer. Made by ``open_tokens``."""

    files: tuple[TokenFile, ...]
    text: TokenText
    by_tokens: bool
    """Documents are known by their tokens, not by their text."""
    encoded_otherwise: int
    """Of the documents tried, those of which the tokenizer makes other tokens."""

    @property
    def documents(self) -> int:
        """Of all files."""
        return sum(one.documents for one in self.files)

    @property
    def tokens(self) -> int:
        """Of all files, end-of-text tokens included where they stand in them."""
        return sum(one.tokens for one in self.files)

    def document(self, file: TokenFile, index: int, source: str) -> Document:
        """One document, decoded.

        Raises:
            SourceError: a token is not in the vocabulary.
        """
        tokens, location = self._tokens(file, index), file.location(index)
        return Document(self.text.text(tokens), source, location, tokens, self.by_tokens)

    def of(self, path: Path, source: str, rows: BoolArray | None = None) -> Iterator[Document | None]:
        """The documents of one file; with ``rows``, None in the place of those that are not wanted."""
        file = next(one for one in self.files if one.path == path)
        for index in range(file.documents):
            left = rows is not None and not (index < len(rows) and rows[index])
            yield None if left else self.document(file, index, source)

    def _tokens(self, file: TokenFile, index: int) -> AnyArray:
        tokens = file.document(index, self.text.tokenizer.end_of_text)
        try:
            check_range(tokens, self.text.tokenizer.vocabulary_size, file.location(index))
        except BrokenRecord as error:
            raise SourceError(str(error)) from error
        return tokens

    def said(self, source: str) -> Iterator[str]:
        """What a user should know of it, a sentence each."""
        formats = ", ".join(sorted({one.format for one in self.files}))
        files = "1 file" if len(self.files) == 1 else f"{len(self.files)} files"
        yield f"{source}: tokens ({formats}), {files}, {self.documents:,} documents, {self.tokens:,} tokens"
        yield from (f"{source}: {remark}" for remark in self.remarks)

    @property
    def remarks(self) -> tuple[str, ...]:
        """How its documents are known, where not by the text that they were made of."""
        if self.by_tokens:
            return (
                f"the tokenizer makes other tokens of {self.encoded_otherwise} documents that were tried; "
                "documents are split and compared by their tokens, so not as their text would be",
            )
        if not self.text.exact:
            return (
                "the tokenizer changes text, so documents are split as the text that it decodes, which may "
                "differ from the text that was encoded",
            )
        return ()


def format_of(path: Path, given: str | None) -> str | None:
    """The format of a file of tokens; None for one of another kind."""
    if given is not None:
        return given
    return TOKEN_TYPES.get(type_of(path))


def open_tokens(paths: tuple[Path, ...], folder: Path, given: str | None, source: str) -> TokenSource:
    """Open files of tokens and try their tokenizer; once a process.

    Args:
        paths: the files.
        folder: the tokenizer that made them.
        given: the format, where file types do not say it.
        source: its name, for messages.

    Raises:
        BrokenRecord: a file cannot be read.
        SourceError: another tokenizer made them.
    """
    _check_marks(paths, folder)
    states = tuple((path, path.stat()) for path in paths)
    known = tuple((path, one.st_size, one.st_mtime_ns, one.st_ctime_ns) for path, one in states)
    return _opened(known, folder, given, source)


@lru_cache(maxsize=256)
def _opened(
    states: tuple[tuple[Path, int, int, int], ...], folder: Path, given: str | None, source: str
) -> TokenSource:
    text = TokenText.of(folder)
    files = []
    for path, size, *_ in states:
        if not size:
            raise BrokenRecord(f"{path}: is empty; write it anew, or leave it out")
        name = format_of(path, given)
        if name is None:
            raise ConfigError(f"source '{source}': {path} holds no tokens of a known format")
        files.append(TOKEN_FORMATS[name](path, text.tokenizer.end_of_text, text.tokenizer.vocabulary_size))
    whole = TokenSource(tuple(files), text, False, 0)
    otherwise = _tried(whole, source)
    return TokenSource(whole.files, text, otherwise > 0, otherwise)


def _tried(whole: TokenSource, source: str) -> int:
    """Documents, of some spread over the source, that the tokenizer encodes otherwise.

    Raises:
        SourceError: all of them, also without the special tokens around them.
    """
    other, known, foreign = 0, 0, list[str]()
    for file, index in _spread(whole.files):
        tokens = whole._tokens(file, index)
        plain, same = whole.text.plain(tokens), whole.text.again(tokens)
        other += not same
        if len(plain) < _LEAST_TOKENS:
            continue
        if same or whole.text.again(plain):
            known += 1
        else:
            foreign.append(file.location(index))
    if len(foreign) > 1 and not known and whole.text.exact:
        raise SourceError(
            f"source '{source}': {foreign[0]}: the tokenizer of `tokenizer.folder` makes other tokens of the "
            f"text of this document, and of all {len(foreign)} that were tried; name the tokenizer that made "
            "these files"
        )
    return other


def _spread(files: tuple[TokenFile, ...]) -> Iterator[tuple[TokenFile, int]]:
    """Some documents, evenly over all."""
    firsts = np.cumsum([0, *(one.documents for one in files)])
    if not firsts[-1]:
        return
    for number in np.unique(np.linspace(0, firsts[-1] - 1, TRIED_DOCUMENTS, dtype=np.int64)):
        place = int(np.searchsorted(firsts, number, side="right")) - 1
        yield files[place], int(number - firsts[place])


def _check_marks(paths: tuple[Path, ...], folder: Path) -> None:
    """Compare with tokenizers that lie beside files, or are named by their metadata.

    Raises:
        SourceError: one is another.
    """
    marks = {path.parent / one: path for path in paths for one in _MARKS}
    for path in paths:
        if type_of(path) == ".ds" and (named := datatrove_tokens.tokenizer_of(path)):
            marks[Path(named).parent if named.endswith("tokenizer.json") else Path(named)] = path
    for mark, path in marks.items():
        if not (mark / "tokenizer.json").is_file() or mark.resolve() == folder.resolve():
            continue
        if not same_tokens(mark, folder):
            raise SourceError(
                f"{path}: its tokenizer seems to be {mark / 'tokenizer.json'}, which is another one than in "
                f"{folder}; name the one that made these tokens in `tokenizer.folder`"
            )
