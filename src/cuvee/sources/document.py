"""One piece of text and where it came from (sources, lowest file)."""

import hashlib
from dataclasses import dataclass, field

from cuvee.types import AnyArray


@dataclass(frozen=True, slots=True)
class Document:
    """A text as one source gave it."""

    text: str
    """The text; always encodable as UTF-8."""

    source: str
    """Name of the source."""

    location: str
    """Where it was read: ``file:line``, ``file:row`` or ``file``, with ``#piece`` for pieces."""

    tokens: AnyArray | None = field(default=None, compare=False, repr=False)
    """Its tokens without an end-of-text token, where the source holds tokens."""

    by_tokens: bool = False
    """It is known by its tokens, because a tokenizer does not make them of its text."""

    @property
    def identity(self) -> bytes:
        """By what it is known: SHA-256 of the UTF-8 text, or of the tokens as uint32. Computed at each
        call."""
        if self.by_tokens and self.tokens is not None:
            return hashlib.sha256(b"tokens" + self.tokens.astype("<u4").tobytes()).digest()
        return hashlib.sha256(self.text.encode()).digest()

    @property
    def digest(self) -> str:
        """SHA-256 of the UTF-8 text, 64 hexadecimal characters. Computed at each call."""
        return hashlib.sha256(self.text.encode()).hexdigest()
