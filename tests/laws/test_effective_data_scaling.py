"""The effective-data law at every scale: its shape, its derivatives, and what it says of scarce sources."""

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cuvee.laws.amounts import DECAY
from cuvee.laws.effective_data_scaling import EffectiveDataScaling, EffectiveDataScalingFormula
from cuvee.laws.formula import FittedFormula
from cuvee.laws.interface import LawData, Scale
from cuvee.mixture.region import Region
from cuvee.search import Objective, minimise
from cuvee.types import FloatArray
from tests.laws.samples import mixtures

NAMES = ("a", "b", "c")
TOKENS = 1e10
SCARCE = np.array([3e8, 2e9, math.nan])
ASKED = np.r_[0.02 + 0.94 * mixtures(6, 4, 3), [[0.03, 0.2, 0.77]]]  # the last row: one epoch of both


def law_of(theta: FloatArray) -> FittedFormula:
    """A law of one metric, in units in which nothing is rescaled."""
    one = np.ones(1)
    formula = EffectiveDataScalingFormula(1e8, TOKENS)
    return FittedFormula(formula, NAMES, ("loss",), theta[None], 0.0 * one, one, one)


def some_theta(seed: int) -> FloatArray:
    rng = np.random.default_rng(seed)
    single = np.array([1.0, -2.0, 0.0, -0.5, -1.2, -3.0, math.log(DECAY)]) + 0.3 * rng.normal(size=7)
    per_source = rng.normal([[-1.0], [0.0], [0.0]], [[1.0], [1.5], [0.1]], (3, 3))
    result: FloatArray = np.r_[single, per_source.ravel()]
    return result


def plain(gain: list[float], power: list[float]) -> FittedFormula:
    """Nothing but amounts: 1 / sum C n^g."""
    g = np.array(power)
    single = [-30.0, -30.0, 0.0, -30.0, 0.0, -30.0, math.log(DECAY)]
    return law_of(np.r_[single, np.log(gain), np.log(g / (1 - g)), np.zeros(3)])


def best(law: FittedFormula, scale: Scale) -> FloatArray:
    found = minimise(Objective({"loss": 1.0}, scale=scale), law, Region.simplex(NAMES), tolerance=1e-9)
    assert found.gap <= 1e-7
    return found.mixture.shares


SEEDS = st.integers(0, 10**6)
LENGTHS = st.floats(8.0, 13.0)


@given(seed=SEEDS, length=LENGTHS)
def test_the_law_is_convex_in_the_shares_with_and_without_repetition(seed: int, length: float) -> None:
    theta = some_theta(seed)
    powers = law_of(theta).as_json()["metrics"]["loss"]["g"]
    assert min(powers) > 0.0 and max(powers) < 1.0
    ends = mixtures(60, seed % 1000, 3)
    for unique in (None, SCARCE):
        law, scale = law_of(theta), Scale(1e9, 10.0**length, unique)
        left, right = ends[:30], ends[30:]
        middle = law.predict((left + right) / 2, scale)
        chord = (law.predict(left, scale) + law.predict(right, scale)) / 2
        assert (middle <= chord + 1e-9 * np.abs(chord)).all()


@given(seed=SEEDS, length=LENGTHS, longer=st.floats(1.0, 30.0))
def test_more_tokens_never_raise_the_loss(seed: int, length: float, longer: float) -> None:
    law, shares = law_of(some_theta(seed)), mixtures(20, seed % 1000, 3)
    for unique in (None, SCARCE):
        few, many = (law.predict(shares, Scale(1e9, 10.0**length * m, unique)) for m in (1.0, longer))
        assert (many <= few + 1e-12 * np.abs(few)).all()


