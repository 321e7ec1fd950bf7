"""Quantities as words, one way for terminals, pages and sentences.

FLOPs are written as a study file takes them (``2.6e12``), counts of tokens and parameters with k, M, B or T.
NaN is "not known" and becomes an en dash. What stands in the tables of a terminal and on the line of progress
(``plain``, ``tally``, ``short``, ``seconds``, ``money``) is ASCII, so that it can be searched and cut.
"""

import math
from collections.abc import Sequence

MISSING = "–"
MINUS = "−"
PLAIN_MISSING = "-"
_SIZES = ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k"))


def number(value: float, digits: int = 3) -> str:
    """Fixed digits after the point, with a true minus sign."""
    if math.isnan(value):
        return MISSING
    if math.isinf(value):
        return "∞" if value > 0 else f"{MINUS}∞"
    text = f"{abs(value):.{digits}f}"
    negative = value < 0 and float(text) != 0.0
    return MINUS + text if negative else text


def quantity(value: float) -> str:
    """A count of tokens or parameters with three significant digits and k, M, B or T."""
    if math.isnan(value):
        return MISSING
    for size, letter in _SIZES:
        if abs(value) >= 0.9995 * size:
            scaled = value / size
            digits = 0 if abs(scaled) >= 99.95 else 1 if abs(scaled) >= 9.995 else 2
            return f"{number(scaled, digits)}{letter}"
    return number(value, 0)


def not_percent(value: float) -> str:
    """How to write a share that was given in percent: ``say 0.3 for 30 percent``; else what a share is."""
    if 1.0 < value <= 100.0:
        return f"say {value / 100.0:g} for {value:g} percent"
    return "a share is from 0 to 1"


def size(value: float) -> str:
    """The same as people name a scale: up to four significant digits, ``60M`` or ``1.049B``."""
    if math.isnan(value):
        return MISSING
    for unit, letter in _SIZES:
        if value >= unit:
            return f"{value / unit:.4g}{letter}"
    return f"{value:.4g}"


def money(value: float, currency: str) -> str:
    """An amount with its currency: ``1,234.50 USD``; below one to two significant digits, ``0.0042 USD``."""
    if not math.isfinite(value):
        return PLAIN_MISSING
    if value == 0.0 or abs(value) >= 0.995:
        return f"{value:,.2f} {currency}"
    return f"{value:.{1 - math.floor(math.log10(abs(value)))}f} {currency}"


def flops(value: float, digits: int = 2) -> str:
    """So many significant digits and the power of ten: ``2.6e12``."""
    if not math.isfinite(value):
        return MISSING
    if value == 0:
        return "0"
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    return f"{mantissa.replace('-', MINUS)}e{int(exponent)}"


def counted(count: int, thing: str, things: str = "") -> str:
    """``1 run`` or ``3 runs``; ``things`` where the plural is another word than with an s."""
    return f"{count} {agreeing(count, thing, things or f'{thing}s')}"


def agreeing(count: float, one: str, many: str) -> str:
    """The word that a count asks for: ``has`` or ``have``."""
    return one if count == 1 else many


def of_unit(amount: float, unit: str) -> str:
    """A unit of progress, given in the plural, as so many ask for: ``size of model`` for one."""
    if amount != 1:
        return unit
    thing, *rest = unit.split(" ")
    return " ".join((thing.removesuffix("es") if thing.endswith("ches") else thing.removesuffix("s"), *rest))


def plain(value: float, digits: int = 3) -> str:
    """Fixed digits after the point; a hyphen for what is not known."""
    return PLAIN_MISSING if math.isnan(value) else f"{value:.{digits}f}"


def tally(value: float) -> str:
    """A count of tokens or parameters in three digits: ``1.23k``, ``25B``."""
    return _three_digits(value, ("", "k", "M", "B", "T"))


def short(value: float) -> str:
    """A count of anything in three digits with k, M, G, T, P or E behind it."""
    return _three_digits(value, ("", "k", "M", "G", "T", "P", "E"))


def _three_digits(value: float, letters: Sequence[str]) -> str:
    for letter in letters[:-1]:
        if abs(value) < 999.5:
            return f"{value:.3g}{letter}"
        value /= 1000
    return f"{value:.3g}{letters[-1]}"


def seconds(value: float) -> str:
    """A duration as 8s, 3m05s or 2h07m; a hyphen where it is not known."""
    if math.isnan(value):
        return PLAIN_MISSING
    whole = round(value)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
