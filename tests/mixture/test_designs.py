"""Designs: the right mixtures, inside their region, all different, the same for the same seed."""

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cuvee.errors import MixtureError
from cuvee.mixture import Mixture, Region, designs

NAMES = ("a", "b", "c", "d")
BASE = Mixture.of({"a": 0.5, "b": 0.25, "c": 0.25, "d": 0.0})
TIGHT = [f"s{index}" for index in range(12)]

REGIONS = {
    "simplex": Region.simplex(NAMES),
    "edge": Region.simplex(["a", "b"]),
    "bounded": Region.bounded(NAMES, minimum={"a": 0.1}, maximum={"b": 0.3, "c": 0.5}),
    "ratio": Region.bounded(NAMES, maximum={"a": 0.4}).with_ratio({"a": 2, "b": 1}),
    "fixed source": Region.bounded(NAMES, minimum={"a": 0.2}, maximum={"a": 0.2}),
    "tight": Region.bounded(TIGHT, maximum=dict.fromkeys(TIGHT, 0.1)),
}


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def all_designs(seed: int) -> dict[str, list[Mixture]]:
    random = {
        f"{kind} in {name}": design
        for name, region in REGIONS.items()
        for kind, design in {
            "space filling": designs.space_filling(region, 13, seed),
            "dirichlet": designs.dirichlet(region.names, 13, rng=rng(seed), region=region),
        }.items()
    }
    return random | {
        "leave one out": designs.leave_one_out(BASE),
        "doubled": designs.doubled(BASE),
        "all subsets": designs.subsets(NAMES, limit=100, rng=rng(seed)),
        "some subsets": designs.subsets(NAMES, limit=9, rng=rng(seed)),
    }


@pytest.mark.parametrize("seed", [0, 1])
def test_designs_are_different_mixtures_over_the_same_names_and_follow_the_seed(seed: int) -> None:
    again = all_designs(seed)
    for name, design in all_designs(seed).items():
        assert design == again[name], name
        assert len({mixture.key for mixture in design}) == len(design) > 0, name
        assert len({mixture.names for mixture in design}) == 1, name


def test_other_seeds_give_other_random_designs() -> None:
    one, two = all_designs(0), all_designs(1)
    assert all(one[name] != two[name] for name in one if " in " in name or name == "some subsets")


def test_structured_designs_have_their_closed_forms() -> None:
    assert [m.as_dict() for m in designs.leave_one_out(BASE)] == [
        pytest.approx({"a": 0.0, "b": 0.5, "c": 0.5, "d": 0.0}),
        pytest.approx({"a": 2 / 3, "b": 0.0, "c": 1 / 3, "d": 0.0}),
        pytest.approx({"a": 2 / 3, "b": 1 / 3, "c": 0.0, "d": 0.0}),
    ]
    assert [m.share(n) for m, n in zip(designs.doubled(BASE), "abc", strict=True)] == pytest.approx(
        [2 / 3, 0.4, 0.4]
    )


# --- subsets ----------------------------------------------------------------------------------------


@given(st.integers(1, 7), st.sets(st.integers(1, 7), min_size=1))
def test_all_subsets_are_listed_in_order(count: int, sizes: set[int]) -> None:
    names = tuple(f"s{index}" for index in range(count))
    sizes = {size for size in sizes if size <= count} or {1}
    found = [mixture.support for mixture in designs.subsets(names, sizes, limit=200, rng=rng())]
    assert found == [subset for size in sorted(sizes) for subset in itertools.combinations(names, size)]


@given(st.integers(1, 14), st.integers(0, 99))
def test_some_subsets_are_different_ones_of_the_right_size(limit: int, seed: int) -> None:
    found = [m.support for m in designs.subsets(NAMES, [2, 3, 1], limit=limit, rng=rng(seed))]
    assert len(set(found)) == len(found) == min(limit, 14)
    assert {len(subset) for subset in found} <= {1, 2, 3}


def test_subsets_of_many_sources_are_not_enumerated() -> None:
    names = [f"s{index}" for index in range(200)]
    found = designs.subsets(names, limit=50, rng=rng())
    assert len({mixture.key for mixture in found}) == 50
    # A random subset of 200 has about 100 members, with standard deviation 7.
    assert np.mean([len(mixture.support) for mixture in found]) == pytest.approx(100, abs=4)


def test_every_subset_is_equally_probable() -> None:
    random = rng()
    counts: dict[tuple[str, ...], int] = dict.fromkeys(itertools.combinations(NAMES, 2), 0)
    for _ in range(3000):
        for mixture in designs.subsets(NAMES, [2], limit=2, rng=random):
            counts[mixture.support] += 1
    assert sum(counts.values()) == 6000
    for count in counts.values():
        assert count == pytest.approx(1000, abs=4.5 * math.sqrt(3000 / 3 * 2 / 3))


