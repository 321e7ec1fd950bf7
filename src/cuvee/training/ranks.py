"""The processes that share one training, as one of them sees the others.

Vectors of parameters and moments come from the first process and go back to it through the machine's memory
(gloo), so that no other process ever holds a whole one; gradients and parameters in use travel between
devices (nccl, or gloo between cores).
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from cuvee.errors import ConfigError
from cuvee.execution.work_time import is_gpu

_PATIENCE = timedelta(days=7)
"""The first process may measure for long while others wait; one that dies is seen by torchrun."""


@dataclass(frozen=True)
class Ranks:
    """Made by ``joined``."""

    rank: int
    count: int
    device: torch.device
    host: Any
    """Group in which tensors of the machine's memory travel."""

    @property
    def first(self) -> bool:
        """Whether this process reads and keeps the state."""
        return self.rank == 0

    def part(self, batch: Tensor) -> Tensor:
        """The rows of a batch that this process computes."""
        return batch.chunk(self.count)[self.rank]

    def total(self, value: Tensor) -> Tensor:
        """The sum of a tensor over all processes."""
        dist.all_reduce(value)
        return value

    def agreed(self, wanted: bool) -> bool:
        """What the first process wants."""
        flag = torch.tensor([wanted])
        dist.broadcast(flag, 0, group=self.host)
        return bool(flag.item())

    def said(self, value: Any) -> Any:
        """What the first process says."""
        values = [value]
        dist.broadcast_object_list(values, 0, group=self.host)
        return values[0]

    def scattered(self, whole: Tensor, width: int) -> Tensor:
        """This process's part [width] of a vector that only the first has, on the device; zeros behind it."""
        own, parts = torch.empty(width), None
        if self.first:
            padded = torch.zeros(self.count * width)
            padded[: len(whole)] = whole
            parts = list(padded.split(width))
        dist.scatter(own, parts, 0, group=self.host)
        return own.to(self.device)

    def gathered(self, own: Tensor, size: int) -> Tensor:
        """The vector [size] of whose parts each process has one, in the memory of the first; elsewhere
        nothing."""
        own = own.cpu()
        parts = [torch.empty_like(own) for _ in range(self.count)] if self.first else None
        dist.gather(own, parts, 0, group=self.host)
        return torch.cat(parts)[:size] if parts is not None else torch.empty(0)


@contextmanager
def joined(device: str) -> Iterator[Ranks]:
    """Take part in the training that torchrun started; it is left again at the end.

    Args:
        device: where the study computes: cores, or any GPU, each process having one of its own.

    Raises:
        ConfigError: there are fewer GPUs than processes.
    """
    count, local = int(os.environ["WORLD_SIZE"]), int(os.environ["LOCAL_RANK"])
    if not is_gpu(device):
        place = torch.device("cpu")
        dist.init_process_group("gloo", timeout=_PATIENCE)
        host = dist.group.WORLD
    else:
        cards = torch.cuda.device_count() if device == "cuda" else 1
        if cards < count:
            raise ConfigError(
                f"processes: {count}, and the study computes on {cards} GPU{'s' * (cards != 1)} ({device}): "
                'each process needs one. Lower it, or say "device": "cuda", which is all of them, in '
                "numerics.json"
            )
        place = torch.device("cuda", local)
        torch.cuda.set_device(place)
        dist.init_process_group("nccl", timeout=_PATIENCE, device_id=place)
        host = dist.new_group(backend="gloo", timeout=_PATIENCE)
    try:
        yield Ranks(dist.get_rank(), count, place, host)
    finally:
        dist.destroy_process_group()
