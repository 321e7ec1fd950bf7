"""The text of tokens, exactly as it was where the tokenizer allows that.

A byte-level BPE (GPT-2, Llama 3) writes bytes as tokens, so the bytes of a text are those of its tokens, one
behind the other. Other tokenizers change text (Unicode forms, case, spaces): theirs is what the tokenizer
decodes.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cuvee.errors import ConfigError
from cuvee.sources.tokenizer import Tokenizer, load_tokenizer
from cuvee.types import AnyArray, IntArray

_BLOCK_TOKENS = 1 << 18
_MOST_TOKENS = 4096
_TORN_TOKENS = 64  # a text that ends elsewhere may end in other tokens
_LONE_BYTES = (*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100))
"""Bytes that a byte-level vocabulary writes as the character of that number; others follow from 256 on."""


@dataclass(frozen=True, eq=False)
class TokenText:
    """An open tokenizer that gives texts back. Made by ``of``."""

    tokenizer: Tokenizer

    exact: bool
    """Decoding gives the bytes that were encoded."""

    special: frozenset[int]
    """Tokens that no text becomes."""

    _bytes: npt.NDArray[np.uint8] = field(repr=False)
    _begins: IntArray = field(repr=False)
    _sizes: IntArray = field(repr=False)

    @classmethod
    def of(cls, folder: Path) -> "TokenText":
        """The same object for one folder, once a process."""
        return _opened(folder)

    def text(self, tokens: AnyArray) -> str:
        """The text of a document; bytes that are no UTF-8 become U+FFFD."""
        if not self.exact:
            return self.tokenizer.decode(tokens.tolist())
        pieces = (tokens[first : first + _BLOCK_TOKENS] for first in range(0, len(tokens), _BLOCK_TOKENS))
        return b"".join(self._joined(one.astype(np.int64)) for one in pieces).decode(errors="replace")

    def again(self, tokens: AnyArray) -> bool:
        """Whether the tokenizer makes the same tokens of their text; of a long one, of its beginning."""
        first = tokens[:_MOST_TOKENS]
        compared = len(first) if len(first) == len(tokens) else len(first) - _TORN_TOKENS
        made = self.tokenizer.encode_batch([self.text(first)])[0]
        if len(first) == len(tokens) and len(made) != len(first):
            return False
        return bool(made[:compared] == first[:compared].tolist())

    def plain(self, tokens: AnyArray) -> AnyArray:
        """The tokens without special ones at either end."""
        first, last = 0, len(tokens)
        while first < last and int(tokens[first]) in self.special:
            first += 1
        while last > first and int(tokens[last - 1]) in self.special:
            last -= 1
        return tokens[first:last]

    def _joined(self, tokens: IntArray) -> bytes:
        sizes = self._sizes[tokens]
        ends = np.cumsum(sizes)
        places = np.repeat(self._begins[tokens] - ends + sizes, sizes)
        places += np.arange(len(places))
        return self._bytes[places].tobytes()


@lru_cache(maxsize=4)
def _opened(folder: Path) -> TokenText:
    tokenizer, content = load_tokenizer(folder), _content(folder)
    special = {int(one["id"]) for one in content.get("added_tokens") or [] if one.get("special")}
    pieces = [b""] * tokenizer.vocabulary_size
    exact = _is_byte_level(content)
    if exact:
        exact = _fill(pieces, content)
    sizes = np.array([len(one) for one in pieces], dtype=np.int64)
    return TokenText(
        tokenizer,
        exact,
        frozenset(special | {tokenizer.end_of_text}),
        np.frombuffer(b"".join(pieces), dtype=np.uint8),
        np.cumsum(sizes) - sizes,
        sizes,
    )


def _content(folder: Path) -> Mapping[str, Any]:
    file = folder / "tokenizer.json"
    if not file.is_file():  # an older folder: transformers decodes it
        return {}
    content = json.loads(file.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise ConfigError(f"{file} must hold a JSON object")
    return content


def _is_byte_level(content: Mapping[str, Any]) -> bool:
    """A BPE of bytes that changes no text before it."""
    before = content.get("pre_tokenizer") or {}
    steps = before.get("pretokenizers", [before])
    return (
        content.get("normalizer") is None
        and (content.get("decoder") or {}).get("type") == "ByteLevel"
        and (content.get("model") or {}).get("type") == "BPE"
        and any(one.get("type") == "ByteLevel" for one in steps)
        and all(not one.get("add_prefix_space") for one in steps)
        and all(one.get("behavior") != "Removed" for one in steps)
    )


def _fill(pieces: list[bytes], content: Mapping[str, Any]) -> bool:
    """Write the bytes of every token; False where one is not written in them."""
    characters = {chr(one): one for one in _LONE_BYTES}
    others = [one for one in range(256) if one not in _LONE_BYTES]
    characters |= {chr(256 + place): one for place, one in enumerate(others)}
    added = {one["id"]: one["content"].encode() for one in content.get("added_tokens") or []}
    for piece, number in content["model"]["vocab"].items():
        if number in added:
            continue
        if not all(one in characters for one in piece):
            return False
        pieces[number] = bytes(characters[one] for one in piece)
    for number, text in added.items():
        pieces[number] = text
    return True