# --- random and spread ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", REGIONS)
def test_random_and_spread_designs_lie_in_their_region(name: str) -> None:
    region = REGIONS[name]
    drawn = designs.dirichlet(region.names, 40, concentration=(0.1, 5.0), rng=rng(), region=region)
    for mixture in [*designs.space_filling(region, 40, 0), *drawn]:
        assert mixture.names == region.names
        assert region.contains(mixture, tolerance=1e-12)


def test_dirichlet_follows_prior_concentration_and_temperature() -> None:
    shares = np.array([m.shares for m in designs.dirichlet(BASE, 3000, concentration=2.0, rng=rng())])
    np.testing.assert_allclose(shares.mean(axis=0), BASE.shares, atol=0.015)
    assert (shares[:, 3] == 0.0).all()
    # alpha sums to 2 * 3 sources: variance p (1 - p) / (6 + 1).
    assert shares[:, 0].var() == pytest.approx(0.25 / 7, rel=0.1)
    flat = np.array([m.shares for m in designs.dirichlet(BASE, 3000, temperature=0.0, rng=rng())])
    np.testing.assert_allclose(flat.mean(axis=0), [1 / 3, 1 / 3, 1 / 3, 0.0], atol=0.02)
    near = designs.dirichlet(BASE, 20, concentration=1e7, rng=rng())
    assert all(mixture.total_variation(BASE) < 1e-2 for mixture in near)


def test_dirichlet_reads_the_prior_over_the_names_of_the_region() -> None:
    region = Region.bounded(["d", "c", "b", "a"], minimum={"d": 0.1})
    for mixture in designs.dirichlet(BASE, 5, rng=rng(), region=region):
        assert mixture.names == region.names
        assert mixture.share("d") == pytest.approx(0.1)


def test_a_space_filling_design_starts_with_the_smaller_ones() -> None:
    assert designs.space_filling(REGIONS["simplex"], 64, 5)[:10] == designs.space_filling(
        REGIONS["simplex"], 10, 5
    )


@pytest.mark.parametrize("name", ["simplex", "bounded", "tight"])
def test_a_space_filling_design_covers_better_than_random(name: str) -> None:
    """The mean distance of the region's points to the nearest of the design, over several seeds."""
    region = REGIONS[name]
    target = np.array([m.shares for m in region.sample(600, rng(99))])

    def distance(design: list[Mixture]) -> float:
        shares = np.array([mixture.shares for mixture in design])
        return float(np.linalg.norm(target[:, None] - shares, axis=2).min(axis=1).mean())

    spread = np.mean([distance(designs.space_filling(region, 24, seed)) for seed in range(6)])
    random = np.mean([distance(region.sample(24, rng(seed))) for seed in range(6)])
    assert spread < random


def test_spread_designs_keep_the_centre_of_the_region() -> None:
    for name in ("simplex", "tight"):
        shares = np.array([m.shares for m in designs.space_filling(REGIONS[name], 64, 0)])
        np.testing.assert_allclose(shares.mean(axis=0), 1 / shares.shape[1], atol=0.02)


# --- refusals ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: designs.leave_one_out(Mixture.vertex(NAMES, "a")), "leave_one_out needs at least two"),
        (lambda: designs.doubled(Mixture.vertex(NAMES, "a")), "doubled needs at least two sources"),
        (lambda: designs.subsets(NAMES, [5], limit=3, rng=rng()), "no subsets of 4 sources with sizes [5]"),
        (lambda: designs.subsets(NAMES, limit=-1, rng=rng()), "limit -1"),
        (lambda: designs.dirichlet(NAMES, 1, concentration=0.0, rng=rng()), "concentration is 0.0"),
        (
            lambda: designs.dirichlet(NAMES, 1, concentration=(2.0, 1.0), rng=rng()),
            "concentration is (2.0, 1.0)",
        ),
        (lambda: designs.dirichlet(NAMES, 1, temperature=-1.0, rng=rng()), "temperature is -1.0"),
        (lambda: designs.dirichlet(NAMES, -1, rng=rng()), "cannot draw -1"),
        (lambda: designs.dirichlet(NAMES, 1, rng=rng(), region=REGIONS["edge"]), "'c', 'd' would be dropped"),
        (lambda: designs.space_filling(REGIONS["edge"], -1, 0), "cannot place -1"),
        (
            lambda: designs.space_filling(Region.simplex(["a"]), 2, 0),
            "the region allows only one mixture, Mixture({'a': 1})",
        ),
    ],
)
def test_refusals_say_why(make: Callable[[], object], message: str) -> None:
    with pytest.raises(MixtureError) as caught:
        make()
    assert message in str(caught.value)


def test_nothing_asked_gives_nothing_and_one_point_is_found() -> None:
    assert designs.space_filling(REGIONS["tight"], 0, 0) == []
    assert designs.dirichlet(NAMES, 0, rng=rng()) == []
    assert designs.subsets(NAMES, limit=0, rng=rng()) == []
    assert designs.space_filling(Region.simplex(["a"]), 1, 0) == [Mixture.uniform(["a"])]
