"""Draws: the samples that a trainer has drawn, in their order, from a table or a log."""

import csv
import gzip
import json
import math
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from cuvee.errors import ConfigError
from cuvee.types import FloatArray, IntArray

SOURCE_COLUMNS = (
    "source", "dataset", "domain", "source_name", "dataset_name", "data_source", "subset", "path", "name",
)  # fmt: skip
"""Columns or keys that may name the source of a sample; the first that is there is read."""

TOKEN_COLUMNS = ("tokens", "token_count", "num_tokens", "n_tokens", "ntokens", "length", "seq_len")
"""Columns or keys that may hold the tokens of a sample."""

TABLES = {".csv": ",", ".tsv": "\t"}
LINES = (".jsonl", ".ndjson", ".json", ".log")


@dataclass(frozen=True, eq=False)
class Draws:
    """Samples in the order in which they were drawn."""

    names: tuple[str, ...]
    """What the file calls the sources, as they first appear."""
    sources: IntArray
    """Index into ``names`` [N]."""
    tokens: FloatArray
    """Of each sample [N]; ones where the file has none."""
    source_column: str
    token_column: str
    """Empty where the file has no tokens."""
    passed_over: int
    """Rows or lines without a source."""


def read_draws(path: Path, source_column: str = "", token_column: str = "") -> Draws:
    """Read a CSV (``.csv``, ``.tsv``) or JSON lines (``.jsonl``), also with ``.gz`` behind.

    Args:
        path: one row or line for each sample.
        source_column: which column names the source; empty: the first of ``SOURCE_COLUMNS``.
        token_column: which one holds its tokens; empty: the first of ``TOKEN_COLUMNS``, if any is there.

    Raises:
        ConfigError: the file cannot be read, names no source, or a count of tokens is none (with its row).
    """
    names: dict[str, int] = {}
    sources, tokens = array("l"), array("d")
    passed_over = 0
    for number, record in enumerate(_records(path), start=1):
        where = f"{path}, row {number}"
        column = source_column or _first(record, SOURCE_COLUMNS)
        name = record.get(column)
        if name is None or str(name).strip() == "":
            passed_over += 1
            continue
        if not sources:
            source_column, token_column = column, token_column or _first(record, TOKEN_COLUMNS)
        if isinstance(name, list | dict):
            raise ConfigError(f"{where}: {source_column} is no name; one source a row is needed")
        sources.append(names.setdefault(str(name).strip(), len(names)))
        tokens.append(_tokens(record, token_column, where) if token_column else 1.0)
    if not sources:
        raise ConfigError(
            f"{path} names the source of no sample; say --source COLUMN "
            f"(looked for: {source_column or ', '.join(SOURCE_COLUMNS)})"
        )
    if not any(tokens):
        raise ConfigError(f"{path}: {token_column} is zero in every row")
    return Draws(
        tuple(names), np.array(sources, np.int64), np.array(tokens), source_column, token_column, passed_over
    )


def _first(record: Mapping[str, Any], wanted: tuple[str, ...]) -> str:
    by_lower = {key.lower(): key for key in reversed(list(record))}
    return next((by_lower[key] for key in wanted if key in by_lower), "")


def _tokens(record: Mapping[str, Any], column: str, where: str) -> float:
    value = record.get(column)
    try:
        tokens = math.nan if isinstance(value, bool | None) else float(cast(str, value))
    except (TypeError, ValueError):
        tokens = math.nan
    if not (math.isfinite(tokens) and tokens >= 0.0):
        raise ConfigError(f"{where}: {column} is {value!r}; a count of tokens is needed")
    return tokens


def _records(path: Path) -> Iterator[Mapping[str, Any]]:
    ends = [end.lower() for end in path.suffixes]
    compressed = ends[-1:] == [".gz"]
    end = (ends[:-1] if compressed else ends)[-1:] or [""]
    if end[0] not in (*TABLES, *LINES):
        raise ConfigError(f"{path}: a table (.csv, .tsv) or JSON lines (.jsonl) are needed, also with .gz")
    try:
        with _opened(path, compressed) as file:
            yield from _rows(path, file, TABLES[end[0]]) if end[0] in TABLES else _lines(path, file)
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8: {error.reason}") from error
    except (OSError, EOFError) as error:
        raise ConfigError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error


def _opened(path: Path, compressed: bool) -> IO[str]:
    if compressed:
        return cast(IO[str], gzip.open(path, "rt", encoding="utf-8-sig", newline=""))
    return path.open(encoding="utf-8-sig", newline="")


def _rows(path: Path, file: IO[str], delimiter: str) -> Iterator[Mapping[str, Any]]:
    table = csv.reader(file, delimiter=delimiter, strict=True)
    try:
        header = [name.strip() for name in next(table, [])]
        if twice := [name for name in header if header.count(name) > 1]:
            raise ConfigError(f"{path}: column {twice[0]!r} stands there twice; rename one of them")
        for number, row in enumerate(table, start=1):
            if row and len(row) != len(header):
                raise ConfigError(f"{path}, row {number}: {len(row)} cells under {len(header)} columns")
            if row:
                yield dict(zip(header, row, strict=True))
    except csv.Error as error:
        raise ConfigError(f"{path}, line {table.line_num}: {error}") from error


def _lines(path: Path, file: IO[str]) -> Iterator[Mapping[str, Any]]:
    for number, line in enumerate(file, start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ConfigError(
                f"{path}, line {number} is not JSON: {error}; one object a line is needed"
            ) from error
        if not isinstance(record, dict):
            raise ConfigError(f"{path}, line {number}: one object a line is needed")
        yield record
