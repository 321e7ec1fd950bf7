"""A preview of observations: how many there are of each kind, and the first rows, as HTML for a notebook."""

from cuvee.excerpt import excerpt
from cuvee.quantities import number, quantity
from cuvee.runs.tables import Fields

_SOURCES, _METRICS = 8, 6
"""Columns that are shown."""


def preview(title: str, fields: Fields) -> str:
    """The first rows, shares in per cent."""
    sources, metrics = fields["sources"][:_SOURCES], fields["metrics"][:_METRICS]
    rows = [_row(fields, row) for row in range(len(fields["keys"]))]
    return excerpt(title, (), ("kind", "role", "parameters", "tokens", *sources, *metrics), rows)


def _row(fields: Fields, row: int) -> tuple[str, ...]:
    sizes = (quantity(float(size[row])) for size in (fields["params"], fields["tokens"]))
    shares = (f"{share:.1%}" for share in fields["shares"][row, :_SOURCES])
    values = (number(float(value), 4) for value in fields["values"][row, :_METRICS])
    return fields["kind"][row], fields["role"][row], *sizes, *shares, *values
