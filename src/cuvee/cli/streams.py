"""Standard output and error of a command, on which no text of others changes what is shown."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from cuvee.invisible import spelt_out


class Spelling:
    """A stream that spells out what would turn or hide text; all else is that of the stream below."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(spelt_out(text))
        return len(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def spelling() -> Iterator[None]:
    """Print by way of ``Spelling``."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = Spelling(sys.stdout), Spelling(sys.stderr)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