@given(seed=SEEDS, length=LENGTHS)
def test_more_unique_tokens_never_raise_the_loss(seed: int, length: float) -> None:
    law, shares = law_of(some_theta(seed)), mixtures(20, seed % 1000, 3)
    scarce, more, never = (
        law.predict(shares, Scale(1e9, 10.0**length, unique)) for unique in (SCARCE, 2.0 * SCARCE, None)
    )
    assert (never <= more + 1e-12).all() and (more <= scarce + 1e-12).all()


@given(seed=SEEDS, length=st.floats(8.0, 40.0), params=st.floats(6.0, 40.0))
def test_no_loss_is_below_the_floor(seed: int, length: float, params: float) -> None:
    law, shares = law_of(some_theta(seed)), mixtures(20, seed % 1000, 3)
    told = law.as_json()["metrics"]["loss"]
    floor = told["E"] + shares @ np.array(told["B"])
    for unique in (None, SCARCE):
        costs = law.predict(shares, Scale(10.0**params, 10.0**length, unique))[:, 0]
        assert (costs >= floor - 1e-9).all()


@pytest.mark.parametrize("unique", [None, SCARCE])
def test_slopes_are_differences_also_across_one_epoch(unique: FloatArray | None) -> None:
    law, scale = law_of(some_theta(2)), Scale(2e8, TOKENS, unique)
    step = 1e-6
    for source in range(3):
        moved = np.zeros(3)
        moved[source] = step
        slope = (law.costs(ASKED + moved, scale) - law.costs(ASKED - moved, scale)) / (2 * step)
        np.testing.assert_allclose(law.gradient(ASKED, scale)[:, :, source], slope, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("unique", [None, SCARCE])
def test_the_jacobian_is_differences_in_all_parameters(unique: FloatArray | None) -> None:
    formula, scale = EffectiveDataScalingFormula(1e8, TOKENS), Scale(2e8, 3 * TOKENS, unique)
    theta = np.stack([some_theta(5), some_theta(6)])
    shares = np.r_[ASKED, [[1.0, 0.0, 0.0]]]
    values, jacobian = formula.jacobian(theta, shares, scale)
    np.testing.assert_array_equal(values, formula.values(theta, shares, scale))
    names = formula.names(3)
    assert len(names) == theta.shape[1] == jacobian.shape[2] == EffectiveDataScaling().parameters(3)
    for place, name in enumerate(names):
        moved = np.zeros(theta.shape[1])
        moved[place] = 1e-5
        change = formula.values(theta + moved, shares, scale) - formula.values(theta - moved, shares, scale)
        np.testing.assert_allclose(jacobian[:, :, place], change / 2e-5, rtol=1e-5, atol=1e-8, err_msg=name)
    assert (np.abs(jacobian[:, :, names.index("log R")]).max() > 0) == (unique is not None)


def by_hand(p: Any, shares: FloatArray, scale: Scale) -> FloatArray:
    """The formula as its text says it."""
    read = shares * scale.tokens
    unique = np.where(np.isfinite(SCARCE), SCARCE, 1e300)
    again = unique * (1 + p["R"] * (1 - np.exp(-(read / unique - 1) / p["R"])))
    n = np.where(read > unique, again, read)
    result: FloatArray = (
        p["E"]
        + (p["eps"] + (np.array(p["C"]) * n ** np.array(p["g"])).sum(axis=1)) ** -p["b"]
        + p["A"] * scale.params ** -p["alpha"]
        + p["T"] * scale.tokens ** -p["tau"]
        + shares @ np.array(p["B"])
    )
    return result


def test_the_file_is_enough_to_predict_repeated_data_by_hand() -> None:
    law, scale = law_of(some_theta(7)), Scale(2e8, 5e10, SCARCE)
    told = json.loads(json.dumps(law.as_json()))["metrics"]["loss"]
    assert law.predict(ASKED, scale)[:, 0] == pytest.approx(by_hand(told, ASKED, scale), rel=1e-9)


def test_the_optimum_moves_with_scale_on_autoscales_progression() -> None:
    power = [0.3, 0.5, 0.7]
    law = plain([1.0, 1.0, 1.0], power)
    lengths = (1e9, 1e10, 1e11)
    amounts = np.array([best(law, Scale(1e8, tokens)) * tokens for tokens in lengths])
    # Equal marginal gains C g n^(g - 1): log n moves in proportion to 1 / (1 - g).
    moved = np.diff(np.log(amounts), axis=0) * (1.0 - np.array(power))
    np.testing.assert_allclose(moved, np.broadcast_to(moved.mean(axis=1, keepdims=True), (2, 3)), rtol=5e-3)
    shares = amounts / np.array(lengths)[:, None]
    assert (np.diff(shares[:, 0]) < -0.05).all() and (np.diff(shares[:, 2]) > 0.05).all()


def test_a_scarce_source_is_read_a_few_times_without_any_cap() -> None:
    law, scarce = plain([1.0, 1.0, 1e-6], [0.8, 0.8, 0.8]), TOKENS / 100
    unbounded = best(law, Scale(1e8, TOKENS))[0]
    share = best(law, Scale(1e8, TOKENS, np.array([scarce, math.inf, math.nan])))[0]
    assert unbounded * TOKENS / scarce == pytest.approx(50.0, rel=0.01)
    assert 2.0 < share * TOKENS / scarce < 12.0
    # The gain of the last token read is that of the other source, in closed form.
    epochs = share * TOKENS / scarce
    fresh = scarce * (1 + DECAY * (1 - math.exp(-(epochs - 1) / DECAY)))
    gain = fresh**-0.2 * math.exp(-(epochs - 1) / DECAY)
    assert gain == pytest.approx(((1 - share) * TOKENS) ** -0.2, rel=0.01)


def repeated_runs(decay: float, count: int = 90, noise: float = 0.001) -> LawData:
    rng = np.random.default_rng(3)
    shares, tokens = rng.dirichlet(np.ones(3), count), 10.0 ** rng.uniform(9, 11, count)
    unique = np.column_stack([10.0 ** rng.uniform(7.5, 9.5, count), np.full((count, 2), math.nan)])
    theta = some_theta(1)
    theta[6] = math.log(decay)
    scale = Scale(10.0 ** rng.uniform(7, 9, count), tokens, unique)
    costs = law_of(theta).predict(shares, scale) + noise * rng.normal(size=(count, 1))
    return LawData(NAMES, ("loss",), shares, costs, scale, np.array([-1]))


def test_how_fast_repetition_wears_off_is_learnt_where_runs_repeat() -> None:
    data, rest = repeated_runs(4.0).select(np.arange(60)), repeated_runs(4.0).select(np.arange(60, 90))
    fitted = EffectiveDataScaling().fit(data)
    assert fitted.as_json()["metrics"]["loss"]["R"] == pytest.approx(4.0, rel=0.25)
    missed = np.abs(fitted.predict(rest.shares, rest.scale) - rest.costs)
    unaware = Scale(data.scale.params, data.scale.tokens)
    blind = EffectiveDataScaling().fit(LawData(NAMES, ("loss",), data.shares, data.costs, unaware, data.own))
    assert missed.mean() < 0.3 * np.abs(blind.predict(rest.shares, rest.scale) - rest.costs).mean()


def test_where_no_run_repeats_anything_the_published_constant_decides() -> None:
    data = repeated_runs(4.0)
    once = LawData(
        NAMES, ("loss",), data.shares, data.costs, Scale(data.scale.params, data.scale.tokens), data.own
    )
    fitted = EffectiveDataScaling().fit(once)
    assert fitted.as_json()["metrics"]["loss"]["R"] == pytest.approx(DECAY, rel=1e-6)
    # What is not known of it widens the law's own deviation where it is asked to repeat.
    here = Scale(1e8, 1e10, np.array([1e8, math.nan, math.nan]))
    assert (fitted.deviation(ASKED[:3], here) > fitted.deviation(ASKED[:3], Scale(1e8, 1e10))).all()
