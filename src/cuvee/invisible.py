"""Characters that show as nothing and change what is shown around them, spelt out.

Text of others (documents, file names, cells of tables) reaches the terminal and pages; a right-to-left
override in it makes a name read as another (UAX 9). Spelt as in JSON, so that JSON in which they are spelt
stays the same.
"""

_TURNING = (0x061C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x2070), *range(0xE0000, 0xE0080))
"""Marks, embeddings, overrides and isolates of bidirectional text, separators of lines, and tags."""
_SECOND_CONTROLS = range(0x7F, 0xA0)
"""Delete and C1, among them a second spelling of ESC [."""
_SURROGATES = range(0xD800, 0xE000)
"""Halves of pairs: file names that are no UTF-8 have them, and no terminal can print them."""
_CONTROLS = (*range(0x09), 0x0B, 0x0C, *range(0x0E, 0x20))
"""All but tab and line ends."""


def _spelt(code: int) -> str:
    if code < 0x10000:
        return f"\\u{code:04x}"
    return "".join(f"\\u{half:04x}" for half in (0xD7C0 + (code >> 10), 0xDC00 + (code & 0x3FF)))


_TABLE = {code: _spelt(code) for code in (*_TURNING, *_SECOND_CONTROLS, *_SURROGATES)}
_ALL = _TABLE | {code: _spelt(code) for code in _CONTROLS}


def spelt_out(text: str) -> str:
    """The text with such characters spelt out; colours and movements of the cursor (ESC) are left."""
    return text if text.isascii() and "\x7f" not in text else text.translate(_TABLE)


def all_spelt_out(text: str) -> str:
    """The same with all control characters but tabs and ends of lines: for text that is no more than text."""
    return text.translate(_ALL)
