"""A function of one vector, captured as a CUDA graph and replayed: a pass over all windows without Python.

Thousands of small kernels are launched slower than a GPU runs them: 202 ms of launching for 50 ms of work,
measured at 30M parameters. A graph launches them at once. It reads and writes the same memory at each replay,
so the argument lies in a buffer, and a result is good until the next call.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from cuvee.models.replayed import Replayed

CAPTURE = True
"""Merges are scored by a captured pass. On an H200 its bytes are those of the plain pass, and at 30M
parameters it takes 1 % longer than the forward pass alone, in place of 11 % (``benchmarks/gpu/merges.py``).
"""


class Captured:
    """A function of what stands in ``buffer``; anywhere but on a GPU it is simply called.

    Args:
        function: of a vector, to a tensor of always the same shape. It must not wait for the device.
        size: numbers of the vector.
        device: where it computes.
        capture: False calls it there, too.
    """

    def __init__(
        self, function: Callable[[Tensor], Tensor], size: int, device: torch.device, capture: bool = True
    ) -> None:
        self.buffer = torch.zeros(size, device=device)
        self._result = [self.buffer]
        self._replayed = Replayed(_into(self._result, function, self.buffer), device, capture=capture)

    def __call__(self) -> Tensor:
        """The function of ``buffer``."""
        self._replayed()
        return self._result[0]


def _into(place: list[Tensor], function: Callable[[Tensor], Tensor], buffer: Tensor) -> Callable[[], None]:
    """Put the result of a function into a place. It holds nobody who holds it, so that buffers are freed."""

    def once() -> None:
        place[0] = function(buffer)

    return once
