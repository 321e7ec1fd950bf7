"""Mixtures that need no law."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cuvee.errors import ConfigError
from cuvee.laws.interface import LawData, Scale
from cuvee.mixture.region import Region
from cuvee.search import baselines, proportional, unimax, utilimax, utilities_of

NAMES = ("a", "b", "c")


@given(
    tokens=st.lists(st.integers(1, 10**12), min_size=1, max_size=9),
    part=st.floats(0.01, 1.0),
    epochs=st.floats(0.5, 8.0),
)
def test_unimax_is_uniform_under_a_cap(tokens: list[int], part: float, epochs: float) -> None:
    names = tuple(f"s{i}" for i in range(len(tokens)))
    target = part * epochs * sum(tokens)
    shares = unimax(names, dict(zip(names, tokens, strict=True)), target, epochs).shares
    caps = epochs * np.array(tokens) / target
    assert (shares <= caps * (1 + 1e-9)).all()
    below = shares < caps * (1 - 1e-9)
    assert np.ptp(shares[below]) < 1e-9 if below.any() else True
    assert shares[~below].max(initial=0.0) <= shares[below].min(initial=1.0) + 1e-9


def test_unimax_worked_by_hand() -> None:
    # Caps .1, .3 and 2.0: the first two are filled, the rest goes to the third.
    mixture = unimax(NAMES, {"a": 5, "b": 15, "c": 100}, target_tokens=200, max_epochs=4.0)
    assert mixture.shares == pytest.approx([0.1, 0.3, 0.6])


def test_unimax_of_too_little_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"fewer than the 10\.0k"):
        unimax(NAMES, dict.fromkeys(NAMES, 10), 1e4)


def test_proportional_needs_every_count() -> None:
    with pytest.raises(ConfigError, match="'c' are unknown"):
        proportional(NAMES, {"a": 1, "b": 2})


def test_baselines_tell_what_is_not_allowed() -> None:
    region = Region.bounded(NAMES, maximum={"c": 0.2})
    found = {one.name: one for one in baselines(region, {"a": 1, "b": 1, "c": 8}, 10.0)}
    assert set(found) == {"proportional", "uniform", "unimax"}
    assert "outside" in found["proportional"].note
    assert found["proportional"].mixture.shares.tolist() == [0.1, 0.1, 0.8]
    assert {one.name for one in baselines(region)} == {"uniform"}


def test_utilimax_of_equal_sources_is_uniform_and_under_caps_unimax() -> None:
    utilities = np.full((3, 4), 0.5)
    assert utilimax(utilities, Region.simplex(NAMES)).shares == pytest.approx(np.full(3, 1 / 3), abs=1e-4)
    capped = Region.bounded(NAMES, maximum={"a": 0.1})
    assert utilimax(utilities, capped).shares == pytest.approx([0.1, 0.45, 0.45], abs=1e-4)


def test_utilimax_of_two_sources_has_its_closed_form() -> None:
    # w = (x, 1 - x): a search along one line.
    shares = utilimax(np.array([[1.0, 0.0], [0.0, 0.4]]), Region.simplex(("a", "b"))).shares
    x = np.linspace(0.0, 1.0, 100001)
    value = np.hypot(x - 1.0, 0.4 * (1.0 - x) - 1.0) + 2.0 * (x**2 + (1.0 - x) ** 2)
    assert shares[0] == pytest.approx(x[value.argmin()], abs=1e-3)


def test_utilities_come_from_runs_on_single_sources() -> None:
    shares = np.vstack([np.eye(3), np.full((1, 3), 1 / 3)])
    costs = np.array([[1.0, 5.0], [2.0, 4.0], [3.0, 4.5], [9.0, 9.0]])
    unknown = Scale(np.full(4, np.nan), np.full(4, np.nan))
    data = LawData(NAMES, ("x", "y"), shares, costs, unknown, np.full(2, -1))
    found = utilities_of(data)
    assert found is not None
    assert found.tolist() == [[1.0, 0.0], [0.5, 1.0], [0.0, 0.5]]
    assert utilities_of(data.select(np.array([0, 1, 3]))) is None
