"""Dictionaries in cells: a mixture or a configuration that a program wrote into one column.

``{"web": 0.5, "code": 0.5}`` in a column ``mixture`` becomes the columns ``mixture.web`` and
``mixture.code``. JSON, what Python prints, and structures of Parquet are read; nothing is executed.
"""

import ast
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

INSIDE = "."
OPENED = ("summary", "config")
"""Columns of W&B's own recipe for a table of runs; what stands in them keeps its name."""

_LARGEST = 100_000  # characters of a cell that is worth looking into
_NOT_A_NUMBER = re.compile(r"(?<![\w'\"])(nan|-?inf)(?![\w'\"])")


def opened(
    names: Sequence[str], columns: Sequence[list[Any]]
) -> tuple[list[str], list[list[Any]], tuple[str, ...]]:
    """The columns with every dictionary in columns of its own, and the names of those that were opened."""
    result: dict[str, list[Any]] = {}
    opened_names = []
    for name, column in zip(names, columns, strict=True):
        read = _read(column)
        if read is None:
            result[name] = column
            continue
        opened_names.append(name)
        for inner in dict.fromkeys(key for row in read for key in row):
            short = inner if name in OPENED and inner not in names else f"{name}{INSIDE}{inner}"
            result[short] = [row.get(inner) for row in read]
    return list(result), list(result.values()), tuple(opened_names)


def _read(column: Sequence[Any]) -> list[dict[str, Any]] | None:
    """The dictionary of each cell, empty for empty cells; none if any other cell is no dictionary."""
    found: list[dict[str, Any]] = []
    for cell in column:
        if cell in ("", None):
            found.append({})
            continue
        value = _dictionary(cell)
        if value is None:
            return None
        found.append(_flat(value))
    return found if any(found) else None


def _dictionary(cell: Any) -> Mapping[Any, Any] | None:
    if isinstance(cell, Mapping):
        return cell
    if not isinstance(cell, str) or len(cell) > _LARGEST or not (cell.startswith("{") and cell.endswith("}")):
        return None
    for read in (json.loads, lambda text: ast.literal_eval(_NOT_A_NUMBER.sub("None", text))):
        try:
            value = read(cell)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        return value if isinstance(value, dict) else None
    return None


def _flat(value: Mapping[Any, Any], before: str = "") -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, inner in value.items():
        if isinstance(inner, Mapping):
            result |= _flat(inner, f"{before}{key}{INSIDE}")
        else:
            result[f"{before}{key}"] = None if isinstance(inner, list | tuple) else inner
    return result
