"""AdamW on one flat vector that several processes share (ZeRO, Rajbhandari et al. 2020,
https://arxiv.org/abs/1910.02054, stage 2).

Each process has one part of the float32 parameters, of both moments and of the gradient, and the whole
vector in the type of the products. It differentiates its rows of a batch; the gradient is reduced in float32
and scattered, each process updates its part, and the parts in use are gathered. With N parameters and P
processes a process holds 4 N + 16 N / P bytes in bfloat16 where one alone would hold 20 N.

The native model is a function of one vector, so that is what is spread. A model of transformers is spread
layer by layer (``fsdp_optimizer.py``), which takes less still.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from cuvee.models.layout import Layout
from cuvee.training.flat_optimizer import MeanLoss, adamw
from cuvee.training.ranks import Ranks
from cuvee.training.recipe import Recipe
from cuvee.training.state import TrainingState

_BLOCK = 1 << 24
"""Numbers of each part that are reduced at once."""


class ShardedOptimizer:
    """A process's part; see ``StepOptimizer``.

    Args:
        layout: of the parameters.
        state: where to begin: the first process has the vectors, which are let go here.
        recipe: its settings.
        ranks: all processes.
    """

    def __init__(self, layout: Layout, state: TrainingState, recipe: Recipe, ranks: Ranks) -> None:
        self._ranks, self._clip, self._size = ranks, recipe.clip, layout.size
        self._dtype = torch.bfloat16 if recipe.dtype == "bfloat16" else torch.float32
        self._width = -(-layout.size // ranks.count)
        self._flat = ranks.scattered(state.flat, self._width)
        self._first = ranks.scattered(state.first_moment, self._width)
        self._second = ranks.scattered(state.second_moment, self._width)
        self._tail: Tensor | None = None
        if ranks.agreed(state.tail_sum is not None):
            tail = state.tail_sum if state.tail_sum is not None else torch.empty(0)
            self._tail = ranks.scattered(tail, self._width)
        self._gradient = torch.zeros_like(self._flat)
        self._optimizer = self._adamw(layout, recipe, state.updates)
        self._low = torch.empty(ranks.count * self._width, dtype=self._dtype, device=ranks.device)
        state.flat = state.first_moment = state.second_moment = torch.empty(0)
        state.tail_sum = None
        self._gather_low()

    @property
    def device(self) -> torch.device:
        return self._ranks.device

    @property
    def keeps(self) -> bool:
        return self._ranks.first

    def agreed(self, wanted: bool) -> bool:
        return self._ranks.agreed(wanted)

    def whole(self) -> Tensor:
        return self._ranks.gathered(self._flat, self._size).to(self.device)

    def accumulate(self, mean_loss: MeanLoss, inputs: Tensor, targets: Tensor, share: float) -> Tensor:
        low = self._low[: self._size].detach().requires_grad_()
        own = self._ranks.part(inputs), self._ranks.part(targets)
        loss = mean_loss(low, *own) * (share / self._ranks.count)
        loss.backward()
        assert low.grad is not None
        self._add(low.grad)
        return self._ranks.total(loss.detach())

    def update(self, learning_rate: float) -> Tensor:
        squares = torch.linalg.vector_norm(self._gradient).square()
        norm = self._ranks.total(squares).sqrt()
        self._gradient *= (self._clip / norm.clamp(min=1e-12)).clamp(max=1.0)
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate
        self._optimizer.step()
        self._gradient.zero_()
        self._gather_low()
        return norm

    def add_to_tail(self) -> None:
        if self._tail is None:
            self._tail = torch.zeros_like(self._flat)
        self._tail += self._flat

    def write_back(self, state: TrainingState) -> None:
        gathered = self._ranks.gathered
        state.flat = gathered(self._flat, self._size)
        state.first_moment = gathered(self._first, self._size)
        state.second_moment = gathered(self._second, self._size)
        if self._tail is not None:
            state.tail_sum = gathered(self._tail, self._size)

    def _adamw(self, layout: Layout, recipe: Recipe, updates: int) -> torch.optim.Optimizer:
        """Decayed numbers of this part, and the others."""
        optimizer, begin = adamw(recipe), self._ranks.rank * self._width
        edge = min(max(layout.decayed - begin, 0), self._width)
        for span, decay in ((slice(0, edge), recipe.weight_decay), (slice(edge, self._width), 0.0)):
            if span.start == span.stop:
                continue
            parameter = torch.nn.Parameter(self._flat[span])
            parameter.grad = self._gradient[span]
            optimizer.add_param_group({"params": [parameter], "weight_decay": decay})
            optimizer.state[parameter] = {
                "step": torch.tensor(float(updates), device=self.device),
                "exp_avg": self._first[span],
                "exp_avg_sq": self._second[span],
            }
        del optimizer.param_groups[0]  # what it was made with, as it takes no empty list
        return optimizer

    def _add(self, gradient: Tensor) -> None:
        """Add this process's part of the sum of all gradients, block by block."""
        for begin in range(0, self._width, _BLOCK):
            end = min(begin + _BLOCK, self._width)
            pieces = torch.zeros(self._ranks.count, end - begin, device=self.device)
            for rank, piece in enumerate(pieces):
                found = gradient[rank * self._width + begin : rank * self._width + end]
                piece[: len(found)] = found
            own = torch.empty(end - begin, device=self.device)
            _reduce_scatter(own, pieces.view(-1))
            self._gradient[begin:end] += own

    def _gather_low(self) -> None:
        _all_gather(self._low, self._flat.to(self._dtype))


_Collective = Callable[[Tensor, Tensor], Any]


def _named(new: str, old: str) -> _Collective:
    """A collective under the name that this torch has for it."""
    found: _Collective = getattr(dist, new, None) or getattr(dist, old)
    return found


_reduce_scatter = _named("reduce_scatter_single", "reduce_scatter_tensor")
_all_gather = _named("all_gather_single", "all_gather_into_tensor")
