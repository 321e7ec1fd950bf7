"""Tokenizers: any Hugging Face tokenizer folder, or a byte-level BPE trained here (sources).

A folder with ``tokenizer.json`` is opened by the tokenizers library alone; only older folders
without it need transformers. Texts are encoded as plain text: no special token is added, and one
that is spelled out in a text is encoded like any other characters, so that no document can end
another. The end-of-text token is put between documents by ``shards.py``.

Training: byte-level byte-pair encoding (Sennrich et al. 2016; Radford et al. 2019).
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import decoders, models, pre_tokenizers, trainers

from cuvee.errors import ConfigError, EmptySource, MissingSource
from cuvee.files import atomic_folder, write_json
from cuvee.hashing import digest, digest_file

END_OF_TEXT = "<|endoftext|>"
"""The end-of-text token of tokenizers trained here, and of folders that name none but have it."""

_ALPHABET = 256
_UNUSED = ("padding", "truncation", "post_processor")
_OLDER_FILES = (
    "added_tokens.json",
    "merges.txt",
    "sentencepiece.bpe.model",
    "special_tokens_map.json",
    "spiece.model",
    "tokenizer.model",
    "tokenizer_config.json",
    "vocab.json",
    "vocab.txt",
)


@dataclass(frozen=True, eq=False)
class Tokenizer:
    """An open tokenizer. Pickling carries only its folder."""

    folder: Path
    """The Hugging Face tokenizer folder it was read from."""

    vocabulary_size: int
    """One more than its largest token id (a model needs at least so many embeddings)."""

    end_of_text: int
    """Id of the end-of-text token."""

    hash: str
    """Hash of all that decides how text becomes tokens; does not depend on where the folder lies."""

    _encode: Callable[[list[str]], list[list[int]]] = field(repr=False)
    _decode: Callable[[list[int]], str] = field(repr=False)

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """The tokens of each text, nothing added; about 1.5 MB of text a second and core."""
        return self._encode(list(texts))

    def decode(self, tokens: Iterable[int]) -> str:
        """The text of tokens, special tokens written out."""
        return self._decode([int(token) for token in tokens])

    def __reduce__(self) -> tuple[Callable[[Path], "Tokenizer"], tuple[Path]]:
        return load_tokenizer, (self.folder,)


def load_tokenizer(folder: Path) -> Tokenizer:
    """Open a Hugging Face tokenizer folder (or a model folder that has a tokenizer in it).

    Raises:
        MissingSource: there is no such folder, or no tokenizer in it.
        ConfigError: the tokenizer cannot be read, or names no end-of-text token.
    """
    _require(folder)
    if not (folder / "tokenizer.json").is_file():
        return _load_older(folder)
    try:
        backend = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    except Exception as error:  # the library raises bare Exception
        raise ConfigError(f"{folder / 'tokenizer.json'} cannot be read: {error}") from error
    end_of_text = backend.token_to_id(_end_of_text_name(folder))
    if end_of_text is None:
        raise ConfigError(
            f"the tokenizer in {folder} has no token '{_end_of_text_name(folder)}' to end a document with; "
            'name one of its tokens as "eos_token" in tokenizer_config.json'
        )
    return _open(folder, backend, int(end_of_text))


def tokenizer_hash(folder: Path) -> str:
    """16 hexadecimal characters over what decides the tokens: the model and the end-of-text token.

    Layout of the JSON files, what is not used here (padding, truncation, the template that adds
    special tokens) and files of a model in the same folder do not enter.

    Raises:
        MissingSource: there is no tokenizer in the folder.
    """
    _require(folder)
    if (folder / "tokenizer.json").is_file():
        content = _read_json(folder / "tokenizer.json")
        content.update(dict.fromkeys(_UNUSED))
        return digest({"tokenizer": content, "end_of_text": _end_of_text_name(folder)})
    files = {name: digest_file(folder / name) for name in _OLDER_FILES if (folder / name).is_file()}
    return digest(files)


def same_tokens(one: Path, other: Path) -> bool:
    """Whether two folders make the same tokens of a text; the end-of-text token aside, which a lone
    ``tokenizer.json`` does not name.

    Raises:
        MissingSource: there is no tokenizer in a folder.
    """
    contents = []
    for folder in (one, other):
        _require(folder)
        if not (folder / "tokenizer.json").is_file():
            return tokenizer_hash(one) == tokenizer_hash(other)
        contents.append(_read_json(folder / "tokenizer.json") | dict.fromkeys(_UNUSED))
    return digest(contents[0]) == digest(contents[1])


def train_tokenizer(texts: Iterable[str], vocabulary_size: int, folder: Path) -> Tokenizer:
    """Train a byte-level BPE and write it as a Hugging Face tokenizer folder.

    Deterministic in the texts and their order. About 0.3 s per MB of text and core at 4096 tokens;
    memory grows with the number of different words, not with the text.

    Args:
        texts: what to train on.
        vocabulary_size: tokens wanted, the 256 bytes and the end-of-text token included; a small
            text may give fewer.
        folder: where to write; must not exist.

    Raises:
        ConfigError: the vocabulary is too small, or the folder exists.
        EmptySource: there is no text.
    """
    if vocabulary_size <= _ALPHABET:
        raise ConfigError(
            f"vocabulary_size must exceed {_ALPHABET} (all bytes and the end-of-text token); "
            f"got {vocabulary_size}"
        )
    if folder.exists():
        raise ConfigError(f"{folder} exists; load it with load_tokenizer, or remove it to train anew")
    backend = tokenizers.Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        min_frequency=2,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    seen = _Counted(texts)
    backend.train_from_iterator(seen, trainer)
    if not seen.count:
        raise EmptySource("there is no text to train a tokenizer on; give the sources more text")
    with atomic_folder(folder) as temporary:
        backend.save(str(temporary / "tokenizer.json"))
        config = {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": END_OF_TEXT,
            "eos_token": END_OF_TEXT,
            "clean_up_tokenization_spaces": False,
        }
        write_json(temporary / "tokenizer_config.json", config)
    return load_tokenizer(folder)


class _Counted:
    """Iterates over texts and remembers how many there were."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._texts = iter(texts)
        self.count = 0

    def __iter__(self) -> "_Counted":
        return self

    def __next__(self) -> str:
        text = next(self._texts)
        self.count += 1
        return text


