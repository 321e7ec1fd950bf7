"""The default law: derivatives, convexity, recovery, priors."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cuvee.errors import ConfigError
from cuvee.laws.effective_data import EffectiveData, EffectiveDataFormula
from cuvee.laws.interface import UNKNOWN_SCALE, LawData, own_sources
from cuvee.types import FloatArray
from tests.laws.samples import METRICS, SOURCES, mixtures, runs, truth

FORMULA = EffectiveDataFormula()


def parameters(seed: int, problems: int = 3) -> FloatArray:
    return np.random.default_rng(seed).normal(size=(problems, 3 + 3 * len(SOURCES))) * 0.7


def test_derivatives_in_parameters_are_those_of_differences() -> None:
    theta, shares = parameters(0), mixtures(6, 1)
    _, jacobian = FORMULA.jacobian(theta, shares, UNKNOWN_SCALE)
    for column in range(theta.shape[1]):
        moved = [theta.copy(), theta.copy()]
        moved[0][:, column] += 1e-6
        moved[1][:, column] -= 1e-6
        up, down = (FORMULA.values(one, shares, UNKNOWN_SCALE) for one in moved)
        np.testing.assert_allclose(jacobian[:, :, column], (up - down) / 2e-6, atol=1e-7, rtol=1e-5)


def test_derivatives_in_shares_are_those_of_differences() -> None:
    theta, shares = parameters(1), mixtures(6, 2) + 0.01
    slopes = FORMULA.slopes(theta, shares, UNKNOWN_SCALE)
    for column in range(len(SOURCES)):
        step = np.zeros(len(SOURCES))
        step[column] = 1e-6
        up = FORMULA.values(theta, shares + step, UNKNOWN_SCALE)
        down = FORMULA.values(theta, shares - step, UNKNOWN_SCALE)
        np.testing.assert_allclose(slopes[:, :, column], (up - down) / 2e-6, atol=1e-7, rtol=1e-5)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000), share=st.floats(0.0, 1.0))
def test_costs_are_convex_in_the_shares(seed: int, share: float) -> None:
    theta = parameters(seed)
    left, right = mixtures(8, seed), mixtures(8, seed + 1)
    between = FORMULA.values(theta, share * left + (1 - share) * right, UNKNOWN_SCALE)
    ends = [FORMULA.values(theta, part, UNKNOWN_SCALE) for part in (left, right)]
    assert (between <= share * ends[0] + (1 - share) * ends[1] + 1e-9).all()


def test_the_known_law_is_recovered() -> None:
    fitted = EffectiveData().fit(runs(200))
    asked = mixtures(100, 9)
    assert np.abs(fitted.predict(asked) - truth(asked)).max() < 0.01
    assert np.abs(fitted.predict(asked) - truth(asked)).mean() < 0.001


def test_json_holds_the_law_in_the_metrics_own_unit() -> None:
    fitted = EffectiveData().fit(runs(60))
    document = fitted.as_json()
    shares = mixtures(5, 4)
    for index, name in enumerate(METRICS):
        p = {key: np.array(value) for key, value in document["metrics"][name].items()}
        total = p["eps"] + (p["C"] * shares ** p["g"]).sum(axis=1)
        by_hand = p["E"] + total ** -p["b"] + shares @ p["B"]
        np.testing.assert_allclose(by_hand, fitted.predict(shares)[:, index], rtol=1e-12)


def test_few_runs_are_better_served_when_metrics_have_own_sources() -> None:
    asked, errors = mixtures(200, 99), {}
    for owned in (True, False):
        worst = []
        for seed in range(5):
            data = runs(6, seed)
            own = own_sources(METRICS, SOURCES) if owned else np.full(len(METRICS), -1)
            data = LawData(data.sources, data.metrics, data.shares, data.costs, data.scale, own)
            worst.append(np.abs(EffectiveData().fit(data).predict(asked) - truth(asked)).mean())
        errors[owned] = float(np.mean(worst))
    assert errors[True] < errors[False]


def test_what_was_not_measured_has_no_say() -> None:
    data = runs(60)
    holes = data.costs.copy()
    holes[::3, 0] = np.nan
    with_holes = LawData(data.sources, data.metrics, data.shares, holes, data.scale, data.own)
    wrong = data.costs.copy()
    wrong[::3, 0] = 50.0
    with_wrong = LawData(data.sources, data.metrics, data.shares, wrong, data.scale, data.own)
    asked = mixtures(50, 3)
    assert np.abs(EffectiveData().fit(with_holes).predict(asked) - truth(asked))[:, 0].mean() < 0.01
    assert np.abs(EffectiveData().fit(with_wrong).predict(asked) - truth(asked))[:, 0].mean() > 0.5


def test_a_metric_without_any_value_is_refused() -> None:
    data = runs(10)
    costs = data.costs.copy()
    costs[:, 1] = np.nan
    with pytest.raises(ConfigError, match="code_loss"):
        EffectiveData().fit(LawData(data.sources, data.metrics, data.shares, costs, data.scale, data.own))


def test_fits_are_the_same_twice_and_for_any_unit() -> None:
    data = runs(40, noise=0.01)
    first, second = EffectiveData().fit(data), EffectiveData().fit(data)
    np.testing.assert_array_equal(first.theta, second.theta)
    scaled = LawData(data.sources, data.metrics, data.shares, 100 * data.costs - 7, data.scale, data.own)
    asked = mixtures(20, 5)
    np.testing.assert_allclose(
        EffectiveData().fit(scaled).predict(asked), 100 * first.predict(asked) - 7, rtol=1e-6
    )


def test_deviation_is_small_at_the_runs_and_large_away_from_them() -> None:
    data = runs(40, noise=0.01)
    near = data.shares[:, 0] < 0.5
    fitted = EffectiveData().fit(data.select(near))
    books = np.array([[1.0, 0.0, 0.0, 0.0]])
    assert (fitted.deviation(books) > 2 * fitted.deviation(data.shares[near]).mean(axis=0)).all()


def test_own_sources_are_found_by_whole_words() -> None:
    found = own_sources(
        ["the_pile_arxiv_val_loss", "wiki_en", "hellaswag", "books"],
        ["the_pile_arxiv", "wiki", "wiki_en", "book"],
    )
    assert found.tolist() == [0, 2, -1, -1]
