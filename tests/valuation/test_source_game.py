"""Games of sources: closed forms."""

from itertools import permutations

import numpy as np
import pytest

from cuvee.errors import ConfigError
from cuvee.types import FloatArray
from cuvee.valuation.source_game import coalitions, leave_one_out, shapley


def by_orders(utilities: FloatArray, sources: int) -> FloatArray:
    """The mean over all orders of what each source adds when it comes."""
    total, orders = np.zeros(sources), list(permutations(range(sources)))
    for order in orders:
        before = 0
        for one in order:
            total[one] += utilities[before | 1 << one] - utilities[before]
            before |= 1 << one
    return total / len(orders)


@pytest.mark.parametrize("sources", [1, 2, 5])
def test_values_are_means_over_orders_and_sum_to_all_less_none(sources: int) -> None:
    utilities = np.random.default_rng(sources).normal(size=2**sources)
    values = shapley(utilities)
    np.testing.assert_allclose(values, by_orders(utilities, sources), atol=1e-12)
    assert values.sum() == pytest.approx(utilities[-1] - utilities[0], abs=1e-12)


def test_an_additive_game_gives_every_source_its_own() -> None:
    own = np.array([3.0, -1.0, 0.0, 0.5])
    utilities = coalitions(4) @ own
    np.testing.assert_allclose(shapley(utilities), own, atol=1e-12)
    np.testing.assert_allclose(leave_one_out(utilities), own, atol=1e-12)


def test_twins_share_what_leaving_one_out_gives_to_neither() -> None:
    first, second, third = coalitions(3).T
    utilities = (first | second) + 0.5 * third
    np.testing.assert_allclose(shapley(utilities), [0.5, 0.5, 0.5], atol=1e-12)
    np.testing.assert_allclose(leave_one_out(utilities), [0.0, 0.0, 0.5], atol=1e-12)


def test_values_are_linear_so_those_of_documents_add_up() -> None:
    utilities = np.random.default_rng(0).normal(size=(8, 5))
    np.testing.assert_allclose(shapley(utilities).sum(axis=1), shapley(utilities.sum(axis=1)), atol=1e-12)


def test_a_game_that_is_not_whole_is_refused() -> None:
    with pytest.raises(ConfigError, match="every coalition"):
        shapley(np.zeros(6))
    with pytest.raises(ConfigError, match="2\\^13 coalitions"):
        coalitions(13)
