"""AdamW on a model of transformers whose layers several processes share: torch's FSDP2 (``fully_shard``, Zhao
et al. 2023, https://arxiv.org/abs/2304.11277).

Each process has a part of the rows of every parameter, of its moments and of its gradient; a layer is
gathered while it computes. With N parameters and P processes a process holds 16 N / P bytes and one layer.
Gradients are reduced in float32. The optimizer steps on the parts themselves, as AdamW knows no neighbours.
"""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from cuvee.models.hugging_face import HuggingFaceModel
from cuvee.models.layout import Entry
from cuvee.training.flat_optimizer import MeanLoss, adamw
from cuvee.training.ranks import Ranks
from cuvee.training.recipe import Recipe
from cuvee.training.state import TrainingState


class FsdpOptimizer:
    """A process's part; see ``StepOptimizer``.

    Args:
        model: loaded into the machine's memory; it computes with its own parameters from now on.
        state: where to begin: the first process has the vectors, which are let go here.
        recipe: its settings.
        ranks: all processes.
    """

    def __init__(self, model: HuggingFaceModel, state: TrainingState, recipe: Recipe, ranks: Ranks) -> None:
        self._ranks, self._clip, self._layout = ranks, recipe.clip, model.layout
        module = model.hold(ranks.device)
        _shard(module, recipe, ranks)
        self._parameters: dict[str, Any] = dict(module.named_parameters())
        self._put(state.flat, {name: one.to_local() for name, one in self._parameters.items()})
        self._first, self._second = self._vector(state.first_moment), self._vector(state.second_moment)
        self._tail: dict[str, Tensor] | None = None
        if ranks.agreed(state.tail_sum is not None):
            self._tail = self._vector(state.tail_sum if state.tail_sum is not None else torch.empty(0))
        self._optimizer = adamw(recipe)
        self._local = {name: torch.nn.Parameter(self._own(name)) for name in self._parameters}
        self._begin(recipe, state.updates)
        state.flat = state.first_moment = state.second_moment = torch.empty(0)
        state.tail_sum = None

    @property
    def device(self) -> torch.device:
        return self._ranks.device

    @property
    def keeps(self) -> bool:
        return self._ranks.first

    def agreed(self, wanted: bool) -> bool:
        return self._ranks.agreed(wanted)

    def whole(self) -> Tensor:
        return self._gathered({name: self._own(name) for name in self._parameters}).to(self.device)

    def accumulate(self, mean_loss: MeanLoss, inputs: Tensor, targets: Tensor, share: float) -> Tensor:
        own = self._ranks.part(inputs), self._ranks.part(targets)
        loss = mean_loss(torch.empty(0), *own) * share
        loss.backward()  # gradients are the mean over processes
        return self._ranks.total(loss.detach() / self._ranks.count)

    def update(self, learning_rate: float) -> Tensor:
        gradients = {
            # What the loss does not read has none.
            name: torch.zeros_like(self._own(name)) if one.grad is None else one.grad.to_local()
            for name, one in self._parameters.items()
        }
        squares = torch.stack([torch.linalg.vector_norm(one).square() for one in gradients.values()]).sum()
        norm = self._ranks.total(squares).sqrt()
        scale = (self._clip / norm.clamp(min=1e-12)).clamp(max=1.0)
        for name, parameter in self._local.items():
            parameter.grad = gradients[name].mul_(scale)
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate
        self._optimizer.step()
        for name, one in self._parameters.items():
            one.grad = self._local[name].grad = None
        return norm

    def add_to_tail(self) -> None:
        if self._tail is None:
            self._tail = {name: torch.zeros_like(self._own(name)) for name in self._parameters}
        for name, total in self._tail.items():
            total += self._own(name)

    def write_back(self, state: TrainingState) -> None:
        state.flat = self._gathered({name: self._own(name) for name in self._parameters})
        state.first_moment, state.second_moment = self._gathered(self._first), self._gathered(self._second)
        if self._tail is not None:
            state.tail_sum = self._gathered(self._tail)

    def _begin(self, recipe: Recipe, updates: int) -> None:
        for entry in self._layout.entries:
            if not self._local[entry.name].numel():
                continue  # a short parameter has no rows here
            decay = recipe.weight_decay if entry.offset < self._layout.decayed else 0.0
            parameter = self._local[entry.name]
            self._optimizer.add_param_group({"params": [parameter], "weight_decay": decay})
            self._optimizer.state[parameter] = {
                "step": torch.tensor(float(updates), device=self.device),
                "exp_avg": self._first[entry.name],
                "exp_avg_sq": self._second[entry.name],
            }
        del self._optimizer.param_groups[0]  # what it was made with, as it takes no empty list

    def _own(self, name: str) -> Tensor:
        """This process's rows of a parameter."""
        found: Tensor = self._parameters[name].to_local().detach()
        return found

    def _vector(self, whole: Tensor) -> dict[str, Tensor]:
        """This process's rows of a vector [N] that only the first has."""
        parts = {name: torch.zeros_like(self._own(name)) for name in self._parameters}
        self._put(whole, parts)
        return parts

    def _put(self, whole: Tensor, parts: dict[str, Tensor]) -> None:
        for entry in self._layout.entries:
            sharded: DTensor = self._parameters[entry.name]
            one = distribute_tensor(self._of(whole, entry), sharded.device_mesh, sharded.placements)
            with torch.no_grad():
                parts[entry.name].copy_(one.to_local())

    def _of(self, whole: Tensor, entry: Entry) -> Tensor:
        if self._ranks.first:
            return entry.view(whole).to(self.device)
        return torch.empty(entry.shape, device=self.device)

    def _gathered(self, parts: dict[str, Tensor]) -> Tensor:
        """The vector [N] in the memory of the first process; elsewhere nothing."""
        flat = torch.empty(self._layout.size if self._ranks.first else 0)
        for entry in self._layout.entries:
            sharded = self._parameters[entry.name]
            one = DTensor.from_local(
                parts[entry.name], sharded.device_mesh, sharded.placements,
                shape=sharded.shape, stride=sharded.stride(),
            ).full_tensor()  # fmt: skip
            if self._ranks.first:
                entry.view(flat).copy_(one)
        return flat


def _shard(module: Any, recipe: Recipe, ranks: Ranks) -> None:
    """Spread every block of a list of blocks (its layers) by itself, and all that is left together."""
    mesh = init_device_mesh(ranks.device.type, (dist.get_world_size(),))
    products = torch.bfloat16 if recipe.dtype == "bfloat16" else torch.float32
    policy = MixedPrecisionPolicy(param_dtype=products, reduce_dtype=torch.float32)
    for part in list(module.modules()):
        if isinstance(part, torch.nn.ModuleList):
            for layer in part:
                fully_shard(layer, mesh=mesh, mp_policy=policy)
    fully_shard(module, mesh=mesh, mp_policy=policy)
