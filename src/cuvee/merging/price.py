"""What a method of merging costs beyond the weighted mean: in FLOPs a merge, and once for each member."""

from cuvee.merging.registry import NEEDS
from cuvee.merging.statistics import FISHER, GRAM, numbers_of
from cuvee.models.interface import CausalModel

_BYTES = 4
_BACKWARD = 3.0
"""Passes of a gradient over those of a forward pass."""


def extra_flops(method: str, model: CausalModel, members: int) -> float:
    """Of one merge, beyond 2 K N: nothing where the method needs no statistics."""
    kind = NEEDS.get(method)
    if kind == FISHER:
        return 4.0 * members * model.layout.size
    if kind != GRAM:
        return 0.0
    total = 0.0
    for one in model.linear_inputs:
        outputs = sum(entry.size for entry in one.weights) / one.width
        total += one.width**3 / 3.0 + 2.0 * (members + 1) * one.width**2 * outputs
    return total


def statistics_flops(method: str, model: CausalModel, tokens: int) -> float:
    """Of the statistics of one member, from so many tokens."""
    kind = NEEDS.get(method)
    if kind is None:
        return 0.0
    passes = _BACKWARD if kind == FISHER else 1.0
    products = 2.0 * numbers_of(GRAM, model) if kind == GRAM else 0.0
    return tokens * (passes * model.flops_per_token + products)


def statistics_bytes(method: str, model: CausalModel, members: int) -> int:
    """On disk, and in memory where merges are made."""
    return _BYTES * members * numbers_of(NEEDS[method], model) if method in NEEDS else 0
