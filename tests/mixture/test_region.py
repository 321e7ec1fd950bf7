"""Regions: every projection and minimum against the conditions that certify it, draws against the law.

A point x of a convex set minimises a convex f over it exactly when grad f(x) @ (z - x) >= 0 for all z of
the set. `linear_minimum` gives the worst z, so one call certifies a projection; and `linear_minimum`
itself is held against all vertices of small regions and against draws.
"""

import copy
import itertools
import math
import pickle
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cuvee.errors import InfeasibleRegion, MixtureError
from cuvee.mixture import Mixture, Region
from cuvee.mixture.capped_draws import dirichlet_draws
from cuvee.types import FloatArray


@st.composite
def regions(draw: st.DrawFn, ratios: bool = True) -> Region:
    """A region around a random mixture, with bounds and groups that may touch it."""
    size = draw(st.integers(1, 7))
    names = tuple(f"s{index}" for index in range(size))
    weights = draw(st.lists(st.integers(0, 20), min_size=size, max_size=size).filter(any))
    inside = Mixture.normalised(dict(zip(names, map(float, weights), strict=True)))
    closeness = st.sampled_from([0.0, 0.0, 0.3, 0.8, 1.0])
    lower = [share * draw(closeness) for share in inside.shares]
    upper = [1.0 - (1.0 - share) * draw(closeness) for share in inside.shares]
    region = Region(names, np.array(lower), np.array(upper))
    support = list(inside.support)
    while ratios and len(support) > 1 and draw(st.booleans()):
        group = [support.pop() for _ in range(draw(st.integers(1, min(3, len(support)))))]
        region = region.with_ratio({name: 7.0 * inside.share(name) for name in group})
    return region


def vectors(size: int, low: float = -3.0, high: float = 3.0) -> st.SearchStrategy[FloatArray]:
    numbers = st.floats(low, high, allow_subnormal=False)
    return st.lists(numbers, min_size=size, max_size=size).map(
        lambda values: np.array(values, dtype=np.float64)
    )


def assert_inside(region: Region, mixture: Mixture) -> None:
    assert mixture.names == region.names
    assert region.contains(mixture, tolerance=1e-12)
    # Bounds hold to the last bit, unless they meet each other only by rounding.
    assert (mixture.shares >= region.lower * (1 - 4e-16)).all()
    assert (mixture.shares <= region.upper * (1 + 4e-16)).all()


# --- Euclidean projection ---------------------------------------------------------------------------


@given(st.data())
def test_projection_satisfies_the_variational_inequality(data: st.DataObject) -> None:
    region = data.draw(regions())
    point = data.draw(vectors(len(region.names)))
    found = region.project(point)
    assert_inside(region, found)
    gradient = found.shares - point
    worst = region.linear_minimum(gradient)
    assert gradient @ (worst.shares - found.shares) >= -1e-13
    for other in region.sample(5, np.random.default_rng(0)):
        assert gradient @ (other.shares - found.shares) >= -1e-13


@given(st.data())
def test_projection_is_idempotent_and_leaves_the_region_alone(data: st.DataObject) -> None:
    region = data.draw(regions())
    found = region.project(data.draw(vectors(len(region.names))))
    np.testing.assert_allclose(region.project(found.shares).shares, found.shares, atol=1e-15)


@given(st.data())
def test_projection_is_non_expansive(data: st.DataObject) -> None:
    region = data.draw(regions())
    size = len(region.names)
    one, two = data.draw(vectors(size)), data.draw(vectors(size))
    moved = np.linalg.norm(region.project(one).shares - region.project(two).shares)
    assert moved <= np.linalg.norm(one - two) + 1e-14


@given(st.data())
def test_projection_stays_inside_for_points_of_any_size(data: st.DataObject) -> None:
    region = data.draw(regions())
    point = data.draw(vectors(len(region.names), -1e30, 1e30))
    assert_inside(region, region.project(point))


