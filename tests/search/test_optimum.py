"""The best mixture: closed forms, certificates, guards, the worst case, the front."""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cuvee.errors import ConfigError, InfeasibleRegion
from cuvee.laws.effective_data import EffectiveData, EffectiveDataFormula
from cuvee.laws.formula import FittedFormula
from cuvee.laws.gaussian_process import GaussianProcess
from cuvee.mixture.mixture import Mixture
from cuvee.mixture.region import Region
from cuvee.search import Guard, Objective, minimise, pareto_front, uniform
from cuvee.types import FloatArray
from tests.laws.samples import METRICS, SOURCES, runs, truth

SIMPLEX = Region.simplex(SOURCES)
EQUAL = dict.fromkeys(METRICS, 1.0)


def law_of(gain: FloatArray, power: FloatArray) -> FittedFormula:
    """A law of one metric without floor and linear term."""
    theta = np.r_[0.0, -3.0, 0.0, np.log(gain), np.log(power / (1.0 - power)), np.zeros(len(gain))][None]
    names = tuple(f"s{i}" for i in range(len(gain)))
    one = np.ones(1)
    return FittedFormula(EffectiveDataFormula(), names, ("loss",), theta, 0.0 * one, one, one)


def closed_form(gain: FloatArray, power: FloatArray, caps: FloatArray) -> FloatArray:
    """w_i = min(cap_i, (C_i g_i / v)^(1 / (1 - g_i))), v by bisection."""

    def shares(v: float) -> FloatArray:
        result: FloatArray = np.minimum(caps, (gain * power / v) ** (1.0 / (1.0 - power)))
        return result

    low, high = 1e-9, 1e9
    for _ in range(300):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if shares(middle).sum() > 1.0 else (low, middle)
    return shares(low)


def fitted() -> FittedFormula:
    return EffectiveData().fit(runs(60, noise=0.002))


@given(
    gain=st.lists(st.floats(0.1, 4.0), min_size=2, max_size=8),
    power=st.floats(0.2, 0.8),
    cap=st.floats(0.55, 1.0),
)
@settings(max_examples=40, deadline=None)
def test_one_metric_has_its_closed_form(gain: list[float], power: float, cap: float) -> None:
    gains = np.array(gain)
    powers = np.linspace(power, 0.5, len(gain))
    law = law_of(gains, powers)
    caps = np.r_[cap, np.ones(len(gain) - 1)]
    region = Region(law.sources, np.zeros(len(gain)), caps)
    expected = closed_form(gains, powers, caps)
    best = minimise(Objective({"loss": 1.0}), law, region)
    lowest = float(law.predict(expected[None])[0, 0])
    assert best.value - lowest <= best.gap + 1e-9
    assert best.gap <= 1e-5
    assert np.abs(best.mixture.shares - expected).max() < 0.02
    assert region.contains(best.mixture)


def test_no_draw_of_the_region_is_better_than_the_optimum_by_more_than_the_gap() -> None:
    region = Region.bounded(SOURCES, {"law": 0.1}, {"web": 0.3}).with_ratio({"books": 1.0, "code": 2.0})
    law = fitted()
    best = minimise(Objective(EQUAL), law, region)
    drawn = np.stack([one.shares for one in region.sample(3000, np.random.default_rng(0))])
    assert region.contains(best.mixture)
    assert law.predict(drawn).sum(axis=1).min() >= best.value - best.gap - 1e-9
    assert best.gap < 1e-4


def test_a_guard_holds_and_costs_no_more_than_the_certificate_says() -> None:
    law = fitted()
    free = minimise(Objective({"books_loss": 1.0}), law, SIMPLEX)
    base = uniform(SOURCES)
    objective = Objective({"books_loss": 1.0}, (Guard("code_loss", 0.01),), baseline=base)
    best = minimise(objective, law, SIMPLEX)
    limit = law.predict(base.shares[None])[0, 1] + 0.01
    assert law.predict(free.mixture.shares[None])[0, 1] > limit
    assert law.predict(best.mixture.shares[None])[0, 1] <= limit + 2e-6
    assert best.gap < 1e-3
    drawn = np.stack([one.shares for one in SIMPLEX.sample(20000, np.random.default_rng(1))])
    costs = law.predict(drawn)
    assert costs[costs[:, 1] <= limit, 0].min() >= best.value - best.gap - 1e-6


def test_a_guard_already_kept_changes_nothing() -> None:
    law = fitted()
    free = minimise(Objective(EQUAL), law, SIMPLEX)
    guarded = Objective(EQUAL, (Guard("code_loss", 5.0),), baseline=uniform(SOURCES))
    assert minimise(guarded, law, SIMPLEX).value == pytest.approx(free.value, abs=1e-5)


def test_guards_that_cannot_be_kept_are_told() -> None:
    objective = Objective(EQUAL, (Guard("quiz_loss", -5.0),), baseline=uniform(SOURCES))
    with pytest.raises(InfeasibleRegion, match=r"quiz_loss.*allow more slack"):
        minimise(objective, fitted(), SIMPLEX)


