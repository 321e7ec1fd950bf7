"""Who is in a pool: what a share of a source becomes in weights of members, and what is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cuvee.errors import ConfigError
from cuvee.merging.roster import Member, Roster
from tests.merging.tiny_pools import roster

POOL = roster(["web", "web", "code", "books"], [300, 100, 200, 400])

shares = st.lists(st.floats(0.01, 1.0), min_size=3, max_size=3)


@given(shares)
def test_the_share_of_a_source_goes_to_its_members_by_tokens(weights: list[float]) -> None:
    mixture = np.array(weights) / sum(weights)
    members = mixture @ POOL.spread()
    np.testing.assert_allclose([members[:2].sum(), *members[2:]], mixture, rtol=1e-12)
    assert members[0] == pytest.approx(3 * members[1])


def test_sources_are_spread_in_the_order_asked_for() -> None:
    np.testing.assert_array_equal(POOL.spread(["code", "web"]), [[0, 0, 1, 0], [0.75, 0.25, 0, 0]])


def test_a_source_without_member_is_refused() -> None:
    with pytest.raises(ConfigError, match="poems"):
        POOL.spread(["code", "poems"])


def test_a_roster_survives_json() -> None:
    assert Roster.from_json(POOL.as_json()) == POOL


@pytest.mark.parametrize(
    ("members", "told"),
    [
        ((), "no members"),
        ((Member("a", "web", 1, "x"), Member("a", "code", 1, "y")), "more than once: a"),
        ((Member("a", "web", 0, "x"),), "0 tokens"),
    ],
)
def test_impossible_rosters_are_refused(members: tuple[Member, ...], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        Roster("seed", members)
