"""The mixture of a decision on a terminal: one table for all flows."""

import math
from collections.abc import Sequence

from cuvee.report.printout import Grid
from cuvee.report.view import MixtureRow
from cuvee.report.wording import interval_of, plain, plain_ends, plain_percent

Column = tuple[str, Sequence[str]]
"""Its head, and a cell for each source."""


def mixture_grid(
    title: str, rows: Sequence[MixtureRow], confidence: float, more: Sequence[Column] = ()
) -> Grid:
    """Shares with intervals and epochs; epochs are left out where none is known.

    Args:
        title: above the table.
        rows: one for each source, as the page has them.
        confidence: of the intervals.
        more: columns behind the epochs.
    """
    epochs = [plain(row.epochs, 2) for row in rows]
    columns: list[Column] = [
        ("source", [row.source for row in rows]),
        ("share", [plain_percent(row.share) for row in rows]),
        (interval_of(confidence), [plain_ends(row.low, row.high, plain_percent) for row in rows]),
        *([] if all(math.isnan(row.epochs) for row in rows) else [("epochs", epochs)]),
        *more,
        ("", ["at its cap" if row.cap_hit else "" for row in rows]),
    ]
    cells = zip(*(column for _, column in columns), strict=True)
    return Grid(title, tuple(head for head, _ in columns), tuple(cells))
