"""Differences of a loss in words: how much lower or higher one mixture is than another.

One convention for all answers: the pick minus what it is compared with, so that negative is better. Sentences
say *lower* and *higher* and have no signs; tables keep the signs under a head that names them.
"""

from collections.abc import Callable

HEAD = "pick minus it"
"""Of a column of differences."""
DIRECTION = "negative: the pick is lower, which is better"
"""Beside such a column."""
NATS = " nats per token"


def four_digits(size: float) -> str:
    """A difference of target losses in nats per token."""
    return f"{size:.4f}"


def than(other: str, difference: float, word: Callable[[float], str] = four_digits, unit: str = NATS) -> str:
    """``lower than equal shares by 0.0120 nats per token``; what is written as zero is no difference."""
    size = word(abs(difference))
    if not any(digit in size for digit in "123456789"):
        return f"as low as {other}"
    return f"{_side(difference)} than {other} by {size}{unit}"


def ends(low: float, high: float, word: Callable[[float], str] = four_digits) -> str:
    """``0.0100 to 0.0300 lower``, the smaller first; ``0.0050 lower to 0.0010 higher`` about zero."""
    if low < 0.0 < high:
        return f"{word(-low)} lower to {word(high)} higher"
    least, most = sorted((abs(low), abs(high)))
    return f"{word(least)} to {word(most)} {_side(low + high)}"


def _side(difference: float) -> str:
    return "lower" if difference < 0.0 else "higher"
