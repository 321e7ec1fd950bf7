"""Options of the form NAME=VALUE. The last equals sign divides, since names may hold others."""

import math
from collections.abc import Callable, Sequence

import typer

from cuvee.errors import ConfigError


def count_of(what: str) -> Callable[[str], float]:
    """A reader of an option that is a count of ``what``, ``tokens`` or ``params``: ``25e9`` or ``25B``."""

    def count(text: str) -> float:
        from cuvee.runs.formats.counts import count

        try:
            return count(text, what)
        except ConfigError as error:
            raise typer.BadParameter(str(error)) from error

    return count


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
    """``NAME=COUNT``, such as ``web=2e9`` or ``web=2B``.

    Raises:
        ConfigError: no number, or below zero.
    """
    from cuvee.runs.formats.counts import count

    found = {}
    for name, text in pairs(given, option).items():
        try:
            value = count(text, "tokens")
        except ConfigError as error:
            raise ConfigError(f"{option} {name}={text}: {error}") from error
        if not 0 <= value < math.inf:
            raise ConfigError(f"{option} {name}={text}: a count is finite and at least 0")
        found[name] = round(value)
    return found


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
