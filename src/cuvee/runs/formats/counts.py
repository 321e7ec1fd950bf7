"""Counts as people write them: ``60M``, ``25B tokens``, ``1.4e9``, ``60,000,000``.

One parser for every format. What has one reading alone is read, and the rest refused: ``25GB`` are bytes,
``1,4B`` may be 1.4 or 14 billion, ``60MM`` a million millions. ``m`` is a million as ``M`` is, since nobody
has a thousandth of a token.
"""

import re
from collections.abc import Iterable

from cuvee.errors import ConfigError

POWERS = {"": 0, "k": 3, "m": 6, "b": 9, "g": 9, "t": 12}
"""Power of ten of each letter behind a number."""
SMALL = 1000.0
"""A plain number below it is no count of parameters or tokens of a model, but one of millions or billions."""

_WORDS = {"thousand": 3, "million": 6, "mio": 6, "mn": 6, "billion": 9, "bn": 9, "trillion": 12, "tn": 12}
_COUNTED = {"tokens": "tokens?|toks?", "params": "param(eter)?s?"}
_BLANK = "[ \u00a0\u2009\u202f]"
_GROUPED = re.compile(
    rf"(?P<whole>[1-9]\d{{0,2}}(?P<by>[,.'_]|{_BLANK})\d{{3}}((?P=by)\d{{3}})*)(?P<rest>[.]\d+)?"
)
_TAIL = re.compile(rf"(?P<number>\d(?:[\d.,'_]|{_BLANK}(?=\d))*(?:e[+-]?\d+)?){_BLANK}*(?P<tail>.*)")
_UNIT = "|".join(filter(None, (*_WORDS, *POWERS)))


def count(text: str, of: str = "") -> float:
    """The number that a text means.

    Args:
        text: a cell.
        of: what is counted, ``tokens`` or ``params``, which may stand behind the number.

    Raises:
        ConfigError: it is no count, or may be more than one; the message is a clause without a place.
    """
    try:
        return float(text)
    except ValueError:
        match = _TAIL.fullmatch(text.strip().lower())
    words = rf"(?P<unit>{_UNIT})?{_BLANK}*(?:{_COUNTED.get(of, '(?!)')})?"
    tail = re.fullmatch(words, match["tail"]) if match else None
    digits = _digits(match["number"], bool(tail["unit"])) if match and tail else ""
    if not digits:
        raise ConfigError(f"{text!r} is no count of one meaning; write 60M, 1.4B, 6e7 or 60000000")
    unit = tail["unit"] or "" if tail else ""
    return float(f"{digits}e{(POWERS | _WORDS)[unit]}") if unit else float(digits)


def without_unit(texts: Iterable[str]) -> int | None:
    """The place of a plain small number in a column of which other cells have a unit: 7 beside ``13B``."""
    filled = {place: text for place, text in enumerate(texts) if text}
    plain = {place: value for place, text in filled.items() if (value := _plain(text)) is not None}
    if len(plain) == len(filled):
        return None
    return next((place for place, value in plain.items() if 0.0 < abs(value) < SMALL), None)


def _digits(number: str, has_unit: bool) -> str:
    """The number as Python writes it; empty where its separators may mean two things."""
    if _plain(number) is not None:
        return "" if has_unit and "e" in number else number
    grouped = _GROUPED.fullmatch(number)
    if grouped is None or (has_unit and grouped["whole"].count(grouped["by"]) == 1):
        return ""
    return re.sub(rf"[,.'_]|{_BLANK}", "", grouped["whole"]) + (grouped["rest"] or "")


def _plain(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
