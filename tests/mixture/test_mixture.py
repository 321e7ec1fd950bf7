"""Mixtures as values: what may be one, arithmetic with known answers, and what round trips exactly."""

import copy
import math
import pickle
from collections.abc import Callable
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cuvee.errors import MixtureError
from cuvee.mixture import Mixture

NAMES = ("books", "code", "web", "chat", "law")


@st.composite
def mixtures(draw: st.DrawFn, names: tuple[str, ...] | None = None) -> Mixture:
    if names is None:
        names = tuple(draw(st.lists(st.sampled_from(NAMES), min_size=1, unique=True)))
    positive = st.floats(1e-9, 1e9) | st.just(0.0)
    weights = draw(st.lists(positive, min_size=len(names), max_size=len(names)).filter(any))
    return Mixture.normalised(dict(zip(names, weights, strict=True)))


def test_shares_are_read_only_copies() -> None:
    given_shares = np.array([0.25, 0.75])
    mixture = Mixture(("a", "b"), given_shares)
    given_shares[0] = 9.0
    assert mixture.as_dict() == {"a": 0.25, "b": 0.75}
    with pytest.raises(ValueError, match="read-only"):
        mixture.shares[0] = 0.5


def test_constructors_have_their_closed_forms() -> None:
    assert Mixture.uniform(["a"]).as_dict() == {"a": 1.0}
    assert Mixture.uniform(NAMES).share("law") == 0.2
    assert Mixture.vertex(["a", "b"], "b").as_dict() == {"a": 0.0, "b": 1.0}
    assert Mixture.normalised({"a": 1, "b": 3}) == Mixture.of({"a": 0.25, "b": 0.75})
    assert Mixture.proportional({"a": 100, "b": 300}).share("b") == 0.75


def test_weights_near_the_largest_float_do_not_overflow() -> None:
    assert Mixture.normalised({"a": 1.5e308, "b": 1.5e308}).share("a") == 0.5


def test_known_numbers() -> None:
    mixture = Mixture.of({"a": 0.5, "b": 0.25, "c": 0.25, "d": 0.0})
    assert mixture.support == ("a", "b", "c")
    assert mixture.effective_number == pytest.approx(1 / 0.375)
    assert mixture.entropy == pytest.approx(1.5 * math.log(2))
    assert mixture.without("a").as_dict() == {"b": 0.5, "c": 0.5, "d": 0.0}
    assert mixture.restrict(["c", "a"]).as_dict() == pytest.approx({"c": 1 / 3, "a": 2 / 3})
    assert mixture.scaled("a", 2.0).as_dict() == pytest.approx({"a": 2 / 3, "b": 1 / 6, "c": 1 / 6, "d": 0})
    assert mixture.scaled("a", 0.0).as_dict() == {"a": 0.0, "b": 0.5, "c": 0.5, "d": 0.0}
    assert mixture.total_variation(Mixture.vertex(["a"], "a")) == 0.5
    assert mixture.total_variation(Mixture.vertex(["z"], "z")) == 1.0
    assert mixture.epochs(1000, {"a": 250, "b": 1000, "c": 125}) == {"a": 2.0, "b": 0.25, "c": 2.0, "d": 0.0}
    assert repr(mixture.restrict(["a", "b"])) == "Mixture({'a': 0.6667, 'b': 0.3333})"


