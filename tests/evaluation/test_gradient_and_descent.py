"""Derivatives of merges against differences and autograd, and the descents that use them."""

import numpy as np
import pytest
import torch

from cuvee.errors import NonFiniteLoss
from cuvee.evaluation.averaging_bonus import averaging_bonus, noise_penalty
from cuvee.evaluation.descent import merge_optimum
from cuvee.evaluation.gradient import merge_gradient
from cuvee.evaluation.scoring import score_merges
from cuvee.merging.pool import FlatPool
from cuvee.mixture.mirror_descent import mirror_descent, with_prior
from cuvee.mixture.mixture import Mixture
from cuvee.mixture.region import Region
from tests.evaluation.tiny_language import SOURCES, Bigram, evaluator, pool

TARGET = np.array([0.5, 0.3, 0.2])
WEIGHTS = np.random.default_rng(0).dirichlet(np.ones(6))


def exact_loss(weights: np.ndarray, scale: float) -> float:
    """The weighted loss of a merge, all in float64."""
    bank, one = pool().bank.double(), evaluator()
    flat = bank[0] + scale * torch.from_numpy(weights) @ (bank[1:] - bank[0])
    nats = -Bigram().token_log_probs(flat, one.inputs, one.targets)
    total = 0.0
    for position, weight in enumerate(TARGET):
        documents = np.flatnonzero(one.documents.evaluation == position)
        total += weight * float(nats[torch.from_numpy(np.isin(one.document, documents))].mean())
    return total


@pytest.mark.parametrize("scale", [1.0, 0.6])
def test_gradient_agrees_with_central_differences_for_every_unit(scale: float) -> None:
    found = merge_gradient(evaluator(), pool(), WEIGHTS, TARGET, scale)
    assert found.value == pytest.approx(exact_loss(WEIGHTS, scale), rel=1e-6)
    for member in range(6):
        step = 1e-5 * np.eye(6)[member]
        slope = (exact_loss(WEIGHTS + step, scale) - exact_loss(WEIGHTS - step, scale)) / 2e-5
        assert found.weights[member] == pytest.approx(slope, rel=1e-3)
    slope = (exact_loss(WEIGHTS, scale + 1e-5) - exact_loss(WEIGHTS, scale - 1e-5)) / 2e-5
    assert found.scale == pytest.approx(slope, rel=1e-3)


def test_gradient_is_that_of_autograd_through_the_combination() -> None:
    one = evaluator()
    free = torch.from_numpy(WEIGHTS).float().requires_grad_()
    flat = pool().seed + free @ (pool().branches - pool().seed)
    loss = -(Bigram().token_log_probs(flat, one.inputs, one.targets) * one.token_weights(TARGET)).sum()
    loss.backward()
    assert free.grad is not None
    found = merge_gradient(one, pool(), WEIGHTS, TARGET)
    np.testing.assert_allclose(found.weights, free.grad.numpy(), rtol=1e-5, atol=1e-6)


def test_gradient_of_the_loss_that_is_scored() -> None:
    found = merge_gradient(evaluator(), pool(), WEIGHTS, TARGET)
    losses = score_merges(evaluator(), pool(), WEIGHTS).nats_per_token
    assert found.value == pytest.approx(float(losses[0] @ TARGET), rel=1e-6)


def test_descent_finds_the_lowest_merge_of_a_grid() -> None:
    region = Region.bounded(SOURCES, {"code": 0.1}, {"web": 0.7})
    found = merge_optimum(evaluator(), pool(), region, TARGET, tolerance=1e-5, max_evaluations=200)
    assert found.outcome == "converged"
    assert region.contains(found.mixture)
    samples = region.sample(400, np.random.default_rng(1))
    weights = np.array([mixture.shares @ pool().roster.spread(SOURCES) for mixture in samples])
    losses = score_merges(evaluator(), pool(), weights).nats_per_token @ TARGET
    assert found.value <= losses.min() + 1e-5
    assert len(found.values) == len(found.gaps) == len(found.shares) <= found.evaluations


def test_descent_with_a_prior_stays_near_it() -> None:
    prior, region = Mixture.of({"web": 0.1, "code": 0.1, "books": 0.8}), Region.simplex(SOURCES)
    free, near, bound = (
        merge_optimum(
            evaluator(), pool(), region, TARGET, prior=prior, prior_strength=s, max_evaluations=100
        ).mixture
        for s in (0.0, 0.3, 1000.0)
    )
    assert bound.total_variation(prior) < 1e-3
    assert bound.total_variation(prior) < near.total_variation(prior) < free.total_variation(prior)


def quadratic(centre: np.ndarray) -> tuple[Region, object]:
    names = [f"s{i}" for i in range(len(centre))]
    return Region.simplex(names), lambda w: (float(((w - centre) ** 2).sum()), 2 * (w - centre))