def _open(folder: Path, backend: tokenizers.Tokenizer, end_of_text: int) -> Tokenizer:
    backend.no_truncation()
    backend.no_padding()
    backend.encode_special_tokens = True

    def encode(texts: list[str]) -> list[list[int]]:
        return [encoding.ids for encoding in backend.encode_batch_fast(texts, add_special_tokens=False)]

    def decode(tokens: list[int]) -> str:
        return str(backend.decode(tokens, skip_special_tokens=False))

    return Tokenizer(
        folder=folder,
        vocabulary_size=max(backend.get_vocab(with_added_tokens=True).values()) + 1,
        end_of_text=end_of_text,
        hash=tokenizer_hash(folder),
        _encode=encode,
        _decode=decode,
    )


def _load_older(folder: Path) -> Tokenizer:
    """Open a folder without tokenizer.json: transformers converts it."""
    from transformers import AutoTokenizer

    try:
        # Else it would ask whether to run code that lies in the folder.
        converted = AutoTokenizer.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
        backend, end_of_text = converted.backend_tokenizer, converted.eos_token_id
        end_of_text = converted.sep_token_id if end_of_text is None else end_of_text
    except Exception as error:  # any of transformers' own, by kind of tokenizer
        if "trust_remote_code" in str(error):
            raise ConfigError(
                f"the tokenizer in {folder} names code of its own (auto_map), and cuvee runs no code from "
                "such a folder; save it as a fast tokenizer (tokenizer.json)"
            ) from None
        raise ConfigError(
            f"transformers cannot open the tokenizer in {folder} as a fast tokenizer: {error}"
        ) from error
    if end_of_text is None:
        raise ConfigError(f"the tokenizer in {folder} names no end-of-text token (eos_token)")
    return _open(folder, backend, int(end_of_text))


def _end_of_text_name(folder: Path) -> str:
    """The token that ends a text; in tokenizers of masked models, which have none, the one between texts."""
    if named := _named(folder, "eos_token"):
        return named
    own = folder / "tokenizer.json"
    known = own.is_file() and END_OF_TEXT in own.read_text(encoding="utf-8")
    return END_OF_TEXT if known else _named(folder, "sep_token") or END_OF_TEXT


def _named(folder: Path, role: str) -> str | None:
    """The token of a role, as the folder names it."""
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        if (folder / name).is_file():
            token = _read_json(folder / name).get(role)
            token = token.get("content") if isinstance(token, dict) else token
            if isinstance(token, str):
                return token
    return None


def _require(folder: Path) -> None:
    if not any((folder / name).is_file() for name in ("tokenizer.json", *_OLDER_FILES)):
        raise MissingSource(
            f"{folder} has no tokenizer; it must be a Hugging Face tokenizer folder (with tokenizer.json)"
        )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is no valid JSON: {error}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path} must hold a JSON object")
    return content