def test_projections_with_known_answers() -> None:
    simplex = Region.simplex(["a", "b", "c"])
    np.testing.assert_array_equal(simplex.project(np.array([9.0, 0.0, 0.0])).shares, [1.0, 0.0, 0.0])
    np.testing.assert_allclose(simplex.project(np.array([0.7, 0.7, 0.0])).shares, [0.5, 0.5, 0.0])
    np.testing.assert_allclose(simplex.project(np.array([1.0, 1.0, 1.0]) * 1e9).shares, [1 / 3] * 3)
    np.testing.assert_allclose(
        simplex.project(np.array([0.8, 0.5, 0.2])).shares, [0.8 - 1 / 6, 1 / 3, 1 / 30]
    )
    capped = Region.bounded(["a", "b", "c"], minimum={"c": 0.1}, maximum={"a": 0.5})
    np.testing.assert_allclose(capped.project(np.array([2.0, 0.3, 0.0])).shares, [0.5, 0.4, 0.1])


def test_a_small_difference_far_from_the_origin_is_kept() -> None:
    point = np.array([1e6 + 0.25, 1e6, -1e12])
    np.testing.assert_array_equal(Region.simplex(["a", "b", "c"]).project(point).shares, [0.625, 0.375, 0.0])


def test_projection_with_a_ratio_is_exact_in_the_original_coordinates() -> None:
    # w = (2v/3, v/3, 1 - v). To (1, 0, 0): d/dv [(2v/3 - 1)^2 + (v/3)^2 + (1 - v)^2] = 0
    # =>  v (4/9 + 1/9 + 1) = 2/3 + 1  =>  v = 15/14, beyond the end v = 1.
    region = Region.simplex(["a", "b", "c"]).with_ratio({"a": 2, "b": 1})
    np.testing.assert_allclose(region.project(np.array([1.0, 0.0, 0.0])).shares, [2 / 3, 1 / 3, 0.0])
    # To (0.5, 0, 0.5): v (14/9) = 1/3 + 1/2  =>  v = 15/28.
    v = 15 / 28
    np.testing.assert_allclose(region.project(np.array([0.5, 0.0, 0.5])).shares, [2 * v / 3, v / 3, 1 - v])


# --- KL projection ----------------------------------------------------------------------------------


@given(st.data())
def test_kl_projection_satisfies_its_optimality_condition(data: st.DataObject) -> None:
    region = data.draw(regions())
    weights = np.exp(data.draw(vectors(len(region.names), -20.0, 20.0)))
    found = region.kl_project(weights)
    assert_inside(region, found)
    shares = found.shares
    used = shares > 0.0
    assert (region.upper[~used] == 0.0).all()  # the entropy keeps off zero
    gradient = np.zeros_like(shares)
    gradient[used] = np.log(shares[used] / weights[used])
    worst = region.linear_minimum(gradient)
    assert gradient @ (worst.shares - shares) >= -1e-12


@given(st.data())
def test_kl_projection_ignores_scale_and_leaves_the_region_alone(data: st.DataObject) -> None:
    region = data.draw(regions())
    weights = np.exp(data.draw(vectors(len(region.names))))
    found = region.kl_project(weights)
    np.testing.assert_allclose(region.kl_project(weights * 1e-200).shares, found.shares, rtol=1e-10)
    np.testing.assert_allclose(region.kl_project(found.shares).shares, found.shares, rtol=1e-10, atol=1e-300)


def test_kl_projections_with_known_answers() -> None:
    simplex = Region.simplex(["a", "b", "c"])
    np.testing.assert_allclose(simplex.kl_project(np.array([1.0, 2.0, 5.0])).shares, [0.125, 0.25, 0.625])
    capped = Region.bounded(["a", "b", "c"], maximum={"c": 0.4})
    np.testing.assert_allclose(capped.kl_project(np.array([1.0, 2.0, 5.0])).shares, [0.2, 0.4, 0.4])
    # A group counts as its weighted geometric mean: sqrt(1 * 4) / 0.5 = 4 against 2.
    paired = simplex.with_ratio({"a": 1, "b": 1})
    np.testing.assert_allclose(paired.kl_project(np.array([1.0, 4.0, 2.0])).shares, [1 / 3, 1 / 3, 1 / 3])


