"""Batches of least-squares problems with known answers."""

import numpy as np
import pytest
from scipy.optimize import minimize

from cuvee.laws.least_squares import ParameterPrior, Target, solve
from cuvee.types import FloatArray

X = np.linspace(0.0, 2.0, 30)


def values(theta: FloatArray) -> FloatArray:
    result: FloatArray = theta[:, :1] + np.exp(theta[:, 1:2] * X)
    return result


def jacobian(theta: FloatArray) -> tuple[FloatArray, FloatArray]:
    curve = np.exp(theta[:, 1:2] * X)
    return theta[:, :1] + curve, np.stack([np.ones_like(curve), X * curve], axis=2)


def target(truth: FloatArray, huber: float | None = None) -> Target:
    limit = None if huber is None else np.full(len(truth), huber)
    return Target(values(truth), np.ones((len(truth), len(X))), np.ones(len(truth)), limit)


def no_prior(problems: int) -> ParameterPrior:
    return ParameterPrior(np.zeros((problems, 2)), np.zeros((problems, 2)))


def test_each_problem_of_a_batch_finds_its_own_answer() -> None:
    truth = np.array([[0.5, -1.0], [2.0, 0.3], [-1.0, 0.8]])
    found = solve(values, jacobian, np.zeros_like(truth), target(truth), no_prior(3))
    np.testing.assert_allclose(found.parameters, truth, atol=1e-7)
    assert found.objective.max() < 1e-12


def test_a_problem_is_solved_alone_as_in_a_batch() -> None:
    truth = np.array([[0.5, -1.0], [2.0, 0.3]])
    noisy = values(truth) + 0.1 * np.random.default_rng(0).normal(size=(2, len(X)))
    together = solve(
        values, jacobian, np.zeros((2, 2)), Target(noisy, np.ones_like(noisy), np.ones(2)), no_prior(2)
    )
    alone = solve(
        values, jacobian, np.zeros((1, 2)), Target(noisy[1:], np.ones((1, len(X))), np.ones(1)), no_prior(1)
    )
    np.testing.assert_allclose(together.parameters[1], alone.parameters[0], rtol=1e-9)


def test_weights_of_zero_leave_a_value_out() -> None:
    truth = np.array([[0.5, -1.0]])
    broken = values(truth)
    broken[0, 7] = 1e3
    weights = np.ones_like(broken)
    weights[0, 7] = 0.0
    found = solve(values, jacobian, np.zeros((1, 2)), Target(broken, weights, np.ones(1)), no_prior(1))
    np.testing.assert_allclose(found.parameters, truth, atol=1e-7)


def test_hubers_minimum_is_that_of_a_general_optimiser() -> None:
    rng = np.random.default_rng(3)
    observed = values(np.array([[0.5, 0.4]])) + 0.01 * rng.standard_t(1.5, size=(1, len(X)))
    limit = 0.02

    def cost(theta: FloatArray) -> float:
        size = np.abs(observed - values(theta[None]))
        return float(np.where(size <= limit, 0.5 * size**2, limit * (size - 0.5 * limit)).sum())

    found = solve(
        values, jacobian, np.zeros((1, 2)),
        Target(observed, np.ones_like(observed), np.ones(1), np.array([limit])), no_prior(1),
        steps=500, tolerance=1e-14,
    )  # fmt: skip
    reference = minimize(
        cost, np.array([0.5, 0.4]), method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-14}
    )
    assert found.objective[0] == pytest.approx(cost(found.parameters[0]), rel=1e-12)
    assert found.objective[0] <= reference.fun * (1 + 1e-6)


def test_a_prior_pulls_as_ridge_regression_does() -> None:
    def line(theta: FloatArray) -> FloatArray:
        result: FloatArray = theta @ design.T
        return result

    rng = np.random.default_rng(1)
    design, observed = rng.normal(size=(8, 3)), rng.normal(size=(1, 8))
    mean, precision = np.array([[1.0, -1.0, 0.5]]), np.array([[2.0, 0.5, 4.0]])
    found = solve(
        line, lambda theta: (line(theta), np.broadcast_to(design, (1, 8, 3))),
        np.zeros((1, 3)), Target(observed, np.ones((1, 8)), np.array([0.3])), ParameterPrior(mean, precision),
    )  # fmt: skip
    normal = design.T @ design / 0.3 + np.diag(precision[0])
    exact = np.linalg.solve(normal, design.T @ observed[0] / 0.3 + precision[0] * mean[0])
    np.testing.assert_allclose(found.parameters[0], exact, rtol=1e-6)
    np.testing.assert_allclose(found.curvature[0], normal, rtol=1e-9)


def test_bounds_hold_and_the_rest_is_optimal_given_them() -> None:
    truth = np.array([[0.5, 1.0]])
    found = solve(
        values, jacobian, np.zeros((1, 2)), target(truth), no_prior(1), upper=np.array([np.inf, 0.6])
    )
    assert found.parameters[0, 1] == 0.6
    best_offset = float((values(truth)[0] - np.exp(0.6 * X)).mean())
    assert found.parameters[0, 0] == pytest.approx(best_offset, abs=1e-6)


def test_no_problem_gets_worse() -> None:
    truth = np.array([[0.5, -1.0], [2.0, 0.3]])
    start = np.array([[30.0, 6.0], [-10.0, -9.0]])
    with np.errstate(over="ignore"):
        before = 0.5 * ((values(truth) - values(start)) ** 2).sum(axis=1)
        found = solve(values, jacobian, start, target(truth), no_prior(2), steps=3)
    assert (found.objective <= before).all()
