"""Capacity allocation: the optimum of a model's capacity, its derivatives, and laws made with it."""

import json

import numpy as np
import pytest

from cuvee.laws.allocation import Allocation
from cuvee.laws.capacity_allocation import CapacityAllocation, FittedCapacityAllocation
from cuvee.laws.capacity_formula import CapacityFormula
from cuvee.laws.interface import LawData, Scale
from cuvee.types import FloatArray
from tests.laws.samples import SOURCES, mixtures

METRICS = ("books_loss", "code_loss", "law_loss", "web_loss", "code_bits", "quiz_loss")
OWN = np.array([0, 1, 2, 3, 1, -1])
FIXED = np.eye(6, 4, dtype=np.bool_)
FREE = np.zeros((6, 4), dtype=np.bool_)
FREE[4, 1] = FREE[5] = True
FORMULA = CapacityFormula(1e8, 1e10, np.zeros(6), np.ones(6), FIXED, FREE)
TRUE = np.concatenate(
    [
        np.log([0.6, 0.4, 0.5, 0.9]),  # c
        np.log([0.25, 0.4, 0.3, 0.2]),  # b
        np.log([0.1, 0.15, 0.08, 0.3]),  # A
        np.log([0.35, 0.3, 0.45, 0.25]),  # a
        np.log([2e-3, 5e-4, 1e-3, 4e-3]),  # eps
        [1.7, 0.6, 1.5, 2.0, 0.4, 0.9],  # E
        np.log([1.4, 0.3, 0.2, 0.1, 0.4]),  # v
    ]
)[None]


def made(count: int, seed: int, rows: int = 6) -> LawData:
    """Runs of the law, for its first metrics."""
    rng = np.random.default_rng(seed)
    scale = Scale(10.0 ** rng.uniform(7.5, 8.8, count), 10.0 ** rng.uniform(9.3, 10.8, count))
    shares = mixtures(count, seed)
    costs = FORMULA.values(TRUE, shares, scale)[0][:, :rows]
    return LawData(SOURCES, METRICS[:rows], shares, costs, scale, OWN[:rows])


def test_no_other_allocation_gains_from_moving_capacity() -> None:
    rng = np.random.default_rng(0)
    log_h, b, log_c = np.log(0.01 + mixtures(20, 1)), rng.uniform(0.05, 2.0, (3, 4)), rng.normal(size=(3, 4))
    log_size = rng.normal(0.0, 3.0, 20)
    found = Allocation.of(log_h + (np.log(b) + log_c)[:, None, :], b, log_size)
    np.testing.assert_allclose(np.log(np.exp(found.log_x).sum(axis=2)), [log_size] * 3, atol=1e-12)
    gains = log_h + (np.log(b) + log_c)[:, None, :] - (1.0 + b)[:, None, :] * found.log_x
    assert np.ptp(gains, axis=2).max() < 1e-12


def test_equal_exponents_have_a_closed_form() -> None:
    weights = np.array([[[0.2, 0.7, 0.1]]])
    found = Allocation.of(np.log(weights), np.full((1, 3), 0.25), np.log([50.0]))
    parts = weights[0, 0] ** 0.8
    np.testing.assert_allclose(np.exp(found.log_x[0, 0]), 50.0 * parts / parts.sum(), rtol=1e-13)


def test_the_share_of_a_source_in_lambda_is_a_difference() -> None:
    weights, b, size = np.log(0.02 + mixtures(5, 2))[None], np.array([[0.1, 0.3, 0.6, 1.2]]), np.zeros(5)
    found, step = Allocation.of(weights, b, size), 1e-6
    for source in range(4):
        moved = np.zeros(4)
        moved[source] = step
        up, down = (Allocation.of(weights + way * moved, b, size).log_x for way in (1, -1))
        own = np.arange(4) == source
        told = found.per_log_price[:, None, :] * (own - found.price[:, :, source, None])
        np.testing.assert_allclose((up - down) / (2 * step), told, atol=1e-8)


def test_derivatives_are_differences() -> None:
    rng = np.random.default_rng(3)
    theta = TRUE + 0.1 * rng.normal(size=(2, TRUE.shape[1]))
    data, step = made(8, 4), 1e-6
    values, jacobian = FORMULA.jacobian(theta, data.shares, data.scale)
    np.testing.assert_array_equal(values, FORMULA.values(theta, data.shares, data.scale))
    for place in range(theta.shape[1]):
        moved = np.zeros(theta.shape[1])
        moved[place] = step
        up, down = (FORMULA.values(theta + way * moved, data.shares, data.scale) for way in (1, -1))
        np.testing.assert_allclose((up - down) / (2 * step), jacobian[..., place], rtol=1e-6, atol=1e-7)
    slopes, inside = FORMULA.slopes(theta, 0.02 + data.shares, data.scale), 0.02 + data.shares
    for source in range(4):
        moved = np.zeros(4)
        moved[source] = step
        up, down = (FORMULA.values(theta, inside + way * moved, data.scale) for way in (1, -1))
        np.testing.assert_allclose((up - down) / (2 * step), slopes[..., source], rtol=1e-5, atol=1e-6)


