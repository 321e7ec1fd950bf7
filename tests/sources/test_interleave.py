"""The order in which sources take turns: fair at every prefix, and random access."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cuvee.errors import MixtureError
from cuvee.sources.interleave import Interleave

weights = st.lists(st.floats(1e-4, 1.0), min_size=1, max_size=9)


def make(values: list[float]) -> Interleave:
    return Interleave(np.array(values) / sum(values))


def test_order_by_hand() -> None:
    # Times of a (3/4): 2/3, 2, 10/3, 14/3; of b (1/4): 2, 6; a goes first at the tie.
    sources, numbers = make([0.75, 0.25]).turns(0, 8)
    assert sources.tolist() == [0, 0, 1, 0, 0, 0, 1, 0]
    assert numbers.tolist() == [0, 1, 0, 2, 3, 4, 1, 5]


@given(weights, st.integers(0, 10**7), st.integers(0, 60))
def test_every_prefix_is_fair(values: list[float], start: int, length: int) -> None:
    order = make(values)
    for rank in (start, start + length):
        counts = order.counts(rank)
        assert counts.sum() == rank
        bound = 0.5 + order.shares * len(values) / 2
        assert (np.abs(counts - rank * order.shares) <= bound + 1e-6).all()


@given(weights, st.integers(0, 10**9), st.integers(0, 40), st.integers(0, 40))
def test_turns_continue_counts_and_each_other(
    values: list[float], start: int, first: int, second: int
) -> None:
    order = make(values)
    sources, numbers = order.turns(start, start + first + second)
    counts = order.counts(start)
    for source, number in zip(sources, numbers, strict=True):
        assert number == counts[source]
        counts[source] += 1
    np.testing.assert_array_equal(counts, order.counts(start + first + second))
    left, right = order.turns(start, start + first), order.turns(start + first, start + first + second)
    np.testing.assert_array_equal(sources, np.concatenate([left[0], right[0]]))
    np.testing.assert_array_equal(numbers, np.concatenate([left[1], right[1]]))


def test_ranks_beyond_32_bits() -> None:
    order = make([0.1, 0.2, 0.7])
    counts = order.counts(10**13)
    assert counts.sum() == 10**13
    np.testing.assert_allclose(counts, 10**13 * order.shares, atol=3)


@pytest.mark.parametrize("shares", [[], [0.0, 1.0], [-0.5, 1.5], [float("nan")]])
def test_impossible_shares_are_refused(shares: list[float]) -> None:
    with pytest.raises(MixtureError):
        Interleave(np.array(shares))