def test_a_kl_weight_of_zero_stays_at_the_lower_bound() -> None:
    region = Region.bounded(["a", "b", "c"], minimum={"a": 0.1}, maximum={"c": 0.5})
    assert region.kl_project(np.array([0.0, 1.0, 2.0])).as_dict() == pytest.approx(
        {"a": 0.1, "b": 0.4, "c": 0.5}
    )
    with pytest.raises(MixtureError, match=r"with weight zero for a, b, the region reaches only 0\.6 of 1"):
        region.kl_project(np.array([0.0, 0.0, 2.0]))


# --- linear minimum ---------------------------------------------------------------------------------


@given(st.data())
def test_linear_minimum_is_the_best_vertex(data: st.DataObject) -> None:
    region = data.draw(regions(ratios=False))
    cost = data.draw(vectors(len(region.names)))
    found = region.linear_minimum(cost)
    assert_inside(region, found)
    size, best = len(region.names), math.inf
    for left in range(size):  # a vertex has all coordinates but one at a bound
        others = [index for index in range(size) if index != left]
        for choice in itertools.product(*[(region.lower[i], region.upper[i]) for i in others]):
            rest = 1.0 - math.fsum(choice)
            if region.lower[left] - 1e-12 <= rest <= region.upper[left] + 1e-12:
                best = min(best, float(cost[others] @ np.array(choice) + cost[left] * rest))
    assert cost @ found.shares == pytest.approx(best, abs=1e-10)


@given(st.data())
def test_linear_minimum_beats_samples(data: st.DataObject) -> None:
    region = data.draw(regions())
    cost = data.draw(vectors(len(region.names)))
    least = cost @ region.linear_minimum(cost).shares
    for other in region.sample(20, np.random.default_rng(1)):
        assert least <= cost @ other.shares + 1e-12


def test_linear_minimum_of_a_group_and_of_ties() -> None:
    region = Region.simplex(["a", "b", "c"]).with_ratio({"a": 1, "c": 1})
    assert region.linear_minimum(np.array([-3.0, 0.0, 2.0])).as_dict() == {"a": 0.5, "b": 0.0, "c": 0.5}
    assert region.linear_minimum(np.array([-3.0, 0.0, 4.0])).as_dict() == {"a": 0.0, "b": 1.0, "c": 0.0}
    assert Region.simplex(["a", "b"]).linear_minimum(np.ones(2)).as_dict() == {"a": 1.0, "b": 0.0}


# --- draws ------------------------------------------------------------------------------------------


@given(regions(), st.booleans(), st.integers(0, 100))
def test_samples_lie_inside_and_follow_the_seed(region: Region, cut: bool, seed: int) -> None:
    alpha = np.full(len(region.names), 0.3) if cut else None
    drawn = region.sample(8, np.random.default_rng(seed), alpha)
    assert len(drawn) == 8
    for mixture in drawn:
        assert_inside(region, mixture)
    assert drawn == region.sample(8, np.random.default_rng(seed), alpha)


def test_uniform_samples_have_the_moments_of_the_simplex() -> None:
    shares = np.array([m.shares for m in Region.simplex(list("abcd")).sample(4000, np.random.default_rng(0))])
    np.testing.assert_allclose(shares.mean(axis=0), 0.25, atol=0.01)
    np.testing.assert_allclose(shares.var(axis=0), 3 / 80, rtol=0.1)  # Dirichlet(1, 1, 1, 1)


def test_uniform_samples_under_tight_caps_are_uniform() -> None:
    """The gaps below equal caps of 1/11 are uniform on a simplex of sum 12/11 - 1: a law known exactly."""
    size, cap = 12, 1 / 11
    names = [f"s{index}" for index in range(size)]
    region = Region.bounded(names, maximum=dict.fromkeys(names, cap))
    shares = np.array([m.shares for m in region.sample(3000, np.random.default_rng(0))])
    gaps = (cap - shares) / (size * cap - 1.0)
    np.testing.assert_allclose(gaps.mean(axis=0), 1 / size, atol=0.006)
    expected = (size - 1) / (size**2 * (size + 1))
    np.testing.assert_allclose(gaps.var(axis=0).mean(), expected, rtol=0.05)
    # A coordinate is Beta(1, 11): its distribution function at x is 1 - (1 - x)^11.
    for x in (0.02, 0.1, 0.25):
        assert (gaps < x).mean() == pytest.approx(1 - (1 - x) ** (size - 1), abs=0.01)


