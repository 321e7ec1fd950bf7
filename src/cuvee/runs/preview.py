"""A preview of observations: how many there are of each kind, and the first rows, as HTML for a notebook."""

from cuvee.excerpt import excerpt
from cuvee.quantities import number, quantity
from cuvee.runs.observations import Observations

_SOURCES, _METRICS = 8, 6
"""Columns that are shown."""


def preview(observations: Observations) -> str:
    """The first rows, shares in per cent."""
    sources, metrics = observations.sources[:_SOURCES], observations.metrics[:_METRICS]
    rows = [_row(observations, row) for row in range(len(observations))]
    return excerpt(repr(observations), (), ("kind", "role", "parameters", "tokens", *sources, *metrics), rows)


def _row(observations: Observations, row: int) -> tuple[str, ...]:
    sizes = (quantity(float(size[row])) for size in (observations.params, observations.tokens))
    shares = (f"{share:.1%}" for share in observations.shares[row, :_SOURCES])
    values = (number(float(value), 4) for value in observations.values[row, :_METRICS])
    return observations.kind[row], observations.role[row], *sizes, *shares, *values
