"""Tables of somebody else's runs, read as observations of kind ``imported`` (floor 3).

One row per run, one column per value. Required: ``w:<source>`` (shares) and ``m:<metric>``. Optional:
``key`` (or ``run``), ``role``, ``estimand``, ``seed``, ``params``, ``tokens``, ``flops``.
"""

import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cuvee.errors import ConfigError
from cuvee.hashing import digest
from cuvee.mixture.mixture import SUM_TOLERANCE, Mixture
from cuvee.runs import tables
from cuvee.runs.observations import Observations
from cuvee.runs.run import Run, observations_of

IMPORT_TOLERANCE = 0.02
"""How far from one published shares may sum. Tables round to two or three digits."""

_KEY_COLUMNS = ("key", "run")
_PARQUET_SUFFIXES = (".parquet", ".pq")


@dataclass(frozen=True)
class ImportedTable:
    """What was read, and what had to be mended or left out."""

    observations: Observations
    """The rows in the order of the file."""
    renormalised: int
    """Rows whose shares did not sum to one within 1e-6 and were divided by their sum."""
    ignored: tuple[str, ...]
    """Columns that were not understood."""


def import_table(path: Path, *, role: str = "imported", estimand: str = "equal_budget") -> ImportedTable:
    """Read a CSV or Parquet file (by its suffix) of runs done elsewhere.

    An empty share is zero, an empty metric is not measured. Without a key column a row is named by a
    hash of its content, so that importing a table twice adds nothing to a store.

    Args:
        path: a ``.parquet`` file, or a CSV file of any other suffix.
        role: role of rows that tell none.
        estimand: estimand of rows that tell none.

    Raises:
        ConfigError: the file or a cell cannot be read, or shares do not sum to one within 2 %; the
            message names the row (the first row after the header is row 1).
    """
    parquet = path.suffix.lower() in _PARQUET_SUFFIXES
    names, columns = tables.parquet_columns(path) if parquet else tables.csv_columns(path)
    names = [name.strip() for name in names]
    tables.check_header(names, str(path))
    shares = _prefixed(names, tables.SHARE_PREFIX, path, "share of each source")
    metrics = _prefixed(names, tables.METRIC_PREFIX, path, "value of each metric")
    known = {*_KEY_COLUMNS, "role", "estimand", "seed", "params", "tokens", "flops", *shares, *metrics}
    renormalised = 0
    runs: list[Run] = []
    seen: dict[str, int] = {}
    copies: Counter[str] = Counter()
    for row, cells in enumerate(zip(*columns, strict=True), 1):
        record = _Row(path, row, dict(zip(names, cells, strict=True)))
        mixture, mended = record.mixture(shares)
        renormalised += mended
        key = record.text("key") or record.text("run")
        if key is not None and key in seen:
            raise record.wrong(f"key {key!r} is already that of row {seen[key]}")
        values = {
            name.removeprefix(tables.METRIC_PREFIX): value
            for name in metrics
            if (value := record.number(name)) is not None
        }
        fields: dict[str, Any] = {
            "role": record.text("role") or role,
            "estimand": record.text("estimand") or estimand,
            "params": record.whole("params"),
            "tokens": record.whole("tokens"),
            "seed": record.whole("seed") or 0,
            "flops": record.number("flops"),
        }
        if key is None:
            content = digest([mixture.as_dict(), values, fields])
            copies[content] += 1  # replicates may agree in all columns
            key = content if copies[content] == 1 else f"{content}-{copies[content]}"
        seen[key] = row
        try:
            runs.append(Run(key=key, kind="imported", mixture=mixture, metrics=values, **fields))
        except ConfigError as error:
            raise record.wrong(str(error)) from error
    if not runs:
        raise ConfigError(f"{path} has a header but no rows")
    observations = observations_of(
        runs,
        sources=[name.removeprefix(tables.SHARE_PREFIX) for name in shares],
        metrics=[name.removeprefix(tables.METRIC_PREFIX) for name in metrics],
    )
    return ImportedTable(observations, renormalised, tuple(name for name in names if name not in known))


def _prefixed(names: list[str], prefix: str, path: Path, meaning: str) -> list[str]:
    found = [name for name in names if name.startswith(prefix) and name != prefix]
    if not found:
        raise ConfigError(
            f"{path} has no column {prefix}<name> for the {meaning}; it has: {', '.join(names)}"
        )
    return found


@dataclass(frozen=True)
class _Row:
    path: Path
    row: int
    cells: dict[str, Any]

    def wrong(self, what: str) -> ConfigError:
        return ConfigError(f"{self.path}, row {self.row}: {what}")

    def text(self, name: str) -> str | None:
        value = self.cells.get(name)
        return None if value is None or value == "" else str(value)

    def number(self, name: str) -> float | None:
        value = tables.number(self.cells.get(name), f"{self.path}, row {self.row}, {name}")
        if math.isinf(value):
            raise self.wrong(f"{name} is infinite; leave the cell empty if it was not measured")
        return None if math.isnan(value) else value + 0.0

    def whole(self, name: str) -> int | None:
        return tables.whole_number(self.cells.get(name), f"{self.path}, row {self.row}, {name}")

    def mixture(self, columns: list[str]) -> tuple[Mixture, bool]:
        """The mixture, and whether it had to be renormalised."""
        weights = np.array([self.number(name) or 0.0 for name in columns])
        if (weights < 0).any():
            raise self.wrong(f"{columns[int(np.argmin(weights))]} is negative")
        total = math.fsum(weights)
        if abs(total - 1.0) > IMPORT_TOLERANCE:
            advice = "; divide percentages by 100" if abs(total / 100 - 1.0) <= IMPORT_TOLERANCE else ""
            raise self.wrong(f"shares sum to {total:.6g}, not to 1 within {IMPORT_TOLERANCE:.0%}{advice}")
        sources = [name.removeprefix(tables.SHARE_PREFIX) for name in columns]
        mixture = Mixture.normalised(dict(zip(sources, weights.tolist(), strict=True)))
        return mixture, abs(total - 1.0) > SUM_TOLERANCE