@pytest.mark.parametrize("concentration", [0.2, 0.7, 1.5])
def test_the_sampler_under_tight_bounds_agrees_with_rejection(concentration: float) -> None:
    """Where hardly a draw falls inside, the law is that of the few that do."""
    names = list("abcde")
    alpha = concentration * np.array([1.0, 2.0, 1.0, 0.5, 0.5])
    lower = np.array([0.0, 0.0, 0.0, 0.3, 0.25])
    region = Region.bounded(names, minimum={"d": 0.3, "e": 0.25}, maximum={"b": 0.2})
    rng = np.random.default_rng(0)
    draws = rng.dirichlet(alpha, 400_000)
    kept = draws[(draws >= lower).all(axis=1) & (draws[:, 1] <= 0.2)]
    assert 300 < len(kept) < 3000  # so that 64 rounds of rejection leave most rows to the sampler
    shares = np.array([m.shares for m in region.sample(3000, rng, alpha)])
    error = kept.std(axis=0) * math.sqrt(1 / len(kept) + 1 / len(shares))
    assert (np.abs(shares.mean(axis=0) - kept.mean(axis=0)) < 4.5 * error).all()
    for index in range(5):
        middle = np.median(kept[:, index])
        spread = 0.5 * math.sqrt(1 / len(kept) + 1 / len(shares))
        assert abs((shares[:, index] <= middle).mean() - 0.5) < 4.5 * spread


def test_a_source_of_parameter_zero_stays_at_its_lower_bound() -> None:
    region = Region.bounded(["a", "b", "c"], minimum={"a": 0.2}, maximum={"b": 0.3})
    for mixture in region.sample(50, np.random.default_rng(0), np.array([0.0, 1.0, 1.0])):
        assert mixture.share("a") == pytest.approx(0.2)
        assert_inside(region, mixture)
    with pytest.raises(MixtureError, match=r"with alpha zero for a, c, the region reaches only 0\.5 of 1"):
        region.sample(1, np.random.default_rng(0), np.array([0.0, 1.0, 0.0]))


def test_vanishing_parameters_give_corners_and_no_warning() -> None:
    region = Region.bounded(["a", "b", "c"], maximum={"a": 0.6})
    for mixture in region.sample(50, np.random.default_rng(0), np.full(3, 1e-9)):
        assert_inside(region, mixture)
    bounds = Region.bounded(list("abcdef"), maximum=dict.fromkeys("abcdef", 0.3)).totals
    points = dirichlet_draws(bounds, np.full((50, 6), 1e-6), np.random.default_rng(0))
    assert np.isfinite(points).all()
    np.testing.assert_allclose(points.sum(axis=1), 1.0)


# --- conditions -------------------------------------------------------------------------------------


def test_epoch_caps_bound_the_shares() -> None:
    region = Region.simplex(["a", "b", "c"])
    available = {"a": 100, "b": 1000, "c": 10_000}
    capped = region.with_epoch_caps(available, total_tokens=4000, max_epochs=4.0)
    np.testing.assert_allclose(capped.upper, [0.1, 1.0, 1.0])
    best = capped.linear_minimum(np.array([0.0, 1.0, 2.0]))
    assert best.epochs(4000, available)["a"] == pytest.approx(4.0)
    single = region.with_epoch_caps(available, 4000, {"b": 1.0})
    np.testing.assert_allclose(single.upper, [1.0, 0.25, 1.0])
    assert region.with_epoch_caps({"a": 0, "b": 1, "c": 1}, 4000, math.inf) == region
    # Caps only tighten.
    assert single.with_epoch_caps(available, 4000, {"b": 2.0}) == single


def test_fixed_ratios_hold() -> None:
    region = Region.bounded(list("abcd"), maximum={"a": 0.2}).with_ratio({"a": 2, "b": 1})
    assert region.totals.upper.tolist() == pytest.approx([0.3, 1.0, 1.0])
    for mixture in region.sample(20, np.random.default_rng(0)):
        assert mixture.share("a") == pytest.approx(2 * mixture.share("b"), rel=1e-12)
    assert not region.contains(Mixture.of({"a": 0.1, "b": 0.1, "c": 0.4, "d": 0.4}))
    assert region.contains(Mixture.of({"d": 0.4, "b": 0.1, "a": 0.2, "c": 0.3}))


