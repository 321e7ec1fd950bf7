"""Precision: how many digits of a metric are written, in whatever unit it is.

The last digit follows from what is uncertain, or from what differs: a value between 2.31 and 2.33 is
written ``2.3201``, one between 4.1e-7 and 4.3e-7 ``4.2010e-7``. All numbers of one metric share it, and a
number that is smaller than the last digit is zero. Sentences and terminals take the plain minus; pages set
their own.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

UNKNOWN = "-"
_OF_WIDTH = 2
"""Powers of ten of the last digit below the leading one of an interval's width."""
_OF_SIZE = 3
"""The same below that of a number of which nothing else is known."""
_WIDEST = 11
"""The same that a float can be trusted with."""
_LEAST = 1e-3  # from here on numbers are written out
_MOST = 1e6  # from here on those whose last digit stands before the point are not
_NARROW = 0.1  # of the spread: narrower intervals get no further digits


@dataclass(frozen=True)
class Precision:
    """The last digit of the numbers of one metric, and how they are written."""

    place: int
    """Its power of ten: -4 for four digits after the point."""
    small: bool = False
    """Whether all numbers are so small that they are written with a power of ten: ``4.201e-7``."""

    @classmethod
    def of(cls, values: Iterable[float], widths: Iterable[float] = (), spread: float = math.nan) -> Self:
        """The precision of values that are compared.

        Args:
            values: all of one unit; what is not finite counts for nothing.
            widths: of the intervals of some of them.
            spread: by how much such values differ; where unknown, by how much these do.
        """
        known = [value for value in values if math.isfinite(value)]
        size = max(map(abs, known), default=0.0)
        if not (math.isfinite(spread) and spread > 0.0):
            spread = max(known, default=0.0) - min(known, default=0.0)
        narrowest = min((width for width in widths if 0.0 < width < math.inf), default=spread)
        step = max(narrowest, _NARROW * spread)
        place = _power(step) - _OF_WIDTH if step > 0.0 else _power(size) - _OF_SIZE
        if size > 0.0:
            place = max(place, _power(size) - _WIDEST)
        return cls(place, 0.0 < size < _LEAST)

    @classmethod
    def alone(cls, value: float, digits: int = 2) -> Self:
        """So many digits of a number that is compared with none."""
        size = abs(value) if math.isfinite(value) else 0.0
        return cls(_power(size) - digits + 1, 0.0 < size < _LEAST)

    def word(self, value: float) -> str:
        """The number with the digits that count; a dash for one that is not known."""
        if math.isnan(value):
            return UNKNOWN
        if math.isinf(value):
            return "inf" if value > 0 else "-inf"
        if abs(value) < 0.5 * 10.0**self.place:
            return "0" if self.small else self._written_out(0.0)
        return self._powered(value) if self.small or self._is_large(value) else self._written_out(value)

    def signed(self, value: float) -> str:
        """The same with a plus before what is above zero."""
        word = self.word(value)
        return f"+{word}" if value > 0.0 and any(digit in word for digit in "123456789") else word

    def between(self, low: float, high: float) -> str:
        """Two ends: ``2.31 to 2.33``."""
        return f"{self.word(low)} to {self.word(high)}"

    def _written_out(self, value: float) -> str:
        return f"{round(value, -self.place):.{max(0, -self.place)}f}"

    def _is_large(self, value: float) -> bool:
        digits = _power(value) - self.place
        return abs(value) >= _MOST and (self.place > 0 or digits > _WIDEST)

    def _powered(self, value: float) -> str:
        digits = max(0, _power(value) - self.place)
        digits = digits if digits <= _WIDEST else _OF_WIDTH
        mantissa, exponent = f"{value:.{digits}e}".split("e")
        return f"{mantissa}e{int(exponent)}"


def _power(value: float) -> int:
    """The power of ten of the leading digit; 0 for zero."""
    return math.floor(math.log10(abs(value))) if value else 0
