"""Printing results: JSON for programs, sentences and rich tables for people."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cuvee.types import Json

if TYPE_CHECKING:
    from cuvee.report.printout import Printout


def print_json(value: Json) -> None:
    """One JSON object on standard output; numbers that are none must have become null before."""
    print(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))


def show(printout: "Printout") -> None:
    """Sentences and tables on standard output, whatever they are of."""
    for part in printout:
        if isinstance(part, str):
            print(part)
        else:
            print_table(part.title, part.columns, part.rows)


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A compact table on standard output; columns after the first are numbers, set to the right."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    longest_word = max((len(word) for row in rows for word in row[0].split()), default=0)
    for index, column in enumerate(columns):
        if index:
            table.add_column(column, justify="right", overflow="fold")
        else:
            table.add_column(column, overflow="fold", min_width=longest_word)
    for row in rows:
        table.add_row(*row)
    Console(markup=False, highlight=False, emoji=False).print(table)
