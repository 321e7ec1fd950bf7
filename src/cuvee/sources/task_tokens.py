"""Requests of a task as tokens (sources).

Tokens are those of lm-evaluation-harness with a causal model of transformers: special tokens as the tokenizer
adds them by itself, spaces at the end of a context moved to its continuation, an empty context replaced by
one token (that of the beginning, else of the end of a text). They are made once and kept, so that processes
which score models open no tokenizer.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cuvee.errors import ConfigError
from cuvee.hashing import digest
from cuvee.seal import read_sealed, write_sealed
from cuvee.sources.task_requests import Kind, TaskRequests
from cuvee.sources.tokenizer import tokenizer_hash
from cuvee.types import Json

Pair = tuple[list[int], list[int]]
"""Tokens of a context and of what follows it."""


@dataclass(frozen=True, eq=False)
class RequestTokenizer:
    """A tokenizer as the harness uses it."""

    encode: Callable[[str, bool], list[int]]
    """Tokens of a text; with the special tokens that the tokenizer adds by itself, or without."""
    prefix: int
    """The token that stands before what has no context."""
    hash: str
    """Hash of all that decides the tokens, special ones included."""

    @classmethod
    def load(cls, folder: Path) -> "RequestTokenizer":
        """Of a Hugging Face tokenizer folder.

        Raises:
            ConfigError: transformers cannot open it, or it names no token of the beginning or end of a text.
        """
        from transformers import AutoTokenizer

        try:
            found = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        except Exception as error:  # any of transformers' own, by kind of tokenizer
            raise ConfigError(f"transformers cannot open the tokenizer in {folder}: {error}") from error
        prefix = found.bos_token_id if found.bos_token_id is not None else found.eos_token_id
        if prefix is None:
            raise ConfigError(
                f"the tokenizer in {folder} names neither a bos_token nor an eos_token, which stands before "
                "a text that is scored; name one in tokenizer_config.json"
            )
        begins = str(found.decode(prefix))

        def encode(text: str, special: bool) -> list[int]:
            special = special and not text.startswith(begins)
            return list(found.encode(text, add_special_tokens=special, verbose=False))

        return cls(encode, int(prefix), digest([tokenizer_hash(folder), prefix, encode("a", True)]))

    def pair(self, context: str, continuation: str) -> Pair:
        """Tokens of one request.

        Raises:
            ConfigError: nothing of the continuation is left behind the tokens of the context.
        """
        if not context:
            whole = self.encode(continuation, False)
            found = (whole[:1], whole[1:]) if whole[:1] == [self.prefix] else ([self.prefix], whole)
        else:
            bare = context.rstrip()
            before = self.encode(bare, True)
            found = before, self.encode(context + continuation, True)[len(before) :]
        if not found[0] or not found[1]:
            raise ConfigError(f"{continuation!r} has no tokens of its own behind {context[-40:]!r}")
        return found


@dataclass(frozen=True)
class TokenizedItem:
    """One question, or one text."""

    pairs: tuple[Pair, ...]
    """Of every choice; of a text what stands before it, and all its tokens."""
    bytes: tuple[int, ...]
    """UTF-8 bytes of each choice, or of the text."""
    first: int
    """The right answer, whose bits are counted."""


@dataclass(frozen=True)
class TaskTokens:
    """All questions of a task under one tokenizer."""

    kind: Kind
    prefix: int
    """The token that stands before what has no context; windows are filled up with it."""
    items: tuple[TokenizedItem, ...]

    @classmethod
    def of(cls, requests: TaskRequests, tokenizer: RequestTokenizer) -> "TaskTokens":
        """Encode the requests.

        Raises:
            ConfigError: a continuation has no tokens of its own.
        """

        def pairs(context: str, text: str) -> Pair:
            if requests.kind == "rolling":
                return [tokenizer.prefix], tokenizer.encode(text, True)
            return tokenizer.pair(context, text)

        return cls(
            requests.kind,
            tokenizer.prefix,
            tuple(
                TokenizedItem(tuple(pairs(*one) for one in item.requests), item.bytes, item.gold[0])
                for item in requests.items
            ),
        )

    @property
    def key(self) -> str:
        """Hash of all tokens and bytes."""
        return digest(self.as_json())

    @property
    def longest(self) -> int:
        """Tokens that the longest request reads."""
        return max(len(a) + len(b) - 1 for item in self.items for a, b in item.pairs)

    def as_json(self) -> Json:
        """Plain JSON; ``from_json`` reads it back."""
        rows = [[[list(one) for one in item.pairs], list(item.bytes), item.first] for item in self.items]
        return {"kind": self.kind, "prefix": self.prefix, "items": rows}

    @classmethod
    def from_json(cls, value: Json) -> "TaskTokens":
        """The tokens that ``as_json`` wrote."""
        items = (
            TokenizedItem(tuple((before, after) for before, after in pairs), tuple(sizes), first)
            for pairs, sizes, first in value["items"]
        )
        return cls(value["kind"], value["prefix"], tuple(items))

    def save(self, path: Path) -> None:
        """Write the tokens with their digest."""
        write_sealed(path, self.as_json())

    @classmethod
    def open(cls, path: Path) -> "TaskTokens":
        """Read what ``save`` wrote.

        Raises:
            ConfigError: the file cannot be read or is damaged.
        """
        try:
            return cls.from_json(read_sealed(path))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ConfigError(f"{path}: cannot be read ({error}); delete it to have it made anew") from error
