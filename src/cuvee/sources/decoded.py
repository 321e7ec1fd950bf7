"""The text of a file, in UTF-8, with or without a byte-order mark (sources)."""

import codecs
from collections.abc import Iterator
from pathlib import Path

from cuvee.sources.unpacked import UnreadableFile, blocks


class NotUtf8(UnreadableFile):
    """The file is in another encoding."""


def decoded(path: Path) -> Iterator[str]:
    """The text of a file in fragments, without a byte-order mark.

    Raises:
        NotUtf8: the message has the byte offset.
        UnreadableFile: the file cannot be read on.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("strict")
    consumed = 0
    begun = False
    try:
        for block in blocks(path):
            pending = len(decoder.getstate()[0])
            text = decoder.decode(block)
            if text:
                yield text if begun else text.removeprefix("\ufeff")
                begun = True
            consumed += len(block)
            pending = 0
        pending = len(decoder.getstate()[0])
        yield decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise NotUtf8(not_utf8(consumed - pending + error.start, error)) from error


def not_utf8(offset: int, error: UnicodeDecodeError) -> str:
    """What is said of text in another encoding."""
    return (
        f"is not UTF-8 at byte {offset} ({error.reason}); convert the file, for example with iconv -t utf-8"
    )
