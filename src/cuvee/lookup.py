"""Rows of tables by name, with a hint where a name is nearly right."""

import difflib
from collections.abc import Mapping
from typing import TypeVar

from cuvee.errors import ConfigError

Row = TypeVar("Row")


def row_named(table: Mapping[str, Row], name: str, what: str) -> Row:
    """The row of that name; ``what`` is what a row is called in the message.

    Raises:
        ConfigError: there is none; the message gives the nearest name and all names.
    """
    if name in table:
        return table[name]
    near = difflib.get_close_matches(name, table, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    raise ConfigError(f"no {what} {name!r}{hint}; there are: {', '.join(table)}")
