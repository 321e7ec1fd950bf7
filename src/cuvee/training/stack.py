"""K trainings of one shape on a device, and one step of all of them without Python between.

All that a step needs lies on the device before it begins: tokens, learning rates and bias corrections of a
block of steps. All that it finds stays there: losses and norms are written into the block's rows and read at
its end. So a step is a fixed sequence of kernels, which ``Replayed`` records once. A block is only queued:
the next one is filled and queued behind it while the device is still at work.

The update is AdamW (Loshchilov & Hutter 2019) as torch has it, after clipping each member's gradient by its
own norm. A member whose loss or gradient is not finite keeps its parameters; the others go on.

Shapes: K members, N parameters, R steps of a block, B sequences, T positions.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt
from weakref import WeakMethod

import numpy as np
import torch
from torch import Tensor

from cuvee.models.llama import compiled_whole
from cuvee.models.replayed import WARM_UPS, Replayed
from cuvee.models.stacked_llama import StackedLlama
from cuvee.training.recipe import Recipe
from cuvee.training.state import TrainingState
from cuvee.types import Float32Array

_BLOCK_BYTES = 64 * 2**20
_MOST_STEPS = 32
_IDLE = -1.0
_COLUMNS = 4  # rate, first bias correction, root of the second, weight in the tail average


@dataclass(frozen=True, eq=False)
class BlockResults:
    """What a block of steps found."""

    losses: Float32Array
    """[steps, K]"""
    norms: Float32Array
    """Of the gradients before clipping [steps, K]."""


@dataclass(eq=False)
class Room:
    """Where a block of steps is filled in, in memory that a device reads by itself."""

    tokens: Tensor
    """Of every step and member, int32 [steps, K, B, T + 1]; anything where a member is idle."""
    plan: Tensor
    """Float32 [steps, K, 4], rows of ``planned`` or ``idle``."""
    read: torch.cuda.Event | None = None
    """When the device has read it."""

    @classmethod
    def of(cls, steps: int, members: int, recipe: Recipe, pinned: bool) -> "Room":
        shape = steps, members, recipe.batch_sequences, recipe.context_length + 1
        tokens = torch.zeros(shape, dtype=torch.int32, pin_memory=pinned)
        return cls(tokens, torch.zeros(steps, members, _COLUMNS, pin_memory=pinned))


@dataclass(frozen=True, eq=False)
class Queued:
    """A block of steps that the device was given."""

    losses: Tensor
    norms: Tensor
    done: torch.cuda.Event | None

    def found(self) -> BlockResults:
        """What the steps have found; waits for them."""
        if self.done is not None:
            self.done.synchronize()
        return BlockResults(self.losses.numpy(), self.norms.numpy())


class Stack:
    """State of K members, and their steps.

    Args:
        model: K members of one shape.
        recipe: what all members share; rates and lengths are each member's own.
        compiled: fuse the update with ``torch.compile``.
    """

    def __init__(self, model: StackedLlama, recipe: Recipe, compiled: bool = False) -> None:
        count, size = model.members, model.size
        self.model = model
        self.recipe = recipe
        self.block_steps = _block_steps(recipe, count)
        device = model.device
        self.flat = torch.zeros(count, size, device=device)
        self.first, self.second = torch.zeros_like(self.flat), torch.zeros_like(self.flat)
        self.tail = torch.zeros_like(self.flat) if recipe.tail_average else None
        shape = self.block_steps, count
        self._tokens = torch.zeros(
            *shape, recipe.batch_sequences, recipe.context_length + 1, dtype=torch.int32, device=device
        )
        self._plan = torch.full((*shape, _COLUMNS), _IDLE, device=device)
        self._losses, self._norms = torch.zeros(shape, device=device), torch.zeros(shape, device=device)
        pinned = device.type == "cuda"
        self._rooms = [Room.of(self.block_steps, count, recipe, pinned) for _ in range(2)]
        self._row = torch.zeros(1, dtype=torch.int64, device=device)
        self._moved = compiled_whole(_moved) if compiled else _moved
        changed = [self.flat, self.first, self.second, self._losses, self._norms, self._row]
        # The step does not hold the stack that holds it, so that a device's memory is free at once.
        step = WeakMethod(self._one_step)
        self._step = Replayed(
            lambda: _alive(step)(), device, changed if self.tail is None else [*changed, self.tail]
        )

    def put(self, member: int, state: TrainingState) -> None:
        """Let a member begin or go on."""
        self.flat[member].copy_(state.flat)
        self.first[member].copy_(state.first_moment)
        self.second[member].copy_(state.second_moment)
        if self.tail is not None:
            if state.tail_sum is None:
                self.tail[member].zero_()
            else:
                self.tail[member].copy_(state.tail_sum)

    def take(self, member: int, state: TrainingState) -> None:
        """Write where a member stands into its state."""
        state.flat = self.flat[member].cpu().clone()
        state.first_moment = self.first[member].cpu().clone()
        state.second_moment = self.second[member].cpu().clone()
        if self.tail is not None and state.tail_steps:
            state.tail_sum = self.tail[member].cpu().clone()

    def room(self) -> Room:
        """For the next block; waits until the device has read what stood there two blocks before."""
        self._rooms.append(self._rooms.pop(0))
        room = self._rooms[0]
        if room.read is not None:
            room.read.synchronize()
        return room

    def begin(self, room: Room, steps: int) -> Queued:
        """Go some steps; a device is only given the work, and goes on with it after this returns."""
        self._tokens[:steps].copy_(room.tokens[:steps], non_blocking=True)
        self._plan[:steps].copy_(room.plan[:steps], non_blocking=True)
        room.read = self._reached()
        self._row.zero_()
        for _ in range(steps):
            self._step()
        losses, norms = (_copied(part[:steps]) for part in (self._losses, self._norms))
        return Queued(losses, norms, self._reached())

    def _reached(self) -> torch.cuda.Event | None:
        """When all that the device was given is done."""
        if self.model.device.type != "cuda":
            return None
        event = torch.cuda.Event()
        event.record(torch.cuda.current_stream(self.model.device))
        return event

    def _one_step(self) -> None:
        tokens = self._tokens.index_select(0, self._row)[0].long()
        plan = self._plan.index_select(0, self._row)[0]
        losses, gradient = self._differentiated(tokens)
        norms = torch.linalg.vector_norm(gradient, dim=1)
        self._moved(
            self.flat, self.first, self.second, gradient, norms, losses, plan, self.tail, self._constants
        )
        self._losses.index_copy_(0, self._row, losses[None])
        self._norms.index_copy_(0, self._row, norms[None])
        self._row += 1

    def _differentiated(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Mean losses [K] of a batch and their gradients [K, N], part by part."""
        parts = self.recipe.accumulation
        total, gradient = torch.zeros(self.model.members, device=tokens.device), None
        for part in tokens.chunk(parts, dim=1):
            flat = self.flat.detach().requires_grad_()
            losses = self.model.mean_losses(flat, part[..., :-1], part[..., 1:]) / parts
            (one,) = torch.autograd.grad(losses.sum(), flat)
            gradient = one if gradient is None else gradient + one
            total = total + losses.detach()
        assert gradient is not None  # there is at least one part
        return total, gradient

    @property
    def _constants(self) -> "_Constants":
        r = self.recipe
        return _Constants(self.model.decayed, r.weight_decay, r.beta1, r.beta2, r.epsilon, r.clip)


