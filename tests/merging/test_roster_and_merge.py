"""A merge as a value: what its constructors weigh, what it refuses, when two are the same."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cuvee.errors import ConfigError, MixtureError
from cuvee.merging.merge import Merge
from cuvee.merging.roster import Member, Roster
from cuvee.mixture.mixture import Mixture
from tests.merging.tiny_pools import roster

POOL = roster(["web", "web", "code", "books"], [300, 100, 200, 400])

shares = st.lists(st.floats(0.01, 1.0), min_size=3, max_size=3)


def test_micro_weighs_by_tokens() -> None:
    np.testing.assert_allclose(Merge.micro(POOL).weights, [0.3, 0.1, 0.2, 0.4])


def test_macro_weighs_sources_equally_and_units_by_tokens() -> None:
    np.testing.assert_allclose(Merge.macro(POOL).weights, [0.25, 1 / 12, 1 / 3, 1 / 3])


def test_macro_is_the_merge_of_the_merges_of_sources() -> None:
    parts = [(1 / 3, Merge.micro(POOL, [source])) for source in POOL.sources]
    combined = Merge.combine(parts)
    np.testing.assert_allclose(combined.weights, Merge.macro(POOL).weights, rtol=1e-14)
    assert combined.scale == pytest.approx(1.0)


def test_subset_and_leave_one_out() -> None:
    np.testing.assert_allclose(Merge.subset(POOL, ["web", "code"]).weights, [0.5, 1 / 6, 1 / 3, 0])
    np.testing.assert_allclose(Merge.leave_one_out(POOL, "books").weights, [0.5, 1 / 6, 1 / 3, 0])


@given(shares)
def test_weighted_stands_for_its_mixture(weights: list[float]) -> None:
    mixture = Mixture.normalised(dict(zip(POOL.sources, weights, strict=True)))
    merge = Merge.weighted(POOL, mixture)
    np.testing.assert_allclose(merge.mixture.shares, mixture.shares, rtol=1e-12)
    assert merge.weights[0] == pytest.approx(3 * merge.weights[1])


def test_weighted_ignores_sources_without_share() -> None:
    mixture = Mixture.of({"poems": 0.0, "code": 1.0})
    np.testing.assert_array_equal(Merge.weighted(POOL, mixture).weights, [0, 0, 1, 0])


def test_weighted_refuses_a_source_without_member() -> None:
    with pytest.raises(ConfigError, match="poems"):
        Merge.weighted(POOL, Mixture.uniform(["code", "poems"]))


@pytest.mark.parametrize(
    ("weights", "scale", "told"),
    [
        ([0.5, 0.5, 0.5, 0.0], 1.0, "sum to 1.5"),
        ([1.5, -0.5, 0.0, 0.0], 1.0, "web/1"),
        ([np.nan, 1.0, 0.0, 0.0], 1.0, "web/0"),
        ([1.0, 0.0, 0.0], 1.0, "4 members"),
        ([1.0, 0.0, 0.0, 0.0], np.inf, "scale"),
    ],
)
def test_impossible_merges_are_refused(weights: list[float], scale: float, told: str) -> None:
    with pytest.raises(MixtureError, match=told):
        Merge(POOL, np.array(weights), scale)


def test_the_key_knows_weights_scale_and_seed_but_not_the_order() -> None:
    merge = Merge.micro(POOL)
    turned = Roster(POOL.seed, POOL.members[::-1], POOL.recipe)
    elsewhere = Roster("another seed", POOL.members, POOL.recipe)
    assert merge.key == Merge(turned, merge.weights[::-1]).key
    assert (
        len({merge.key, Merge.macro(POOL).key, Merge.micro(POOL, scale=0.5).key, Merge.micro(elsewhere).key})
        == 4
    )


def test_members_of_weight_zero_are_no_part_of_the_key() -> None:
    smaller = Roster(POOL.seed, POOL.members[2:3])
    assert Merge.one(POOL, "code/2").key == Merge.one(smaller, "code/2").key


def test_a_merge_stays_as_it_is() -> None:
    merge = pickle.loads(pickle.dumps(Merge.micro(POOL)))
    with pytest.raises(ValueError, match="read-only"):
        merge.weights[0] = 1.0
    assert merge.key == Merge.micro(POOL).key


def test_effective_number_of_equal_parts() -> None:
    assert Merge.micro(roster(["a", "b", "c", "d"])).effective_number == pytest.approx(4)


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