def test_mirror_descent_finds_a_point_of_the_simplex() -> None:
    centre = np.array([0.5, 0.3, 0.15, 0.05])
    region, objective = quadratic(centre)
    found = mirror_descent(objective, region, tolerance=1e-7)  # type: ignore[arg-type]
    assert found.outcome == "converged"
    np.testing.assert_allclose(found.mixture.shares, centre, atol=1e-3)


def test_mirror_descent_finds_a_corner() -> None:
    region, objective = quadratic(np.array([3.0, 0.0, 0.0]))
    found = mirror_descent(objective, region, tolerance=1e-8)  # type: ignore[arg-type]
    np.testing.assert_allclose(found.mixture.shares, [1, 0, 0], atol=1e-6)
    assert found.evaluations < 50


def test_mirror_descent_says_when_it_ran_out_of_steps() -> None:
    region, objective = quadratic(np.array([0.5, 0.3, 0.2]))
    assert mirror_descent(objective, region, max_evaluations=2, tolerance=1e-12).outcome == "out of steps"  # type: ignore[arg-type]


def test_mirror_descent_says_when_rounding_stops_it() -> None:
    region, objective = quadratic(np.array([0.5, 0.3, 0.2]))
    coarse = lambda w: (round(objective(w)[0], 2), objective(w)[1])  # type: ignore[operator] # noqa: E731
    found = mirror_descent(coarse, region, tolerance=1e-12)
    assert found.outcome == "stalled"
    np.testing.assert_allclose(found.mixture.shares, [0.5, 0.3, 0.2], atol=0.2)


def test_mirror_descent_refuses_a_broken_start() -> None:
    with pytest.raises(NonFiniteLoss):
        mirror_descent(lambda w: (np.nan, w), Region.simplex(["a", "b"]))


def test_a_prior_has_its_gradient() -> None:
    prior, point = np.array([0.2, 0.5, 0.3]), np.array([0.3, 0.3, 0.4])
    objective = with_prior(lambda w: (0.0, np.zeros(3)), prior, 2.0)
    value, gradient = objective(point)
    assert value == pytest.approx(2 * (point * np.log(point / prior)).sum())
    step = 1e-6 * np.array([1.0, -2.0, 1.0])
    assert (objective(point + step)[0] - objective(point - step)[0]) / 2 == pytest.approx(
        gradient @ step, rel=1e-6
    )


def test_the_averaging_bonus_of_a_quadratic_loss() -> None:
    """Replicas theta + noise under L = theta' H theta / 2: c is tr(H Sigma) / 2."""
    rng = np.random.default_rng(0)
    hessian, sigma = np.array([2.0, 1.0, 0.5]), np.array([0.3, 0.5, 0.2])
    centre = np.array([1.0, -1.0, 2.0])
    replicas = centre + sigma * rng.normal(size=(4000, 4, 3))
    loss = lambda theta: 0.5 * (hessian * theta**2).sum(-1)  # noqa: E731
    found = averaging_bonus(loss(replicas)[..., None], loss(replicas.mean(1))[..., None])
    assert found.shape == (4000, 1)
    cost = found.mean(axis=0)
    assert cost[0] == pytest.approx(0.5 * (hessian * sigma**2).sum(), rel=0.05)
    # Taking it out of the loss of averages leaves the loss without noise.
    weights = np.array([0.7, 0.1, 0.1, 0.1])
    merged = loss(np.einsum("k,rkn->rn", weights, replicas)).mean()
    assert merged - noise_penalty(weights, cost)[0] == pytest.approx(loss(centre), abs=0.02)


def test_noise_of_each_member() -> None:
    weights = np.array([[0.5, 0.5], [1.0, 0.0]])
    np.testing.assert_allclose(noise_penalty(weights, np.array([2.0])), [[1.0], [2.0]])
    np.testing.assert_allclose(noise_penalty(weights, np.array([[2.0], [4.0]])), [[1.5], [2.0]])


def test_a_pool_that_only_moved_a_little_keeps_its_digits() -> None:
    """Deltas a thousandth of the seed: no cancellation in the derivatives."""
    seed, far = pool().seed, pool().branches - pool().seed
    near = FlatPool(pool().roster, torch.cat([seed[None], seed + 1e-3 * far]))
    found = merge_gradient(evaluator(), near, WEIGHTS, TARGET)
    flat = seed.double().requires_grad_()
    one = evaluator()
    loss = -(Bigram().token_log_probs(flat, one.inputs, one.targets) * one.token_weights(TARGET)).sum()
    loss.backward()
    assert flat.grad is not None
    exact = (near.branches.double() - seed.double()) @ flat.grad
    np.testing.assert_allclose(found.weights, exact.numpy(), rtol=0.02)