def test_contains_looks_at_names_bounds_and_tolerance() -> None:
    region = Region.bounded(["a", "b"], maximum={"a": 0.5})
    assert region.contains(Mixture.of({"z": 0.0, "b": 1.0}))
    assert not region.contains(Mixture.of({"z": 0.1, "b": 0.9}))
    slightly = Mixture.of({"a": 0.50001, "b": 0.49999})
    assert not region.contains(slightly)
    assert region.contains(slightly, tolerance=1e-4)


def test_bounds_that_meet_only_by_rounding_are_one_point() -> None:
    names = [f"s{index}" for index in range(10)]
    region = Region.bounded(names, maximum=dict.fromkeys(names, 0.1))
    assert math.fsum([0.1] * 10) == 1.0
    below = Region.bounded(names, maximum=dict.fromkeys(names, 0.1 - 1e-11))
    for one in (region, below):
        for mixture in (
            one.project(np.arange(10.0)),
            one.kl_project(np.arange(1.0, 11.0)),
            *one.sample(3, np.random.default_rng(0)),
        ):
            np.testing.assert_allclose(mixture.shares, 0.1, atol=1e-10)
            assert one.contains(mixture)
    fixed = Region.bounded(["a", "b", "c"], minimum={"a": 0.1, "b": 0.2}, maximum={"a": 0.1, "b": 0.2})
    assert fixed.with_ratio({"a": 1, "b": 2}).project(np.zeros(3)).as_dict() == pytest.approx(
        {"a": 0.1, "b": 0.2, "c": 0.7}
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: Region.bounded(["a", "b"], maximum={"a": 0.1, "b": 0.2}),
            "sources a (max 0.1), b (max 0.2) reach only 0.3 of 1",
        ),
        (
            lambda: Region.bounded(["a", "b", "c"], minimum={"a": 0.6, "b": 0.7}),
            "sources a (min 0.6), b (min 0.7) need 1.3, more than 1",
        ),
        (
            lambda: Region.bounded(["a", "b"], minimum={"a": 0.6}, maximum={"a": 0.5}),
            "source a: minimum 0.6 is above its maximum 0.5",
        ),
        (
            lambda: Region.bounded(["a", "b", "c"], minimum={"b": 0.2}, maximum={"a": 0.1}).with_ratio(
                {"a": 2, "b": 1}
            ),
            "sources a+b in ratio 2:1: the minima need 0.6 in total, the maxima allow 0.15",
        ),
        (
            lambda: Region.bounded(["a", "b", "c"], maximum={"a": 0.1, "c": 0.5}).with_ratio(
                {"a": 1, "b": 3}
            ),
            "sources a+b in ratio 1:3 (max 0.4), c (max 0.5) reach only 0.9 of 1",
        ),
        (
            lambda: Region.simplex(["a", "b"]).with_epoch_caps({"a": 100, "b": 200}, 1000, 1.0),
            "under the epoch caps for 1000 tokens: sources a (max 0.1), b (max 0.2) reach only 0.3 of 1;"
            " train on fewer tokens or allow more epochs",
        ),
    ],
)
def test_conflicts_are_told_with_names_and_numbers(make: Callable[[], Region], message: str) -> None:
    with pytest.raises(InfeasibleRegion) as caught:
        make()
    assert str(caught.value) == message


