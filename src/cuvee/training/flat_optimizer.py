"""torch's optimizers on one flat vector of parameters.

adamw   two views of the vector, the decayed matrices and the rest, in one fused AdamW (Loshchilov & Hutter
        2019, https://arxiv.org/abs/1711.05101)
muon    each hidden matrix by ``torch.optim.Muon`` (Jordan et al. 2024; momentum 0.95, Nesterov, five
        Newton-Schulz steps), whose updates are scaled to the size of AdamW's (Liu et al. 2025,
        https://arxiv.org/abs/2502.16982, section 2.2), so that one learning rate serves both; embeddings,
        head and norms by AdamW. The momentum lies where AdamW has its first moment.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from cuvee.errors import ConfigError
from cuvee.models.layout import Layout
from cuvee.training.recipe import MUON, Recipe
from cuvee.training.state import TrainingState

MeanLoss = Callable[[Tensor, Tensor, Tensor], Tensor]

MUON_MOMENTUM = 0.95
_FIRST_TORCH_WITH_MUON = "2.9"
_NOT_HIDDEN = re.compile(r"embed|lm_head|\bw[tp]e\b|\bhead\b")


@dataclass(frozen=True)
class _Numbers:
    """Numbers of the vector that are updated in one way."""

    begin: int
    end: int
    decayed: bool
    shape: tuple[int, ...] | None = None
    """Of a matrix that is updated as one; None: number by number."""

    def of(self, vector: Tensor) -> Tensor:
        """These numbers, a view."""
        piece = vector[self.begin : self.end]
        return piece if self.shape is None else piece.view(self.shape)


class StepOptimizer(Protocol):
    """What the loop asks of an optimizer, in one process or in each of several that share a training."""

    @property
    def device(self) -> torch.device: ...

    @property
    def keeps(self) -> bool:
        """Whether this process writes the state down."""
        ...

    def agreed(self, wanted: bool) -> bool:
        """What all processes of the training do: what the first one wants."""
        ...

    def whole(self) -> Tensor:
        """All parameters [N], on the device of the process that keeps them; elsewhere nothing."""
        ...

    def accumulate(self, mean_loss: MeanLoss, inputs: Tensor, targets: Tensor, share: float) -> Tensor:
        """Add the gradient of one part of a batch; returns its share of the mean loss."""
        ...

    def update(self, learning_rate: float) -> Tensor:
        """One step; returns the norm of the gradient before clipping."""
        ...

    def add_to_tail(self) -> None:
        """Count the parameters as they are in their mean over the last steps."""
        ...

    def write_back(self, state: TrainingState) -> None:
        """Put parameters, moments and the sum over the last steps into the state of who keeps it."""
        ...


class FlatOptimizer:
    """Parameters, their gradient and the moments, on a device.

    Args:
        layout: of the parameters.
        state: where to begin; it is copied.
        recipe: which optimizer, and its settings.
        device: where.

    Raises:
        ConfigError: this torch has no Muon.
    """

    def __init__(self, layout: Layout, state: TrainingState, recipe: Recipe, device: str) -> None:
        self.flat = state.flat.to(device, copy=True)
        self._clip = recipe.clip
        self._dtype = torch.bfloat16 if recipe.dtype == "bfloat16" else torch.float32
        self.gradient = torch.zeros_like(self.flat)
        self.first = state.first_moment.to(device, copy=True)
        self.second = state.second_moment.to(device, copy=True)
        self.tail = None if state.tail_sum is None else state.tail_sum.to(device, copy=True)
        self._optimizers = [adamw(recipe)] if recipe.optimizer != MUON else [adamw(recipe), _muon(recipe)]
        for part in _parts(layout, recipe.optimizer == MUON):
            parameter = torch.nn.Parameter(part.of(self.flat))
            parameter.grad = part.of(self.gradient)
            optimizer = self._optimizers[part.shape is not None]
            decay = recipe.weight_decay if part.decayed else 0.0
            optimizer.add_param_group({"params": [parameter], "weight_decay": decay})
            if part.shape is not None:
                optimizer.state[parameter] = {"momentum_buffer": part.of(self.first)}
                continue
            optimizer.state[parameter] = {
                "step": torch.tensor(float(state.updates), device=device),
                "exp_avg": part.of(self.first),
                "exp_avg_sq": part.of(self.second),
            }
        for optimizer in self._optimizers:
            del optimizer.param_groups[0]  # what it was made with, as it takes no empty list

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.flat.device

    @property
    def keeps(self) -> bool:
        """Whether this process writes the state down: it is the only one."""
        return True

    def agreed(self, wanted: bool) -> bool:
        """What all processes of the training do: what this one wants."""
        return wanted

    def whole(self) -> Tensor:
        """All parameters [N], on the device."""
        return self.flat

    def accumulate(self, mean_loss: MeanLoss, inputs: Tensor, targets: Tensor, share: float) -> Tensor:
        """Add the gradient of one part of a batch; returns its share of the mean loss."""
        low = self.flat.to(self._dtype).detach().requires_grad_()
        loss = mean_loss(low, inputs, targets) * share
        loss.backward()
        assert low.grad is not None
        self.gradient += low.grad
        return loss.detach()

    def update(self, learning_rate: float) -> Tensor:
        """One step; returns the norm of the gradient before clipping."""
        norm: Tensor = torch.linalg.vector_norm(self.gradient)
        self.gradient *= (self._clip / norm.clamp(min=1e-12)).clamp(max=1.0)
        for optimizer in self._optimizers:
            for group in optimizer.param_groups:
                group["lr"] = learning_rate
            optimizer.step()
        self.gradient.zero_()
        return norm

    def add_to_tail(self) -> None:
        """Count the parameters as they are in their mean over the last steps."""
        if self.tail is None:
            self.tail = torch.zeros_like(self.flat)
        self.tail += self.flat

    def write_back(self, state: TrainingState) -> None:
        """Put parameters, moments and the sum over the last steps into a state."""
        state.flat = self.flat.cpu().clone()
        state.first_moment, state.second_moment = self.first.cpu().clone(), self.second.cpu().clone()
        if self.tail is not None:
            state.tail_sum = self.tail.cpu().clone()


def adamw(recipe: Recipe) -> torch.optim.Optimizer:
    """AdamW of a recipe, with one parameter that stands for those to come."""
    return torch.optim.AdamW(
        [torch.nn.Parameter(torch.zeros(1))],
        lr=recipe.learning_rate,
        betas=(recipe.beta1, recipe.beta2),
        eps=recipe.epsilon,
        fused=True,
    )


def _muon(recipe: Recipe) -> torch.optim.Optimizer:
    if not hasattr(torch.optim, "Muon"):
        raise ConfigError(
            f"optimizer: muon needs torch {_FIRST_TORCH_WITH_MUON} or newer, and this is torch "
            f"{torch.__version__}; say adamw, or upgrade torch"
        )
    return torch.optim.Muon(
        [torch.nn.Parameter(torch.zeros(1, 1))],
        lr=recipe.learning_rate,
        momentum=MUON_MOMENTUM,
        adjust_lr_fn="match_rms_adamw",
    )


def _parts(layout: Layout, by_matrix: bool) -> Iterator[_Numbers]:
    """Hidden matrices one by one, if asked, and what lies between them."""
    begin = 0
    for entry in layout.entries if by_matrix else ():
        if len(entry.shape) == 2 and entry.offset < layout.decayed and not _NOT_HIDDEN.search(entry.name):
            yield from _between(begin, entry.offset, layout.decayed)
            begin = entry.offset + entry.size
            yield _Numbers(entry.offset, begin, True, entry.shape)
    yield from _between(begin, layout.size, layout.decayed)


def _between(begin: int, end: int, decayed: int) -> Iterator[_Numbers]:
    if begin < min(end, decayed):
        yield _Numbers(begin, min(end, decayed), True)
    if max(begin, decayed) < end:
        yield _Numbers(max(begin, decayed), end, False)
