"""RegMean against closed forms and least squares."""

import numpy as np
import pytest
import torch

from cuvee.merging.linear import LinearMerge
from cuvee.merging.regmean import RegMean
from cuvee.merging.statistics import GRAM, Statistics
from tests.merging.measured_pools import COVERED, INPUTS, grams, inputs_of, layered

WEIGHTS = np.array([0.2, 0.5, 0.3])


def test_members_of_one_gram_matrix_give_the_linear_mean() -> None:
    alike = inputs_of(1) * 3
    pool = layered().measured(grams(alike))
    torch.testing.assert_close(
        RegMean().merge(pool, WEIGHTS), LinearMerge().merge(pool, WEIGHTS), rtol=0, atol=1e-6
    )


@pytest.mark.parametrize("alpha", [0.0, 0.1, 0.9])
def test_it_is_the_formula_of_the_paper(alpha: float) -> None:
    pool = layered().measured(grams(inputs_of(3)))
    merged, known = RegMean(alpha=alpha).merge(pool, WEIGHTS), pool.statistics
    assert known is not None
    for place, one in enumerate(INPUTS):
        shrunk = [known.gram(k, place).double() for k in range(3)]
        shrunk = [alpha * g + (1 - alpha) * torch.diag(g.diagonal()) for g in shrunk]
        system = sum(w * g for w, g in zip(WEIGHTS, shrunk, strict=True))
        for entry in one.weights:
            sides = [
                g @ one.matrix(row, entry).double() for g, row in zip(shrunk, pool.branches, strict=True)
            ]
            right = sum(w * side for w, side in zip(WEIGHTS, sides, strict=True))
            wanted = torch.linalg.inv(system) @ right
            torch.testing.assert_close(one.matrix(merged, entry).double(), wanted, rtol=1e-4, atol=1e-5)


def test_all_but_linear_layers_is_averaged() -> None:
    pool = layered().measured(grams(inputs_of(3)))
    merged = RegMean().merge(pool, WEIGHTS)
    assert torch.equal(merged[COVERED:], LinearMerge().merge(pool, WEIGHTS)[COVERED:])
    assert not torch.allclose(merged[:COVERED], LinearMerge().merge(pool, WEIGHTS)[:COVERED], atol=1e-3)


def test_undamped_it_minimises_the_squared_differences_of_outputs() -> None:
    inputs = inputs_of(3)
    pool = layered().measured(grams(inputs))
    merged = RegMean(alpha=1.0).merge(pool, WEIGHTS)
    for place, one in enumerate(INPUTS):
        root = [np.sqrt(w / len(x[place])) * x[place].double() for w, x in zip(WEIGHTS, inputs, strict=True)]
        for entry in one.weights:
            outputs = [
                x @ one.matrix(row, entry).double() for x, row in zip(root, pool.branches, strict=True)
            ]
            wanted = torch.linalg.lstsq(torch.cat(root), torch.cat(outputs)).solution
            torch.testing.assert_close(one.matrix(merged, entry).double(), wanted, rtol=1e-3, atol=1e-4)


def test_layers_that_nothing_reached_are_averaged() -> None:
    nothing = tuple(torch.zeros(sum(one.width**2 for one in INPUTS)) for _ in range(3))
    pool = layered().measured(Statistics(GRAM, INPUTS, nothing))
    torch.testing.assert_close(RegMean().merge(pool, WEIGHTS), LinearMerge().merge(pool, WEIGHTS))
