"""A function of one vector, captured as a CUDA graph and replayed: a pass over all windows without Python.

Thousands of small kernels are launched slower than a GPU runs them: 202 ms of launching for 50 ms of work,
measured at 30M parameters. A graph launches them at once. It reads and writes the same memory at each replay,
so the argument lies in a buffer, and a result is good until the next call.
"""

from collections.abc import Callable

import torch
from torch import Tensor

CAPTURE_UNTRIED = False
"""Whether merges are scored by a captured pass. This code has not run on a GPU yet: switch it on in
``benchmarks/gpu/merges.py`` first, which compares its bytes with those of the plain pass."""
_WARM_UPS = 3
"""Calls before the capture: kernels are compiled and libraries choose theirs."""


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
        self._function = function
        self._capturing = capture and device.type == "cuda"
        self._graph: torch.cuda.CUDAGraph | None = None
        self._result: Tensor | None = None

    def __call__(self) -> Tensor:
        """The function of ``buffer``."""
        if not self._capturing:
            return self._function(self.buffer)
        if self._graph is None or self._result is None:
            self._graph, self._result = self._capture()
        self._graph.replay()
        return self._result

    def _capture(self) -> tuple[torch.cuda.CUDAGraph, Tensor]:
        # Work before a capture must not run on the stream that is captured.
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(_WARM_UPS):
                self._function(self.buffer)
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            result = self._function(self.buffer)
        return graph, result
