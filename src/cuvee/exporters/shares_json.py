"""Shares JSON: a mixture as another program wrote it down.

DoReMi's file is read as `cuvee fit` reads it. Other programs write an object of names and shares, perhaps
under a key, or a list with an object for each source, as Olmix does. Rounding is divided out as in tables of
runs.
"""

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from cuvee.errors import ConfigError
from cuvee.mixture.mixture import SUM_TOLERANCE, Mixture
from cuvee.runs.formats.document import JsonFile
from cuvee.runs.formats.doremi import DOREMI
from cuvee.runs.formats.table import IMPORT_TOLERANCE, checked_mixture

UNDER = ("shares", "weights", "mixture", "ratios", "proportions", "domain_weights", "sources", "domains")
"""Keys under which an object or a list of shares may stand."""

SOURCE_KEYS = ("source", "domain", "name", "source_name", "dataset", "path")
SHARE_KEYS = ("share", "weight", "ratio", "proportion", "target_ratio", "probability", "fraction")

TABLES = frozenset({".csv", ".tsv", ".parquet", ".pq"})


def read_json(path: Path) -> Any:
    """What a JSON file holds; a byte-order mark is dropped.

    Raises:
        ConfigError: it cannot be read, is no JSON, or says a key twice.
    """
    if path.suffix.lower() in TABLES:
        raise ConfigError(f"{path} is a table: a mixture is read from JSON; `cuvee fit` reads tables of runs")
    try:
        return json.loads(path.read_bytes(), object_pairs_hook=partial(_each_once, where=str(path)))
    except FileNotFoundError as error:
        raise ConfigError(f"{path} does not exist") from error
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path} cannot be read as JSON: {error}") from error


def read_shares(path: Path, content: Any) -> tuple[Mixture, tuple[str, ...]]:
    """The mixture in what a file holds, and what was done to it, in sentences.

    Raises:
        ConfigError: there is none, or its shares do not sum to one within 2 % (with key and sum).
    """
    document = JsonFile(path, content if isinstance(content, Mapping) else {})
    if DOREMI.recognises(document):
        (part,) = DOREMI.read([document])
        if (mixture := part.rows[0].mixture) is not None:
            return mixture, part.notes
    key, shares = _shares_of(content)
    where = f"{path}, {key}" if key else str(path)
    if isinstance(shares, Sequence) and not isinstance(shares, str):
        shares = _by_source(shares, where)
    if not isinstance(shares, Mapping):
        raise ConfigError(
            f'{where}: shares are needed, such as {{"web": 0.7, "code": 0.3}}, not {_kind(shares)}'
        )
    return mixture_of(shares, where)


def mixture_of(shares: Mapping[str, Any], where: str) -> tuple[Mixture, tuple[str, ...]]:
    """A mixture from shares that sum to one within 2 %, and a sentence where they were divided by their sum.

    Raises:
        ConfigError: there are none, one is no number, or their sum is another.
    """
    weights = {str(name): _share(value, f"{where}: the share of {name}") for name, value in shares.items()}
    if not weights or "" in weights:
        raise ConfigError(f"{where}: every share needs the name of a source")
    for name in weights:
        if any("\ud800" <= one <= "\udfff" for one in name):
            raise ConfigError(f"{where}: the name {name!r} holds half a character; write it anew")
    total = sum(weights.values())  # not fsum, which raises where the sum is infinite
    if abs(total / 100 - 1.0) <= IMPORT_TOLERANCE:
        raise ConfigError(f"{where}: shares sum to {total:.6g}, so these are percentages; divide by 100")
    mixture, total = checked_mixture(weights, where)
    if abs(total - 1.0) <= SUM_TOLERANCE:
        return mixture, ()
    return mixture, (f"{where}: the shares summed to {total:.6g} and were divided by their sum",)


def _shares_of(content: Any) -> tuple[str, Any]:
    """The key under which shares stand, and they themselves."""
    if isinstance(content, Mapping):
        for key in UNDER:
            if isinstance(content.get(key), Mapping | list):
                return key, content[key]
            if key in content and len(content) == 1 and not isinstance(content[key], int | float):
                return key, content[key]
    return "", content


def _by_source(entries: Sequence[Any], where: str) -> dict[str, Any]:
    """``[{"domain": "web", "weight": 0.5}, ...]`` as an object."""
    found: list[tuple[str, Any]] = []
    for number, entry in enumerate(entries, start=1):
        place = f"{where}, entry {number}"
        if not isinstance(entry, Mapping):
            raise ConfigError(f'{place}: an object such as {{"domain": "web", "weight": 0.5}} is needed')
        found.append((str(entry[_key(entry, SOURCE_KEYS, place)]), entry[_key(entry, SHARE_KEYS, place)]))
    return _each_once(found, where)


def _key(entry: Mapping[str, Any], wanted: Sequence[str], place: str) -> str:
    there = [key for key in wanted if key in entry]
    if len(there) != 1:
        raise ConfigError(
            f"{place}: one of the keys {', '.join(wanted)} is needed, found {', '.join(entry) or 'none'}"
        )
    return there[0]


def _each_once(pairs: Iterable[tuple[str, Any]], where: str) -> dict[str, Any]:
    pairs = list(pairs)
    for name, count in Counter(name for name, _ in pairs).items():
        if count > 1:
            raise ConfigError(f"{where}: {name!r} stands there twice; leave one of them out")
    return dict(pairs)


def _share(value: Any, what: str) -> float:
    try:
        share = math.nan if isinstance(value, bool | None) else float(value)
    except (TypeError, ValueError, OverflowError):
        share = math.nan
    if not math.isfinite(share):
        raise ConfigError(f"{what} is {_kind(value)}; write a number from 0 to 1")
    return share


def _kind(value: Any) -> str:
    """A value as a reader of JSON knows it."""
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list):
        return "a list"
    return json.dumps(value, ensure_ascii=False)
