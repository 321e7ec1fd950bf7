"""Small pools with layers, and statistics of them made of random numbers (for tests)."""

import torch
from torch import Tensor

from cuvee.merging.pool import FlatPool
from cuvee.merging.registry import NEEDS
from cuvee.merging.statistics import GRAM, Statistics
from cuvee.models.layout import Entry
from cuvee.models.linear_inputs import LinearInput
from tests.merging.tiny_pools import random_pool

INPUTS = (
    LinearInput(6, (Entry("query", (5, 6), 0), Entry("key", (4, 6), 30))),
    LinearInput(4, (Entry("turned", (4, 7), 60),), transposed=True),
)
COVERED, SIZE = 88, 120
"""Numbers in layers, and all of them."""


def inputs_of(members: int, seed: int = 0, tokens: int = 40) -> list[list[Tensor]]:
    """What each layer of each member reads [n, d], of unequal scales and correlated."""
    generator = torch.Generator().manual_seed(seed)
    return [
        [
            torch.randn(tokens, one.width, generator=generator)
            @ torch.randn(one.width, one.width, generator=generator)
            for one in INPUTS
        ]
        for _ in range(members)
    ]


def grams(inputs: list[list[Tensor]]) -> Statistics:
    """Their Gram matrices."""
    rows = [torch.cat([(x.T @ x / len(x)).flatten() for x in member]) for member in inputs]
    return Statistics(GRAM, INPUTS, tuple(rows))


def information(members: int, seed: int = 0, size: int = SIZE) -> Statistics:
    """Positive numbers of mean one, over some orders of magnitude."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.exp(2 * torch.randn(members, size, generator=generator))
    return Statistics("fisher", (), tuple(drawn / drawn.mean(1, keepdim=True)))


def measured(pool: FlatPool, method: str, seed: int = 0) -> FlatPool:
    """The pool with what a method needs; it must have ``SIZE`` parameters or more."""
    if method not in NEEDS:
        return pool
    members = len(pool.roster.members)
    if NEEDS[method] == GRAM:
        return pool.measured(grams(inputs_of(members, seed)))
    return pool.measured(information(members, seed, pool.size))


def layered(members: int = 3, seed: int = 0) -> FlatPool:
    """A pool of ``SIZE`` parameters."""
    return random_pool([f"s{i}" for i in range(members)], SIZE, seed)
