"""Derivatives of merges against differences and autograd, and the descents that use them."""

import numpy as np
import pytest
import torch

from cuvee.errors import NonFiniteLoss
from cuvee.evaluation.averaging_bonus import averaging_bonus, noise_penalty
from cuvee.evaluation.descent import MergeLoss
from cuvee.evaluation.ensemble import Ensemble
from cuvee.evaluation.gradient import merge_gradient
from cuvee.evaluation.likelihood import Evaluator
from cuvee.evaluation.race import part_windows
from cuvee.evaluation.scoring import score_merges
from cuvee.merging.linear import LinearMerge
from cuvee.merging.pool import FlatPool
from cuvee.merging.roster import Member, Roster
from cuvee.mixture.mirror_descent import mirror_descent
from cuvee.mixture.mixture import Mixture
from cuvee.mixture.region import Region
from tests.evaluation.tiny_language import SOURCES, Bigram, evaluation_set, evaluator, pool

TARGET = np.array([0.5, 0.3, 0.2])
WEIGHTS = np.random.default_rng(0).dirichlet(np.ones(6))


def exact_loss(weights: np.ndarray) -> float:
    """The weighted loss of a merge, all in float64."""
    bank, one = pool().bank.double(), evaluator()
    flat = bank[0] + torch.from_numpy(weights) @ (bank[1:] - bank[0])
    nats = -Bigram().token_log_probs(flat, one.inputs, one.targets)
    total = 0.0
    for position, weight in enumerate(TARGET):
        documents = np.flatnonzero(one.documents.evaluation == position)
        total += weight * float(nats[torch.from_numpy(np.isin(one.document, documents))].mean())
    return total


def test_gradient_agrees_with_central_differences_for_every_unit() -> None:
    value, gradient = merge_gradient(evaluator(), pool(), LinearMerge(), WEIGHTS, TARGET)
    assert value == pytest.approx(exact_loss(WEIGHTS), rel=1e-6)
    for member in range(6):
        step = 1e-5 * np.eye(6)[member]
        slope = (exact_loss(WEIGHTS + step) - exact_loss(WEIGHTS - step)) / 2e-5
        assert gradient[member] == pytest.approx(slope, rel=1e-3)


def test_gradient_is_that_of_autograd_through_the_combination() -> None:
    one = evaluator()
    free = torch.from_numpy(WEIGHTS).float().requires_grad_()
    flat = pool().seed + free @ (pool().branches - pool().seed)
    loss = -(Bigram().token_log_probs(flat, one.inputs, one.targets) * one.token_weights(TARGET)).sum()
    loss.backward()
    assert free.grad is not None
    _, gradient = merge_gradient(one, pool(), LinearMerge(), WEIGHTS, TARGET)
    np.testing.assert_allclose(gradient, free.grad.numpy(), rtol=1e-5, atol=1e-6)


def test_gradient_of_the_loss_that_is_scored() -> None:
    value, _ = merge_gradient(evaluator(), pool(), LinearMerge(), WEIGHTS, TARGET)
    losses = score_merges(evaluator(), pool(), LinearMerge(), WEIGHTS[None]).nats_per_token
    assert value == pytest.approx(float(losses[0] @ TARGET), rel=1e-6)


def merge_loss(one: Evaluator, noise_cost: float = 0.0) -> MergeLoss:
    return MergeLoss(one, pool(), LinearMerge(), Ensemble.of(one, pool()), TARGET, noise_cost)


def test_the_estimated_loss_is_that_of_the_race_and_has_its_gradient() -> None:
    loss, weights = merge_loss(evaluator(count=60), noise_cost=0.3), 0.5 * WEIGHTS + 0.5 / 6
    value, gradient = loss.value_and_gradient(weights)
    raced = loss.estimated(weights).nats_per_token @ TARGET
    assert value == pytest.approx(raced - 0.3 * weights @ weights, abs=1e-5)
    assert len(loss.part.inputs) == len(part_windows(loss.evaluator)) < len(loss.evaluator.inputs) / 6
    ahead = np.random.default_rng(3).normal(size=6)
    step = 5e-3 * (ahead - ahead.mean())  # the ensemble knows mixtures on the simplex alone
    ends = [loss.value_and_gradient(weights + sign * step)[0] for sign in (1, -1)]
    assert (ends[0] - ends[1]) / 2 == pytest.approx(float(gradient @ step), rel=2e-3)


