"""An excerpt: the few lines of HTML by which a value shows itself in a notebook.

All text is escaped, and what turns or hides text is spelt out: names of sources come from others.
"""

from collections.abc import Sequence
from html import escape

from cuvee.invisible import all_spelt_out

MOST_ROWS = 20
"""Rows of a table that are shown; of the others only the number is."""


def excerpt(
    title: str, sentences: Sequence[str] = (), head: Sequence[str] = (), rows: Sequence[Sequence[str]] = ()
) -> str:
    """A title, sentences, and a table where it has rows.

    Args:
        title: plain text, as all that follows.
        sentences: under the title; empty ones are left out.
        head: names of the columns.
        rows: as many cells as ``head``.
    """
    parts = [_tag("b", title), *(_tag("p", sentence) for sentence in sentences if sentence)]
    if rows:
        parts.append(_table(head, rows[:MOST_ROWS]))
    if len(rows) > MOST_ROWS:
        parts.append(_tag("p", f"and {len(rows) - MOST_ROWS} more rows"))
    return f"<div>{''.join(parts)}</div>"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    top = "".join(_tag("th", cell) for cell in head)
    body = "".join(f"<tr>{''.join(_tag('td', cell) for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def _tag(name: str, text: str) -> str:
    return f"<{name}>{escape(all_spelt_out(text))}</{name}>"
