"""The one training loop: seeds, branches and reference runs all pass here."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from math import isfinite
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from cuvee.errors import NonFiniteLoss
from cuvee.models.interface import CausalModel
from cuvee.training.flat_optimizer import FlatOptimizer, StepOptimizer
from cuvee.training.recipe import Recipe
from cuvee.training.state import TrainingState
from cuvee.types import IntArray

SAVE_EVERY_SECONDS = 20.0
_NOTE_EVERY_SECONDS = 0.5
_SOURCES_NOTED = 4
_READ_EVERY = {"cpu": 1}
"""Steps after which losses are read; reading waits for a device, which then has nothing to do."""
_READ_EVERY_ELSEWHERE = 32


class Batches(Protocol):
    """Where training tokens come from: a pure function of the step."""

    def batch(self, step: int) -> tuple[IntArray, IntArray]:
        """Inputs and targets, int64 [B, T]."""
        ...


class Watcher(Protocol):
    """Looks on while a model is trained, and changes nothing but how the same loss is computed."""

    def loss(self, model: CausalModel, flat: Tensor, inputs: Tensor, targets: Tensor) -> Tensor:
        """Mean nats per token of one part of a batch, as ``CausalModel.mean_loss``."""
        ...

    def begin(self, step: "WatchedStep") -> None:
        """A batch is read; its gradient is still zero."""
        ...

    def end(self, step: "WatchedStep") -> None:
        """All parts of the batch are differentiated; the parameters are still those that it met."""
        ...


@dataclass(frozen=True, eq=False)
class WatchedStep:
    """A step before the update. The tensors belong to the loop."""

    step: int
    flat: Tensor
    """Parameters [N]."""
    gradient: Tensor
    """Of the mean loss so far, not clipped [N]."""
    second_moment: Tensor
    """Adam's, before this update [N]."""
    updates: int
    """Updates behind it."""
    inputs: Tensor
    targets: Tensor


def train(
    model: CausalModel,
    state: TrainingState,
    batches: Batches,
    recipe: Recipe,
    *,
    key: str,
    state_file: Path | None = None,
    evaluate: Callable[[Tensor], dict[str, float]] | None = None,
    evaluate_every: int = 0,
    until: int | None = None,
    report: Callable[[float, str], None] = lambda tokens, note: None,
    realised: Callable[[int], Mapping[str, int]] | None = None,
    device: str = "cpu",
    watcher: Watcher | None = None,
    shared: StepOptimizer | None = None,
) -> TrainingState:
    """Train from ``state`` to the end of ``recipe`` and return the final state.

    Gradients are clipped by their global norm; the optimizer is the recipe's (``flat_optimizer.py``). Cost:
    3 x ``model.flops_per_token`` a token.

    Args:
        state: start or resume point; owned by the loop from now on.
        key: names the run in its state file.
        state_file: where the state is saved every 20 seconds; a usable one found there is resumed.
        evaluate: called with the parameters every ``evaluate_every`` steps, and kept in the state.
        until: go no further than this step; ``state_file`` then holds all that is needed to go on.
        report: called with tokens done, with loss, rate and realised learning rate as a note.
        realised: tokens that the first steps read of each source; their shares stand in the note.
        watcher: looks on.
        shared: this process's part of an optimizer that several share; it has read ``state`` already.

    Raises:
        NonFiniteLoss: with the step and what became infinite. Nothing is overwritten.
    """
    if state_file is not None and shared is None:
        state = TrainingState.load(state_file, key) or state
    optimizer = shared or FlatOptimizer(model.layout, state, recipe, device)
    measured = _Measured(key, recipe, state, _READ_EVERY.get(optimizer.device.type, _READ_EVERY_ELSEWHERE))
    tail_begins = (
        recipe.steps - round(recipe.tail_average * recipe.steps) if recipe.tail_average else recipe.steps
    )
    saved_at = noted_at = time.monotonic()
    unreported = 0
    last = recipe.steps if until is None else min(until, recipe.steps)
    while state.step < last:
        inputs, targets = (torch.from_numpy(part) for part in batches.batch(state.step))
        mean_loss = model.mean_loss if watcher is None else partial(watcher.loss, model)
        watched = _watched(optimizer, state, inputs, targets) if watcher is not None else None
        if watcher is not None and watched is not None:
            watcher.begin(watched)
        losses = [
            optimizer.accumulate(mean_loss, part, goal, 1.0 / recipe.accumulation)
            for part, goal in zip(
                inputs.chunk(recipe.accumulation), targets.chunk(recipe.accumulation), strict=True
            )
        ]
        if watcher is not None and watched is not None:
            watcher.end(watched)
        norm = optimizer.update(recipe.learning_rate_at(state.step))
        state.step += 1
        state.updates += 1
        measured.add(losses, norm)
        if state.step > tail_begins:
            optimizer.add_to_tail()
            state.tail_steps += 1
        if state.step in recipe.snapshots:
            measured.read()
            state.snapshots[state.step] = optimizer.whole().cpu().clone()
        if evaluate is not None and evaluate_every and state.step % evaluate_every == 0:
            measured.read()
            whole = optimizer.whole()
            if optimizer.keeps:
                state.evaluations.append((state.step, evaluate(whole)))
        unreported += recipe.batch_tokens
        now = time.monotonic()
        if now - noted_at >= _NOTE_EVERY_SECONDS or state.step == last:
            measured.read()
            rate = recipe.learning_rate_at(state.step - 1)
            read = "" if realised is None else _shares_read(realised(state.step))
            loss = state.losses[-1]
            report(unreported, f"step {state.step}/{recipe.steps} loss {loss:.3f} lr {rate:.2g}{read}")
            noted_at, unreported = now, 0
        unsaved = now - saved_at >= SAVE_EVERY_SECONDS
        if state_file is not None and state.step < last and optimizer.agreed(unsaved):
            measured.read()
            _save(optimizer, state, state_file, key)
            saved_at = now
    if state_file is not None and state.step < recipe.steps:
        _save(optimizer, state, state_file, key)
    else:
        optimizer.write_back(state)
    return state