def test_descent_finds_the_lowest_merge_of_a_grid() -> None:
    region = Region.bounded(SOURCES, {"code": 0.1}, {"web": 0.7})
    loss = merge_loss(evaluator(count=40))
    start = region.project(np.full(3, 1 / 3))
    found = loss.optimum(region, start, tolerance=1e-5, max_evaluations=200)
    assert found.outcome == "converged" and found.gap <= 1e-5
    assert region.contains(found.mixture)
    spread = pool().roster.spread(SOURCES)
    for mixture in region.sample(100, np.random.default_rng(1)):
        assert found.value <= loss.value_and_gradient(mixture.shares @ spread)[0] + 1e-5
    assert len(found.values) == len(found.gaps) == len(found.shares) <= found.evaluations


class Squares:
    """A model whose one token costs |theta - CENTRE|^2 / 2 nats: every loss is known."""

    CENTRE = torch.tensor([2.0, 1.0, 0.5])
    vocabulary_size, context_length, flops_per_token, model_hash = 2, 1, 1.0, "squares"

    def token_log_probs(
        self, flat: torch.Tensor, inputs: torch.Tensor, targets: torch.Tensor
    ) -> torch.Tensor:
        return (-0.5 * (flat - self.CENTRE).square().sum()).expand(targets.shape)


def squares() -> MergeLoss:
    """Three branches along the axes, three away from a seed at zero; the ensemble says the same of all."""
    one = Evaluator.of(Squares(), [evaluation_set("web", [np.array([1])], 1)])  # type: ignore[arg-type]
    members = tuple(Member(name, name, 1, name) for name in SOURCES)
    bank = torch.cat([torch.zeros(1, 3), 3 * torch.eye(3)])
    roster = Roster("seed", members)
    flat = Ensemble(roster, one.documents, np.zeros((3, 1), dtype=np.float32))
    return MergeLoss(one, FlatPool(roster, bank), LinearMerge(), flat, np.ones(1))


def test_a_quadratic_loss_in_the_weights_has_its_known_optimum() -> None:
    """The merge of w is 3 w, so the optimum is the point of the simplex next to CENTRE / 3."""
    loss, region = squares(), Region.simplex(SOURCES)
    value, gradient = loss.value_and_gradient(np.array([0.2, 0.3, 0.5]))
    assert value == pytest.approx(0.5 * (1.4**2 + 0.1**2 + 1.0**2))
    np.testing.assert_allclose(gradient, 3 * np.array([0.6 - 2.0, 0.9 - 1.0, 1.5 - 0.5]), rtol=1e-6)
    nearest = np.array([2.0, 1.0, 0.5]) / 3 - (3.5 / 3 - 1) / 3
    for start in ([1 / 3, 1 / 3, 1 / 3], [0.05, 0.05, 0.9]):
        found = loss.optimum(region, Mixture(SOURCES, np.array(start)), tolerance=1e-6, max_evaluations=200)
        np.testing.assert_allclose(found.mixture.shares, nearest, atol=1e-3)
        assert found.value == pytest.approx(4.5 * float(np.square(nearest - np.array([2, 1, 0.5]) / 3).sum()))
    capped = Region.bounded(SOURCES, maximum={"web": 0.4})
    found = loss.optimum(
        capped, Mixture.of({"web": 0.3, "code": 0.3, "books": 0.4}), tolerance=1e-6, max_evaluations=200
    )
    np.testing.assert_allclose(found.mixture.shares, [0.4, 0.6 / 2 + 0.25 / 3, 0.6 / 2 - 0.25 / 3], atol=1e-3)


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
    _, gradient = merge_gradient(evaluator(), near, LinearMerge(), WEIGHTS, TARGET)
    flat = seed.double().requires_grad_()
    one = evaluator()
    loss = -(Bigram().token_log_probs(flat, one.inputs, one.targets) * one.token_weights(TARGET)).sum()
    loss.backward()
    assert flat.grad is not None
    exact = (near.branches.double() - seed.double()) @ flat.grad
    np.testing.assert_allclose(gradient, exact.numpy(), rtol=0.02)