def test_combinations_reach_over_the_union_of_sources() -> None:
    a, b = Mixture.vertex(["a"], "a"), Mixture.of({"b": 0.5, "c": 0.5})
    assert Mixture.combine([(0.25, a), (0.75, b)]).as_dict() == {"a": 0.25, "b": 0.375, "c": 0.375}
    assert a.blend(b, 0.0).as_dict() == {"a": 1.0, "b": 0.0, "c": 0.0}
    assert a.blend(b, 0.5).as_dict() == {"a": 0.5, "b": 0.25, "c": 0.25}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Mixture.of({"a": 0.5, "b": 0.4}), "shares sum to 0.9, not to 1; use Mixture.normalised"),
        (lambda: Mixture.of({"a": 1.5, "b": -0.5}), "share of 'b' is -0.5"),
        (lambda: Mixture.of({"a": math.nan, "b": 1.0}), "share of 'a' is nan"),
        (lambda: Mixture.normalised({"a": math.inf}), "weight of 'a' is inf"),
        (lambda: Mixture.normalised({"a": 0.0, "b": 0.0}), "all weights are zero ('a', 'b')"),
        (lambda: Mixture.of({}), "at least one source"),
        (lambda: Mixture.uniform("abc"), "not the one string 'abc'"),
        (lambda: Mixture.uniform(["a", "b", "a"]), "must be unique; repeated: 'a'"),
        (lambda: Mixture.uniform(["a", ""]), "source name 2 is ''"),
        (lambda: Mixture(("a", "b"), np.array([1.0])), "2 sources need 2 shares; got shape (1,)"),
        (lambda: Mixture.vertex(["a", "b"], "c"), "unknown source 'c'; known are 'a', 'b'"),
        (lambda: Mixture.uniform(["a"]).share("b"), "unknown source 'b'"),
        (lambda: Mixture.uniform(["a"]).without("a"), "at least one source"),
        (lambda: Mixture.of({"a": 0.0, "b": 1.0}).restrict(["a"]), "all weights are zero ('a')"),
        (lambda: Mixture.vertex(["a"], "a").scaled("a", 0.0), "all weights are zero"),
        (lambda: Mixture.vertex(["a"], "a").scaled("a", -1.0), "factor is -1.0"),
        (lambda: Mixture.uniform(["a", "b"]).reindexed(["a"]), "'b' would be dropped with a positive share"),
        (lambda: Mixture.uniform(["a"]).blend(Mixture.uniform(["b"]), 1.5), "t is 1.5"),
        (lambda: Mixture.combine([]), "at least one"),
        (lambda: Mixture.combine([(0.4, Mixture.uniform(["a"]))]), "coefficients [0.4] must"),
        (lambda: Mixture.uniform(["a"]).epochs(10, {"a": 0}), "source 'a' has share 1 but no tokens"),
        (lambda: Mixture.uniform(["a"]).epochs(10, {"b": 5}), "unknown source 'a'"),
        (lambda: Mixture.uniform(["a"]).epochs(-1, {"a": 5}), "total_tokens is -1"),
    ],
)
def test_what_is_no_mixture_is_refused_with_names_and_numbers(
    make: Callable[[], object], message: str
) -> None:
    with pytest.raises(MixtureError) as caught:
        make()
    assert message in str(caught.value)


@given(mixtures())
def test_a_mixture_sums_to_one_and_normalising_again_changes_no_bit(mixture: Mixture) -> None:
    assert abs(math.fsum(mixture.shares) - 1.0) <= 4.5e-16
    again = Mixture.of(mixture.as_dict())
    assert again == mixture
    assert hash(again) == hash(mixture)
    assert again.shares.tobytes() == mixture.shares.tobytes()


@given(mixtures())
def test_copies_and_pickles_are_equal_and_read_only(mixture: Mixture) -> None:
    for other in (pickle.loads(pickle.dumps(mixture)), copy.deepcopy(mixture)):
        assert other == mixture
        assert not other.shares.flags.writeable


@given(mixtures(), st.randoms(use_true_random=False))
def test_the_key_ignores_order_and_absent_sources(mixture: Mixture, random: Random) -> None:
    names = [*mixture.names, "absent"]
    random.shuffle(names)
    other = mixture.reindexed(names)
    assert other.key == mixture.key
    assert len(mixture.key) == 16
    assert other != mixture  # equality does look at the names
    assert other.total_variation(mixture) == 0.0


def test_the_key_sees_every_bit_and_every_name() -> None:
    mixture = Mixture.of({"a": 0.25, "b": 0.75})
    near = Mixture.of({"a": math.nextafter(0.25, 1.0), "b": 0.75})
    assert len({mixture.key, near.key, Mixture.of({"a": 0.25, "c": 0.75}).key}) == 3
    # The start of the SHA-256 of [["a","0.25"],["b","0.75"]]. It is written in studies and stores.
    assert mixture.key == "4ccdb2501c944e4f"


@given(mixtures(names=NAMES), st.floats(1.0, 1e12), st.lists(st.integers(1, 10**12), min_size=5, max_size=5))
def test_epochs_round_trip(mixture: Mixture, total_tokens: float, counts: list[int]) -> None:
    available = dict(zip(NAMES, counts, strict=True))
    epochs = mixture.epochs(total_tokens, available)
    drawn = sum(epochs[name] * available[name] for name in NAMES)
    assert drawn == pytest.approx(total_tokens)
    back = Mixture.normalised({name: epochs[name] * available[name] for name in NAMES})
    np.testing.assert_allclose(back.shares, mixture.shares, rtol=1e-12)


@given(mixtures(), mixtures(), mixtures(), st.floats(0.0, 1.0))
def test_total_variation_is_a_distance_that_blending_walks_along(
    a: Mixture, b: Mixture, c: Mixture, t: float
) -> None:
    assert a.total_variation(b) == b.total_variation(a)
    assert 0.0 <= a.total_variation(b) <= 1.0 + 1e-12
    assert a.total_variation(c) <= a.total_variation(b) + b.total_variation(c) + 1e-12
    assert a.total_variation(a.blend(b, t)) == pytest.approx(t * a.total_variation(b), abs=1e-12)


@given(mixtures())
def test_effective_number_and_entropy_bound_each_other(mixture: Mixture) -> None:
    count = len(mixture.support)
    assert 1.0 - 1e-12 <= mixture.effective_number <= count + 1e-9
    assert math.log(mixture.effective_number) - 1e-9 <= mixture.entropy <= math.log(count) + 1e-9
