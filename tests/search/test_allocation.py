"""From values of sources to a mixture."""

import numpy as np
import pytest

from cuvee.errors import ConfigError
from cuvee.mixture.region import Region
from cuvee.search.allocation import allocate, allocated_ends

REGION = Region.simplex(("a", "b", "c"))


def test_better_sources_get_more_and_units_do_not_matter() -> None:
    shares = allocate([3.0, 1.0, 2.0], REGION).shares
    assert shares[0] > shares[2] > shares[1]
    np.testing.assert_allclose(allocate([3e-9, 1e-9, 2e-9], REGION).shares, shares, atol=1e-6)


def test_sources_that_are_alike_share_evenly_and_an_unknown_one_counts_as_the_worst() -> None:
    np.testing.assert_allclose(allocate([1.0, 1.0, 1.0], REGION).shares, 1 / 3, atol=1e-4)
    np.testing.assert_allclose(allocate([np.nan] * 3, REGION).shares, 1 / 3, atol=1e-4)
    known = allocate([2.0, 1.0, 1.0], REGION).shares
    np.testing.assert_allclose(allocate([2.0, 1.0, np.nan], REGION).shares, known, atol=1e-6)


def test_intervals_hold_the_pick_and_are_unknown_where_a_value_is() -> None:
    values, ends = [3.0, 1.0, 2.0], [(2.5, 3.5), (0.5, 1.5), (1.5, 2.5)]
    low, high = allocated_ends(values, ends, REGION, 0)
    shares = allocate(values, REGION).shares
    assert (low <= shares + 1e-9).all() and (shares <= high + 1e-9).all() and (high > low).all()
    low, high = allocated_ends(values, [(-np.inf, np.inf), *ends[1:]], REGION, 0)
    assert np.isnan(low).all() and np.isnan(high).all()


def test_another_number_of_values_is_refused() -> None:
    with pytest.raises(ConfigError, match="2 values for 3 sources"):
        allocate([1.0, 2.0], REGION)