@dataclass(frozen=True)
class _Constants:
    """What the update has of the recipe."""

    decayed: int
    weight_decay: float
    beta1: float
    beta2: float
    epsilon: float
    clip: float


def _moved(
    flat: Tensor,
    first: Tensor,
    second: Tensor,
    gradient: Tensor,
    norms: Tensor,
    losses: Tensor,
    plan: Tensor,
    tail: Tensor | None,
    c: _Constants,
) -> None:
    """One update in place of those members that are at work and finite."""
    rate, first_bias, second_root, in_tail = (column[:, None] for column in plan.unbind(1))
    works = (rate >= 0) & (torch.isfinite(norms) & torch.isfinite(losses))[:, None]
    scaled = gradient * (c.clip / norms.clamp(min=1e-12)).clamp(max=1.0)[:, None]
    one = torch.lerp(first, scaled, 1.0 - c.beta1)
    two = second * c.beta2 + (1.0 - c.beta2) * scaled * scaled
    step = one / (two.sqrt() / second_root + c.epsilon)
    shrunk = torch.cat([flat[:, : c.decayed] * (1.0 - rate * c.weight_decay), flat[:, c.decayed :]], dim=1)
    moved = torch.where(works, shrunk - rate / first_bias * step, flat)
    first.copy_(torch.where(works, one, first))
    second.copy_(torch.where(works, two, second))
    flat.copy_(moved)
    if tail is not None:
        tail.copy_(torch.where(works & (in_tail > 0), tail + moved, tail))


def planned(recipe: Recipe, state: TrainingState, ahead: int, steps: int) -> Float32Array:
    """What steps of a member need besides tokens [steps, 4].

    Args:
        recipe: of the member.
        state: where it stood when it was last looked at.
        ahead: steps since then.
        steps: how many.
    """
    tail_begins = recipe.steps - round(recipe.tail_average * recipe.steps)
    rows = [
        (
            recipe.learning_rate_at(state.step + step),
            1.0 - recipe.beta1 ** (state.updates + step + 1),
            sqrt(1.0 - recipe.beta2 ** (state.updates + step + 1)),
            float(recipe.tail_average > 0 and state.step + step >= tail_begins),
        )
        for step in range(ahead, ahead + steps)
    ]
    return np.array(rows, dtype=np.float32)


def _copied(part: Tensor) -> Tensor:
    """In the machine's memory, without waiting for a device."""
    if part.device.type == "cpu":
        return part.clone()
    there = torch.empty(part.shape, dtype=part.dtype, pin_memory=part.device.type == "cuda")
    return there.copy_(part, non_blocking=part.device.type == "cuda")


def _alive(method: WeakMethod[Callable[[], None]]) -> Callable[[], None]:
    found = method()
    assert found is not None  # only its stack calls it
    return found


def idle(steps: int) -> Float32Array:
    """The same of a place in the stack that nobody has."""
    return np.full((steps, _COLUMNS), _IDLE, dtype=np.float32)


def _block_steps(recipe: Recipe, members: int) -> int:
    """Steps whose tokens are sent at once: enough that sending and reading cost nothing; more than warming up
    goes through."""
    step = 4 * members * recipe.batch_sequences * (recipe.context_length + 1)
    return max(WARM_UPS + 1, min(_MOST_STEPS, _BLOCK_BYTES // step))
