"""Options of the form NAME=VALUE (floor 9). The last equals sign divides, since names may hold others."""

import math
from collections.abc import Sequence

from cuvee.errors import ConfigError


def pairs(given: Sequence[str] | None, option: str) -> dict[str, str]:
    """``NAME=VALUE``.

    Raises:
        ConfigError: without a name or an equals sign, or a name twice.
    """
    result: dict[str, str] = {}
    for text in given or ():
        name, equals, value = text.rpartition("=")
        if not equals or not name:
            raise ConfigError(f"{option} {text}: say NAME=VALUE")
        if name in result:
            raise ConfigError(f"{option} {text}: {name!r} was given before")
        result[name] = value
    return result


def numbers(given: Sequence[str] | None, option: str) -> dict[str, float]:
    """``NAME=NUMBER``, finite.

    Raises:
        ConfigError: no number.
    """
    return {name: _number(value, f"{option} {name}={value}") for name, value in pairs(given, option).items()}


def counts(given: Sequence[str] | None, option: str) -> dict[str, int]:
    """``NAME=COUNT``, such as ``web=2e9``.

    Raises:
        ConfigError: no number, or below zero.
    """
    found = numbers(given, option)
    for name, value in found.items():
        if value < 0:
            raise ConfigError(f"{option} {name}={value:g}: a count is at least 0")
    return {name: round(value) for name, value in found.items()}


def weights(given: Sequence[str] | None, option: str) -> dict[str, float]:
    """``NAME`` for a weight of one, or ``NAME=WEIGHT``.

    Raises:
        ConfigError: what stands behind the equals sign is no number.
    """
    return numbers([text if "=" in text else f"{text}=1" for text in given or ()], option)


def _number(text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError as error:
        raise ConfigError(f"{where}: {text!r} is no number{_out_of_percent(text)}") from error
    if not math.isfinite(value):
        raise ConfigError(f"{where}: a finite number is needed")
    return value


def _out_of_percent(text: str) -> str:
    """What to write in place of ``30%``."""
    try:
        share = float(text.removesuffix("%")) / 100.0
    except ValueError:
        return ""
    return f"; say {share:g} for {text.removesuffix('%')} percent" if text.endswith("%") else ""
