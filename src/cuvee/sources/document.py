"""One piece of text and where it came from (sources, lowest file)."""

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Document:
    """A text as one source gave it."""

    text: str
    """The text; always encodable as UTF-8."""

    source: str
    """Name of the source."""

    location: str
    """Where it was read: ``file:line``, ``file:row`` or ``file``, with ``#piece`` for pieces."""

    @property
    def digest(self) -> str:
        """SHA-256 of the UTF-8 text, 64 hexadecimal characters. Computed at each call."""
        return hashlib.sha256(self.text.encode()).hexdigest()