def test_a_long_conflict_is_told_shortly() -> None:
    names = [f"s{index}" for index in range(30)]
    with pytest.raises(InfeasibleRegion, match=r"s11 \(max 0\.01\) and 18 more reach only 0\.3 of 1"):
        Region.bounded(names, maximum=dict.fromkeys(names, 0.01))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Region.bounded(["a"], maximum={"b": 0.5}), "maximum: unknown source b; known are a"),
        (lambda: Region.bounded(["a"], minimum={"b": 0.5}), "minimum: unknown source b"),
        (lambda: Region.bounded(["a"], minimum={"a": -0.5}), "source a: minimum share -0.5"),
        (lambda: Region.bounded(["a"], maximum={"a": 30}), "say 0.3 for 30 percent"),
        (lambda: Region.bounded(["a"], minimum={"a": 20}), "say 0.2 for 20 percent"),
        (lambda: Region.bounded(["a"], maximum={"a": 300}), "a share is from 0 to 1"),
        (lambda: Region.bounded(["a"], maximum={"a": math.nan}), "source a: maximum share nan"),
        (lambda: Region(("a",), np.zeros(2), np.ones(1)), "1 sources need 1 minimum shares; got shape (2,)"),
        (lambda: Region.simplex(["a", "a"]), "must be unique"),
        (lambda: Region.simplex(["a"]).with_ratio({"b": 1}), "a fixed ratio: unknown source b"),
        (lambda: Region.simplex(["a"]).with_ratio({}), "a fixed ratio needs at least one source"),
        (lambda: Region.simplex(["a"]).with_ratio({"a": 0}), "source a: ratio weight 0 must be positive"),
        (
            lambda: Region.simplex(["a", "b", "c"]).with_ratio({"a": 1, "b": 1}).with_ratio({"b": 1, "c": 1}),
            "source b is in two fixed ratios",
        ),
        (lambda: Region.simplex(["a"]).with_epoch_caps({}, 10, 1.0), "available tokens: unknown source a"),
        (lambda: Region.simplex(["a"]).with_epoch_caps({"a": 1}, 0, 1.0), "total_tokens is 0"),
        (lambda: Region.simplex(["a"]).with_epoch_caps({"a": 1}, 10, -1.0), "-1.0 epochs of 1 tokens"),
        (lambda: Region.simplex(["a"]).with_epoch_caps({"a": 1}, 10, {"b": 1.0}), "max_epochs: unknown"),
        (lambda: Region.simplex(["a"]).project(np.zeros(2)), "point must be 1 finite numbers"),
        (lambda: Region.simplex(["a"]).project(np.array([math.nan])), "point must be 1 finite numbers"),
        (lambda: Region.simplex(["a", "b"]).project(np.array([1.7e308, -1.7e308])), "less its largest value"),
        (lambda: Region.simplex(["a"]).linear_minimum(np.array([math.inf])), "cost must be"),
        (lambda: Region.simplex(["a", "b"]).kl_project(np.array([1.0, -1.0])), "weight of 'b' is negative"),
        (lambda: Region.simplex(["a"]).sample(-1, np.random.default_rng(0)), "cannot sample -1"),
        (
            lambda: Region.simplex(["a"]).sample(2, np.random.default_rng(0), np.ones(3)),
            "alpha has shape (3,)",
        ),
        (
            lambda: Region.simplex(["a"]).sample(2, np.random.default_rng(0), -np.ones(1)),
            "alpha must be finite",
        ),
        (
            lambda: Region.simplex(["a", "b"]).sample(2, np.random.default_rng(0), np.eye(2)),
            "alpha must be positive for the same sources in every row",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(MixtureError) as caught:
        make()
    assert message in str(caught.value)
    assert not isinstance(caught.value, InfeasibleRegion)


# --- as a value -------------------------------------------------------------------------------------


@given(regions())
def test_regions_are_values(region: Region) -> None:
    for other in (pickle.loads(pickle.dumps(region)), copy.deepcopy(region)):
        assert other == region
        assert hash(other) == hash(region)
        point = np.linspace(-1.0, 1.0, len(region.names))
        assert other.project(point) == region.project(point)
        assert not other.lower.flags.writeable
        assert not other.totals.upper.flags.writeable


@given(regions(), regions())
def test_different_regions_differ(one: Region, two: Region) -> None:
    assume(one.names != two.names or one.lower.tolist() != two.lower.tolist())
    assert one != two


def test_ratios_are_copied_and_read_only() -> None:
    weights = {"a": 1.0, "b": 2.0}
    region = Region.simplex(["a", "b", "c"]).with_ratio(weights)
    weights["a"] = 5.0
    assert dict(region.ratios[0]) == {"a": 1.0, "b": 2.0}
    with pytest.raises(TypeError):
        region.ratios[0]["a"] = 5.0  # type: ignore[index]
