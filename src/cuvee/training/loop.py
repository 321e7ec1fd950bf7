"""The one training loop: seeds, branches and reference runs all pass here."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import isfinite
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from cuvee.errors import NonFiniteLoss
from cuvee.models.interface import CausalModel
from cuvee.training.recipe import Recipe
from cuvee.training.state import TrainingState
from cuvee.types import IntArray

SAVE_EVERY_SECONDS = 20.0
_NOTE_EVERY_SECONDS = 0.5
_MeanLoss = Callable[[Tensor, Tensor, Tensor], Tensor]


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
    device: str = "cpu",
    watcher: Watcher | None = None,
) -> TrainingState:
    """Train from ``state`` to the end of ``recipe`` and return the final state.

    AdamW (Loshchilov & Hutter 2019) in one fused call on the flat vector; gradients are clipped by
    their global norm. Cost: 3 x ``model.flops_per_token`` a token.

    Args:
        state: start or resume point; owned by the loop from now on.
        key: names the run in its state file.
        state_file: where the state is saved every 20 seconds; a usable one found there is resumed.
        evaluate: called with the parameters every ``evaluate_every`` steps, and kept in the state.
        until: go no further than this step; ``state_file`` then holds all that is needed to go on.
        report: called with tokens done, with loss, rate and realised learning rate as a note.
        watcher: looks on.

    Raises:
        NonFiniteLoss: with the step and what became infinite. Nothing is overwritten.
    """
    if state_file is not None:
        state = TrainingState.load(state_file, key) or state
    optimizer = _FlatAdamW(model, state, recipe, device)
    tail_begins = (
        recipe.steps - round(recipe.tail_average * recipe.steps) if recipe.tail_average else recipe.steps
    )
    saved_at = noted_at = time.monotonic()
    unreported = 0
    last = recipe.steps if until is None else min(until, recipe.steps)
    while state.step < last:
        inputs, targets = (torch.from_numpy(part) for part in batches.batch(state.step))
        loss = 0.0
        mean_loss = model.mean_loss if watcher is None else partial(watcher.loss, model)
        watched = optimizer.watched(state, inputs, targets)
        if watcher is not None:
            watcher.begin(watched)
        for part, goal in zip(
            inputs.chunk(recipe.accumulation), targets.chunk(recipe.accumulation), strict=True
        ):
            loss += optimizer.accumulate(mean_loss, part, goal, 1.0 / recipe.accumulation)
        if watcher is not None:
            watcher.end(watched)
        norm = optimizer.update(recipe.learning_rate_at(state.step))
        if not (isfinite(loss) and isfinite(norm)):
            what = "loss" if not isfinite(loss) else "gradient"
            raise NonFiniteLoss(
                f"run {key}: {what} became {loss if what == 'loss' else norm} at step {state.step} "
                f"(learning rate {recipe.learning_rate_at(state.step):g}); lower the learning rate"
            )
        state.step += 1
        state.updates += 1
        state.losses.append(loss)
        state.gradient_norms.append(norm)
        if state.step > tail_begins:
            if state.tail_sum is None:
                state.tail_sum = torch.zeros_like(optimizer.flat)
            # Saving moves the state to the processor's memory; the parameters stay where they are.
            state.tail_sum = state.tail_sum.to(optimizer.flat.device)
            state.tail_sum += optimizer.flat
            state.tail_steps += 1
        if state.step in recipe.snapshots:
            state.snapshots[state.step] = optimizer.flat.cpu().clone()
        if evaluate is not None and evaluate_every and state.step % evaluate_every == 0:
            state.evaluations.append((state.step, evaluate(optimizer.flat)))
        unreported += recipe.batch_tokens
        now = time.monotonic()
        if now - noted_at >= _NOTE_EVERY_SECONDS or state.step == last:
            rate = recipe.learning_rate_at(state.step - 1)
            report(unreported, f"step {state.step}/{recipe.steps} loss {loss:.3f} lr {rate:.2g}")
            noted_at, unreported = now, 0
        if state_file is not None and now - saved_at >= SAVE_EVERY_SECONDS and state.step < last:
            optimizer.write_back(state)
            state.save(state_file, key)
            saved_at = now
    optimizer.write_back(state)
    if state_file is not None and state.step < recipe.steps:
        state.save(state_file, key)
    return state


class _FlatAdamW:
    """torch's fused AdamW on two views of one vector: the decayed matrices and the rest."""

    def __init__(self, model: CausalModel, state: TrainingState, recipe: Recipe, device: str) -> None:
        boundary = model.layout.decayed
        self.flat = state.flat.to(device, copy=True)
        self._clip = recipe.clip
        self._dtype = torch.bfloat16 if recipe.dtype == "bfloat16" else torch.float32
        self._gradient = torch.zeros_like(self.flat)
        self._parts = [torch.nn.Parameter(part) for part in (self.flat[:boundary], self.flat[boundary:])]
        groups = [
            {"params": [part], "weight_decay": decay}
            for part, decay in zip(self._parts, (recipe.weight_decay, 0.0), strict=True)
            if part.numel()
        ]
        self._optimizer = torch.optim.AdamW(
            groups,
            lr=recipe.learning_rate,
            betas=(recipe.beta1, recipe.beta2),
            eps=recipe.epsilon,
            fused=True,
        )
        self._moments = [state.first_moment.to(device, copy=True), state.second_moment.to(device, copy=True)]
        for part, piece in zip(self._parts, (slice(None, boundary), slice(boundary, None)), strict=True):
            part.grad = self._gradient[piece]
            self._optimizer.state[part] = {
                "step": torch.tensor(float(state.updates), device=device),
                "exp_avg": self._moments[0][piece],
                "exp_avg_sq": self._moments[1][piece],
            }

    def accumulate(self, mean_loss: _MeanLoss, inputs: Tensor, targets: Tensor, share: float) -> float:
        """Add the gradient of one part of a batch; returns its share of the mean loss."""
        low = self.flat.to(self._dtype).detach().requires_grad_()
        loss = mean_loss(low, inputs, targets) * share
        loss.backward()
        assert low.grad is not None
        self._gradient += low.grad
        return float(loss.item())

    def watched(self, state: TrainingState, inputs: Tensor, targets: Tensor) -> WatchedStep:
        """What a watcher sees of this step."""
        return WatchedStep(
            state.step, self.flat, self._gradient, self._moments[1], state.updates, inputs, targets
        )

    def update(self, learning_rate: float) -> float:
        """One step; returns the norm of the gradient before clipping."""
        norm = torch.linalg.vector_norm(self._gradient)
        value = float(norm.item())
        if isfinite(value):
            self._gradient *= (self._clip / norm.clamp(min=1e-12)).clamp(max=1.0)
            for group in self._optimizer.param_groups:
                group["lr"] = learning_rate
            self._optimizer.step()
        self._gradient.zero_()
        return value

    def write_back(self, state: TrainingState) -> None:
        state.flat = self.flat.cpu().clone()
        state.first_moment, state.second_moment = (moment.cpu().clone() for moment in self._moments)
        if state.tail_sum is not None:
            state.tail_sum = state.tail_sum.cpu()
