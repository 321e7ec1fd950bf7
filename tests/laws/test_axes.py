"""Axes that no run has moved along: laws of scale stay where their runs are, and say what they hold back."""

import math

import numpy as np
import pytest

from cuvee.laws.axes import SPANNED, Axes, held_like
from cuvee.laws.effective_data_scaling import EffectiveDataScaling
from cuvee.laws.extrapolation import Extrapolation
from cuvee.laws.interface import LawData, Scale
from cuvee.laws.registry import law_named
from cuvee.types import FloatArray
from tests.laws.samples import SOURCES, mixtures, runs

OF_SCALE = ("effective_data_scaling", "additive_scaling", "joint_scaling", "capacity_allocation", "bimix")
ASKED = 0.02 + 0.92 * mixtures(7, 77)
HERE, FAR = Scale(2e7, 1.05e9), Scale(2e7, 25e9)


def sized(params: FloatArray, tokens: FloatArray) -> LawData:
    """Forty runs whose losses fall with parameters and with tokens, where these differ."""
    data = runs(len(params), noise=0.003)
    fall = 0.4 * (params / 1e7) ** -0.3 + 0.3 * (tokens / 1e9) ** -0.4
    return LawData(
        SOURCES, data.metrics, data.shares, data.costs + fall[:, None], Scale(params, tokens), data.own
    )


def of_one_length(jitter: float = 1.0) -> LawData:
    """All of 1.05B tokens, or nearly."""
    rng = np.random.default_rng(5)
    return sized(10.0 ** rng.uniform(6, 8, 40), 1.05e9 * jitter ** rng.uniform(0, 1, 40))


@pytest.mark.parametrize("name", OF_SCALE)
@pytest.mark.parametrize("jitter", [1.0, 1.02])
def test_shares_count_at_more_tokens_as_they_do_where_all_runs_are(name: str, jitter: float) -> None:
    law = law_named(name).fit(of_one_length(jitter))
    np.testing.assert_allclose(law.predict(ASKED, FAR), law.predict(ASKED, HERE), rtol=1e-12)
    np.testing.assert_allclose(law.gradient(ASKED, FAR), law.gradient(ASKED, HERE), rtol=1e-12)


@pytest.mark.parametrize("name", OF_SCALE[:4])
def test_the_same_of_parameters(name: str) -> None:
    tokens = 10.0 ** np.random.default_rng(5).uniform(8, 10, 40)
    law = law_named(name).fit(sized(np.full(40, 3e7), tokens))
    here, far = (law.predict(ASKED, Scale(params, 2e9)) for params in (3e7, 1e9))
    np.testing.assert_allclose(far, here, rtol=1e-12)
    assert np.abs(law.predict(ASKED, Scale(3e7, 9e9)) - here).min() > 1e-3


@pytest.mark.parametrize("name", OF_SCALE[:4])
def test_what_is_held_back_stands_in_the_deviation(name: str) -> None:
    law = law_named(name).fit(of_one_length())
    moving = held_like(
        law, law_named(name).fit(sized(np.geomspace(1e6, 1e8, 40), np.geomspace(1e10, 1e8, 40)))
    )
    move = np.abs(moving.predict(ASKED, FAR) - moving.predict(ASKED, HERE))
    assert move.max() > 1e-3
    found = np.hypot(law.deviation(ASKED, HERE), move)
    np.testing.assert_allclose(law.deviation(ASKED, FAR), found, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", OF_SCALE)
def test_a_law_whose_runs_span_both_axes_moves(name: str) -> None:
    rng = np.random.default_rng(5)
    law = law_named(name).fit(sized(10.0 ** rng.uniform(6, 8, 40), 10.0 ** rng.uniform(8, 10, 40)))
    fall = law.predict(ASKED, Scale(2e7, 1e9)) - law.predict(ASKED, Scale(2e7, 4e9))
    true = 0.3 * (1 - 4**-0.4)
    assert np.median(fall) == pytest.approx(true, rel=0.5)


@pytest.mark.parametrize("name", OF_SCALE[:4])
def test_the_file_says_where_a_law_is_held(name: str) -> None:
    for data, held in ((of_one_length(), True), (sized(*np.geomspace((1e6, 1e8), (1e8, 1e10), 40).T), False)):
        formula = law_named(name).fit(data).as_json()["formula"]
        assert ("D = 1050000000, as in all runs" in formula) == held


def test_axes_of_runs() -> None:
    nan = math.nan
    rounded = Axes.of(Scale(np.array([1e6, 2e6]), np.array([1e9, 1.01e9])))
    assert math.isnan(rounded.params) and rounded.tokens == pytest.approx(math.sqrt(1.01) * 1e9)
    assert Axes.of(Scale(3e6, np.array([1e9, 1e9]))).in_words == "3M parameters and 1B tokens"
    assert not Axes.of(Scale(np.array([1e6, 2e6]), np.array([1e9, 2e9]))).any
    assert not Axes.of(Scale(nan, np.array([nan, 1e9]))).any
    assert not SPANNED.beyond(FAR) and not Axes(tokens=1.05e9).beyond(Scale(1.0, 1.06e9))
    assert Axes(tokens=1.05e9).beyond(FAR) and not Axes(params=1e6).beyond(Scale(tokens=1e9))


def test_sources_are_repeated_as_often_as_in_the_run_that_is_asked_for() -> None:
    held = Axes(tokens=1e9).held(Scale(1e7, np.array([1e9, 4e9]), np.array([2e9, 8e9])))
    assert held.tokens == 1e9 and held.unique is not None
    np.testing.assert_allclose(held.unique, [[2e9, 8e9], [0.5e9, 2e9]])
    law = EffectiveDataScaling().fit(of_one_length())
    scarce, ample = (law.predict([[1.0, 0, 0, 0]], Scale(2e7, 25e9, np.full(4, u))) for u in (25e7, 25e9))
    assert (scarce >= ample).all() and scarce[0, 0] > ample[0, 0] + 1e-3
    np.testing.assert_allclose(scarce, law.predict([[1.0, 0, 0, 0]], Scale(2e7, 1.05e9, np.full(4, 1.05e7))))


def test_intervals_beyond_an_axis_that_is_not_spanned_are_wide() -> None:
    sizes = np.tile([1e6, 1e7, 1e8], 20)
    believed = Extrapolation.of(EffectiveDataScaling(), sized(sizes, np.full(60, 1e9)))
    near, far = (believed.half_width(ASKED, Scale(1e8, tokens), 0.8) for tokens in (1e9, 25e9))
    assert (far > 1.5 * near).all()


@pytest.mark.parametrize("name", OF_SCALE[:4])
def test_runs_of_one_scale_need_no_other_to_be_asked(name: str) -> None:
    law = law_named(name).fit(sized(np.full(40, 1e7), np.full(40, 1e9)))
    np.testing.assert_array_equal(law.predict(ASKED), law.predict(ASKED, Scale(1e7, 1e9)))
