"""Newton's direction against leaving documents out of a convex problem and fitting it again."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from cuvee.types import FloatArray
from cuvee.valuation.directions import hessian_product, newton_direction

COUNT, WIDTH, CLASSES, HARD = 200, 6, 3, 6
RIDGE = 1e-2


class Logistic:
    """Multinomial logistic regression with a small ridge; parameters are one vector."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        features = rng.normal(size=(COUNT + 100, WIDTH))
        labels = np.argmax(
            features @ rng.normal(size=(WIDTH, CLASSES)) + rng.gumbel(size=(COUNT + 100, CLASSES)), 1
        )
        self.x, self.y = torch.from_numpy(features[:COUNT]), torch.from_numpy(labels[:COUNT])
        self.tests = torch.from_numpy(features[COUNT:]), torch.from_numpy(labels[COUNT:])

    def nats(self, flat: Tensor, x: Tensor, y: Tensor) -> Tensor:
        """Of each point."""
        return torch.nn.functional.cross_entropy(x @ flat.view(WIDTH, CLASSES), y, reduction="none")

    def loss(self, weights: Tensor) -> Callable[[Tensor], Tensor]:
        """Mean nats over the weighted points."""
        return lambda flat: (
            (weights * self.nats(flat, self.x, self.y)).sum() / COUNT + RIDGE / 2 * flat @ flat
        )

    def fitted(self, weights: Tensor, start: Tensor) -> Tensor:
        """The optimum, by Newton's method."""
        flat, loss = start, self.loss(weights)
        for _ in range(20):
            gradient = torch.func.grad(loss)(flat)
            if float(gradient.norm()) < 1e-12:
                break
            flat = flat - torch.linalg.solve(torch.autograd.functional.hessian(loss, flat), gradient)
        return flat


@pytest.fixture(scope="module")
def problem() -> tuple[Logistic, Tensor, FloatArray]:
    """The problem, its optimum, and the change of all test losses when each point is left out [tests, n]."""
    logistic = Logistic()
    every = torch.ones(COUNT, dtype=torch.float64)
    flat = logistic.fitted(every, torch.zeros(WIDTH * CLASSES, dtype=torch.float64))
    before = logistic.nats(flat, *logistic.tests)
    changes = []
    for left in range(COUNT):
        weights = every.clone()
        weights[left] = 0.0
        changes.append(logistic.nats(logistic.fitted(weights, flat), *logistic.tests) - before)
    return logistic, flat, torch.stack(changes, dim=1).numpy()


def mirrored(
    problem: tuple[Logistic, Tensor, FloatArray], direction: Callable[[Tensor], Tensor], length: float
) -> float:
    """Mean correlation over the hardest test points between leaving a point out and the rise of its own loss
    along the direction of the test point."""
    logistic, flat, changes = problem
    hard = torch.argsort(-logistic.nats(flat, *logistic.tests))[:HARD].tolist()
    found = []
    for one in hard:
        x, y = logistic.tests[0][one : one + 1], logistic.tests[1][one : one + 1]
        gradient = torch.func.grad(lambda here, x=x, y=y: logistic.nats(here, x, y).sum())(flat)
        step = direction(gradient)
        step = length * step / step.norm()
        rise = logistic.nats(flat + step, logistic.x, logistic.y) - logistic.nats(
            flat - step, logistic.x, logistic.y
        )
        found.append(np.corrcoef(rise.numpy(), changes[one])[0, 1])
    return float(np.mean(found))


def test_newtons_direction_is_as_good_as_leaving_out_and_the_raw_gradient_is_not(
    problem: tuple[Logistic, Tensor, FloatArray],
) -> None:
    logistic, flat, _ = problem
    loss = logistic.loss(torch.ones(COUNT, dtype=torch.float64))

    def newton(gradient: Tensor) -> Tensor:
        return newton_direction(loss, flat, gradient, damping=1e-9, iterations=50)

    assert mirrored(problem, newton, 1e-4) >= 0.99  # the influence function
    assert mirrored(problem, newton, 0.3) >= 0.95  # a step as long as a training might take
    assert mirrored(problem, lambda gradient: gradient, 1e-4) < mirrored(problem, newton, 1e-4)


def test_the_direction_solves_the_damped_system(problem: tuple[Logistic, Tensor, FloatArray]) -> None:
    logistic, flat, _ = problem
    loss = logistic.loss(torch.ones(COUNT, dtype=torch.float64))
    gradient = torch.randn(WIDTH * CLASSES, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    hessian = torch.autograd.functional.hessian(loss, flat)
    damping = 0.1 * float(gradient @ hessian @ gradient) / float(gradient @ gradient)
    true = torch.linalg.solve(hessian + damping * torch.eye(len(flat), dtype=torch.float64), gradient)
    torch.testing.assert_close(newton_direction(loss, flat, gradient, 0.1, 100), true, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(hessian_product(loss, flat, gradient), hessian @ gradient)


def test_negative_curvature_ends_at_the_gradient_and_none_at_zero() -> None:
    flat, gradient = torch.zeros(3), torch.tensor([1.0, 0.0, 0.0])
    torch.testing.assert_close(newton_direction(lambda x: -(x @ x), flat, gradient, 0.1), gradient)
    torch.testing.assert_close(newton_direction(lambda x: x @ x, flat, torch.zeros(3)), torch.zeros(3))
