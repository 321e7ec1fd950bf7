"""Optimizers on the flat vector: as torch has them, tensor by tensor."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from cuvee.errors import ConfigError
from cuvee.models.layout import Layout
from cuvee.training.flat_optimizer import MUON_MOMENTUM, FlatOptimizer
from cuvee.training.loop import train
from cuvee.training.recipe import Recipe
from cuvee.training.state import TrainingState
from tests.training.helpers import Counting, recipe, tiny_model

MUON = recipe(optimizer="muon", weight_decay=0.2, clip=0.5)


def gradients(layout: Layout, steps: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(3)
    return [torch.randn(layout.size, generator=generator) for _ in range(steps)]


def by_tensor(layout: Layout, flat: Tensor, one: Recipe, steps: list[Tensor]) -> Tensor:
    """torch's own optimizers on a parameter a tensor."""
    parameters = {entry.name: torch.nn.Parameter(entry.view(flat).clone()) for entry in layout.entries}
    hidden = [p for name, p in parameters.items() if p.ndim == 2 and "embed" not in name]
    embedding = [p for name, p in parameters.items() if "embed" in name]
    norms = [p for p in parameters.values() if p.ndim == 1]
    optimizers: list[Any] = [
        torch.optim.Muon(
            hidden, weight_decay=one.weight_decay, momentum=MUON_MOMENTUM, adjust_lr_fn="match_rms_adamw"
        ),
        torch.optim.AdamW(
            [{"params": embedding, "weight_decay": one.weight_decay}, {"params": norms, "weight_decay": 0.0}],
            betas=(one.beta1, one.beta2),
            eps=one.epsilon,
        ),
    ]
    for step, gradient in enumerate(steps):
        scaled = gradient * (one.clip / gradient.norm()).clamp(max=1.0)
        for entry in layout.entries:
            parameters[entry.name].grad = entry.view(scaled).clone()
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = one.learning_rate_at(step)
            optimizer.step()
    return torch.cat([p.detach().flatten() for p in parameters.values()])


def test_muon_is_torchs_on_hidden_matrices_and_adamw_elsewhere() -> None:
    layout, start = tiny_model().layout, tiny_model().initial(0)
    optimizer = FlatOptimizer(layout, TrainingState.fresh(start), MUON, "cpu")
    steps = gradients(layout, 5)
    for step, gradient in enumerate(steps):
        optimizer.gradient += gradient
        assert float(optimizer.update(MUON.learning_rate_at(step))) == pytest.approx(float(gradient.norm()))
    torch.testing.assert_close(optimizer.flat, by_tensor(layout, start, MUON, steps), rtol=2e-3, atol=2e-5)


def test_a_broken_training_by_muon_goes_on_to_the_same_bytes() -> None:
    def part(state: TrainingState, until: int | None = None) -> TrainingState:
        return train(tiny_model(), state, Counting(4), MUON, key="k", until=until)

    whole = part(TrainingState.fresh(tiny_model().initial(0)))
    half = part(TrainingState.fresh(tiny_model().initial(0)), 5)
    rest = part(half)
    assert torch.equal(rest.flat, whole.flat) and torch.equal(rest.first_moment, whole.first_moment)
    assert whole.losses[-1] < whole.losses[0]


def test_what_cannot_be_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="optimizer 'sgd' is unknown; known: adamw, muon"):
        recipe(optimizer="sgd")
    with pytest.raises(ConfigError, match="only runs of adamw are stacked"):
        replace(MUON, stacked=2)
    monkeypatch.delattr(torch.optim, "Muon")
    with pytest.raises(ConfigError, match=r"muon needs torch 2\.9 or newer"):
        FlatOptimizer(tiny_model().layout, TrainingState.fresh(tiny_model().initial(0)), MUON, "cpu")