def _save(optimizer: StepOptimizer, state: TrainingState, state_file: Path, key: str) -> None:
    optimizer.write_back(state)
    if optimizer.keeps:
        state.save(state_file, key)


def _shares_read(tokens: Mapping[str, int]) -> str:
    """Realised shares for a note, the largest first."""
    total, largest = sum(tokens.values()), sorted(tokens, key=lambda name: -tokens[name])
    shown = [f"{name} {tokens[name] / total:.1%}" for name in largest[:_SOURCES_NOTED]]
    return f" read {', '.join(shown)}{', ...' if len(largest) > _SOURCES_NOTED else ''}"


def diverged(key: str, recipe: Recipe, step: int, loss: float, norm: float) -> NonFiniteLoss:
    """The error of a run whose loss, or gradient, is not finite at a step."""
    what, value = ("gradient", norm) if isfinite(loss) else ("loss", loss)
    rate = recipe.learning_rate_at(step)
    return NonFiniteLoss(
        f"run {key}: {what} became {value} at step {step} (learning rate {rate:g}); lower the learning rate"
    )


@dataclass(eq=False)
class _Measured:
    """Losses and gradient norms of a run, read from the device a few steps at once."""

    key: str
    recipe: Recipe
    state: TrainingState
    every: int
    waiting: list[tuple[list[Tensor], Tensor]] = field(default_factory=list)

    def add(self, losses: list[Tensor], norm: Tensor) -> None:
        """Those of a step that is done."""
        self.waiting.append((losses, norm))
        if len(self.waiting) >= self.every:
            self.read()

    def read(self) -> None:
        """Write all that waits into the state.

        Raises:
            NonFiniteLoss: of the first step that has one.
        """
        first = self.state.step - len(self.waiting)
        for step, (losses, norm) in enumerate(self.waiting, first):
            loss, length = sum(float(one.item()) for one in losses), float(norm.item())
            if not (isfinite(loss) and isfinite(length)):
                raise diverged(self.key, self.recipe, step, loss, length)
            self.state.losses.append(loss)
            self.state.gradient_norms.append(length)
        self.waiting.clear()


def _watched(optimizer: StepOptimizer, state: TrainingState, inputs: Tensor, targets: Tensor) -> WatchedStep:
    assert isinstance(optimizer, FlatOptimizer)  # only trainings in one process are watched
    return WatchedStep(
        state.step, optimizer.flat, optimizer.gradient, optimizer.second, state.updates, inputs, targets
    )