def test_the_worst_case_is_as_low_as_the_certificate_says() -> None:
    law = fitted()
    base = Mixture(SOURCES, np.array([0.7, 0.1, 0.1, 0.1]))
    best = minimise(Objective(EQUAL, aim="worst", baseline=base), law, SIMPLEX)
    rises = law.predict(best.mixture.shares[None])[0] - law.predict(base.shares[None])[0]
    assert rises.max() == pytest.approx(best.value)
    drawn = np.stack([one.shares for one in SIMPLEX.sample(20000, np.random.default_rng(2))])
    worst = (law.predict(drawn) - law.predict(base.shares[None])).max(axis=1)
    assert worst.min() >= best.value - best.gap - 1e-6
    assert best.gap < 1e-3


def test_a_strong_prior_wins() -> None:
    prior = Mixture(SOURCES, np.array([0.1, 0.2, 0.3, 0.4]))
    law = fitted()
    weak, strong = (
        minimise(Objective(EQUAL, prior=prior, prior_strength=s), law, SIMPLEX).mixture.shares
        for s in (0.0, 100.0)
    )
    assert np.abs(strong - prior.shares).max() < 0.01
    assert np.abs(weak - prior.shares).max() > 0.02


def test_a_law_that_is_not_convex_is_searched_from_several_places_without_a_certificate() -> None:
    data = runs(80)
    law = GaussianProcess("sqrt").fit(data)
    best = minimise(Objective(EQUAL), law, SIMPLEX)
    assert math.isnan(best.gap)
    drawn = np.stack([one.shares for one in SIMPLEX.sample(5000, np.random.default_rng(3))])
    assert best.value <= law.predict(drawn).sum(axis=1).min() + 1e-3
    assert truth(best.mixture.shares[None]).sum() <= truth(drawn).sum(axis=1).min() + 0.03


def test_the_front_runs_from_one_best_to_the_other() -> None:
    law = fitted()
    first, second = Objective({"books_loss": 1.0}), Objective({"code_loss": 1.0})
    front = pareto_front(first, second, law, SIMPLEX, points=7)
    assert len(front) >= 5
    assert front[0].first == pytest.approx(minimise(first, law, SIMPLEX).value, abs=1e-5)
    assert front[-1].second == pytest.approx(minimise(second, law, SIMPLEX).value, abs=1e-5)
    assert all(a.first < b.first and a.second > b.second for a, b in pairwise(front))
    drawn = law.predict(np.stack([m.shares for m in SIMPLEX.sample(5000, np.random.default_rng(4))]))[:, :2]
    for point in front:
        assert not ((drawn[:, 0] < point.first - 1e-4) & (drawn[:, 1] < point.second - 1e-4)).any()


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: Objective({}), "not all 0"),
        (lambda: Objective({"a": -1.0}), "at least 0"),
        (lambda: Objective({"a": 1.0}, (Guard("b"),)), "baseline"),
        (lambda: Objective({"a": 1.0}, aim="worst"), "baseline"),
        (lambda: Guard("a", math.nan), "finite"),
        (lambda: minimise(Objective({"nothing": 1.0}), fitted(), SIMPLEX), "no metric 'nothing'"),
        (lambda: minimise(Objective(EQUAL), fitted(), Region.simplex(("a", "b"))), "the law over"),
    ],
)
def test_what_makes_no_sense_is_refused(make: object, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        make()  # type: ignore[operator]


@given(exponent=st.integers(-12, 12))
@settings(max_examples=25, deadline=None)
def test_the_unit_of_the_metrics_moves_no_optimum(exponent: int) -> None:
    law, unit = fitted(), 10.0**exponent
    other = replace(law, shift=unit * law.shift, spread=unit * law.spread)
    base = uniform(SOURCES)
    for one in (
        Objective(EQUAL),
        Objective(EQUAL, aim="worst", baseline=base),
        Objective({"books_loss": 1.0}, (Guard("code_loss"),), baseline=base),
    ):
        known, found = minimise(one, law, SIMPLEX), minimise(one, other, SIMPLEX)
        assert found.value == pytest.approx(unit * known.value, rel=1e-5)
        assert np.abs(found.mixture.shares - known.mixture.shares).max() < 5e-3
        assert found.gap < 1e-4 * unit


@pytest.mark.parametrize("unit", [1e-12, 1e12])
def test_the_unit_of_the_metrics_moves_no_front_and_no_optimum_of_a_process(unit: float) -> None:
    data = runs(40, noise=0.01)
    for law in (EffectiveData(), GaussianProcess("sqrt")):
        one, other = law.fit(data), law.fit(replace(data, costs=unit * data.costs))
        first, second = Objective({"books_loss": 1.0}), Objective({"code_loss": 1.0})
        known, found = minimise(Objective(EQUAL), one, SIMPLEX), minimise(Objective(EQUAL), other, SIMPLEX)
        assert found.value == pytest.approx(unit * known.value, rel=1e-4)
        fronts = [pareto_front(first, second, each, SIMPLEX, points=3) for each in (one, other)]
        for left, right in zip(*fronts, strict=True):
            assert right.first == pytest.approx(unit * left.first, rel=1e-3)
