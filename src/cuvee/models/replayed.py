"""Work on fixed buffers that a GPU does again and again without Python between.

On a CUDA device the kernels of a function are recorded once as a graph, and replayed by one launch; elsewhere
the function is called. The function takes nothing and gives nothing back: it reads and writes tensors that
stay where they are.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

WARM_UPS = 3
"""Calls before the recording: compilation, workspaces and lazy handles must not fall into it."""


class Replayed:
    """A function, called or replayed.

    Args:
        function: what is done; the shapes and addresses that it works on must never change.
        device: where.
        changed: tensors that it changes and reads again. Warming up and recording leave them as they were.
        capture: False calls it on a GPU, too.
    """

    def __init__(
        self,
        function: Callable[[], None],
        device: torch.device,
        changed: Sequence[Tensor] = (),
        capture: bool = True,
    ) -> None:
        self._function = function
        self._changed = changed
        self._device = device
        self._capturing = capture and device.type == "cuda"
        self._graph: Any = None

    def __call__(self) -> None:
        """Do it once; on a GPU this only queues it."""
        if not self._capturing:
            self._function()
            return
        with torch.cuda.device(self._device):
            if self._graph is None:
                self._graph = self._recorded()
            self._graph.replay()

    def _recorded(self) -> Any:
        before = [one.clone() for one in self._changed]
        stream = torch.cuda.Stream(self._device)
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM_UPS):
                self._function()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=stream):
            self._function()
        for one, old in zip(self._changed, before, strict=True):
            one.copy_(old)
        return graph
