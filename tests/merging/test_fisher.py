"""Diagonal Fisher merging against closed forms."""

import numpy as np
import torch

from cuvee.merging.fisher import DiagonalFisher
from cuvee.merging.linear import LinearMerge
from cuvee.merging.statistics import FISHER, Statistics
from tests.merging.measured_pools import SIZE, information, layered

WEIGHTS = np.array([0.2, 0.5, 0.3])


def test_equal_information_gives_the_linear_mean() -> None:
    alike = information(1).values[0]
    pool = layered().measured(Statistics(FISHER, (), (alike,) * 3))
    torch.testing.assert_close(
        DiagonalFisher().merge(pool, WEIGHTS), LinearMerge().merge(pool, WEIGHTS), rtol=0, atol=1e-6
    )


def test_it_is_the_formula_of_the_paper() -> None:
    pool = layered().measured(information(3))
    assert pool.statistics is not None
    known = torch.stack(pool.statistics.values).double() + 1e-6
    pulls = torch.from_numpy(WEIGHTS)[:, None] * known
    wanted = (pulls * pool.branches.double()).sum(0) / pulls.sum(0)
    torch.testing.assert_close(DiagonalFisher().merge(pool, WEIGHTS).double(), wanted, rtol=0, atol=1e-6)


def test_where_one_member_alone_has_information_it_decides() -> None:
    rows = torch.zeros(3, SIZE)
    rows[1] = 1.0
    pool = layered().measured(Statistics(FISHER, (), tuple(rows)))
    merged = DiagonalFisher().merge(pool, WEIGHTS)
    torch.testing.assert_close(merged, pool.branches[1], rtol=0, atol=1e-5)


def test_where_none_has_information_the_mean_is_taken() -> None:
    pool = layered().measured(Statistics(FISHER, (), tuple(torch.zeros(3, SIZE))))
    torch.testing.assert_close(DiagonalFisher().merge(pool, WEIGHTS), LinearMerge().merge(pool, WEIGHTS))