def told(fitted: FittedCapacityAllocation) -> dict[str, FloatArray]:
    document = json.loads(json.dumps(fitted.as_json()))
    return {name: np.array(document[name]) for name in ("c", "b", "A", "a", "eps")}


def test_the_law_of_the_paper_is_found_and_foretells_larger_models() -> None:
    data = made(250, 5, rows=4)
    fitted = CapacityAllocation().fit(data)
    expected = [np.exp(part[0]) for part in FORMULA.split(TRUE)[:5]]
    found = told(fitted)
    assert found["b"] == pytest.approx(expected[1], rel=1e-6)
    assert found["a"] == pytest.approx(expected[3], rel=1e-6)
    assert found["eps"] == pytest.approx(expected[4], rel=1e-6)
    assert found["c"] * 1e8 ** -found["b"] == pytest.approx(expected[0], rel=1e-6)
    assert found["A"] * 1e10 ** -found["a"] == pytest.approx(expected[2], rel=1e-6)
    shares, large = mixtures(40, 6), Scale(np.full(40, 1e10), np.full(40, 1e12))
    far = FORMULA.values(TRUE, shares, large)[0][:, :4]
    np.testing.assert_allclose(fitted.predict(shares, large), far, rtol=1e-8)


def test_second_metrics_and_those_of_no_source_are_found() -> None:
    data = made(250, 7)
    fitted = CapacityAllocation().fit(data)
    factors = fitted.formula.factors(fitted.theta)[0]
    np.testing.assert_array_equal(factors[:4], np.eye(4))
    np.testing.assert_allclose(factors[4:], FORMULA.factors(TRUE)[0, 4:], atol=1e-6)
    shares, large = mixtures(40, 8), Scale(np.full(40, 1e10), np.full(40, 1e12))
    far = FORMULA.values(TRUE, shares, large)[0]
    np.testing.assert_allclose(fitted.predict(shares, large), far, rtol=1e-8)


def test_capacity_is_taken_from_the_others() -> None:
    """A loss on a source depends on the others' shares through x alone: none if the model is large."""
    fitted = CapacityAllocation().fit(made(250, 5, rows=4))
    shares = np.array([[0.25, 0.25, 0.25, 0.25]])
    here, larger = (fitted.gradient(shares, Scale(params, 1e10))[0] for params in (1e8, 1e13))
    others = ~np.eye(4, dtype=np.bool_)
    assert (here[others] > 0).all()
    assert (np.diagonal(here) < 0).all()
    assert (larger[others] < 0.2 * here[others]).all()


def test_at_shares_of_zero_the_law_is_finite_and_steep() -> None:
    fitted = CapacityAllocation().fit(made(250, 5, rows=4))
    shares = np.array([[0.0, 0.3, 0.3, 0.4], [0.01, 0.3, 0.3, 0.39], [0.1, 0.3, 0.3, 0.3]])
    losses = fitted.predict(shares, Scale(1e8, 1e10))[:, 0]
    slopes = fitted.gradient(shares, Scale(1e8, 1e10))[:, 0, 0]
    assert np.isfinite(slopes).all()
    assert losses[0] > losses[1] > losses[2]
    assert slopes[0] < 5.0 * slopes[1] < 0.0


def test_more_runs_leave_less_open() -> None:
    data = made(200, 9, rows=4)
    noise = 0.01 * np.random.default_rng(0).normal(size=data.costs.shape)
    noisy = LawData(data.sources, data.metrics, data.shares, data.costs + noise, data.scale, data.own)
    few, many = (CapacityAllocation().fit(noisy.select(np.arange(count))) for count in (30, 200))
    asked, near = mixtures(20, 1), Scale(2e8, 2e10)
    ratio = many.deviation(asked, near) / few.deviation(asked, near)
    assert np.median(ratio) < 0.7
    error = np.abs(many.predict(asked, near) - FORMULA.values(TRUE, asked, near)[0][:, :4])
    assert 0.2 < np.sqrt(((error / many.deviation(asked, near)) ** 2).mean()) < 3.0


def test_without_any_own_source_the_sum_over_all_is_fitted() -> None:
    data = made(250, 7)
    renamed = LawData(SOURCES, METRICS, data.shares, data.costs, data.scale, np.full(6, -1))
    fitted = CapacityAllocation().fit(renamed)
    error = np.abs(fitted.predict(data.shares, data.scale) - data.costs).mean(axis=0)
    assert (error < 0.02 * data.costs.std(axis=0)).all()
