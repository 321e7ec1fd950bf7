"""Processes by device: CPU processes for what is read and computed there, and one worker a GPU for the rest.

Sixteen processes on one card are no faster than four, hold sixteen times the memory, and each of them imports
and compiles for itself. One process a card holds models, kernels and pools from one stage to the next.

Devices are named as torch names them. ``cuda`` is all cards that this process may see, a worker each;
``cuda:1`` is one card. ``cpu:0`` is one worker on the processor: it does what a GPU's does, for tests and
benchmarks.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from cuvee.errors import WorkerError
from cuvee.execution.interface import Item, Job, OnProgress, Result
from cuvee.execution.local import ResidentProcesses

PROCESSOR = "cpu"
"""The device of items that do not say one."""
DEVICE = "CUVEE_DEVICE"
"""The device of a worker, in its environment."""
VISIBLE = "CUDA_VISIBLE_DEVICES"
"""Read by CUDA when it is first used, so it must be there before the interpreter starts."""


def device_environments(device: str, cards: int, each: int = 1) -> tuple[dict[str, str], ...]:
    """The environment of each worker of a device; each sees its own cards alone.

    Args:
        device: as torch names it.
        cards: that this process may see.
        each: cards of a worker, where a training is shared by so many; all of them, if there are fewer.
    """
    if device != "cuda":
        return ({DEVICE: device},)
    seen = os.environ.get(VISIBLE)
    names = [str(card) for card in range(cards)] if seen is None else seen.split(",")[:cards]
    names = [name.strip() for name in names]
    each = min(each, max(1, len(names)))
    groups = [names[first : first + each] for first in range(0, len(names) - each + 1, each)]
    return tuple(
        {DEVICE: f"cuda:{number * each}", VISIBLE: ",".join(group)} for number, group in enumerate(groups)
    )


def processes_of(device: str, workers: int, each: int = 1) -> int:
    """How many jobs are done on a device side by side: one for ``each`` workers or cards.

    Args:
        device: as torch names it.
        workers: on the processor.
        each: processes that share a training.
    """
    if device == PROCESSOR:
        return max(1, workers // each)
    return max(1, len(device_environments(device, cards(device), each)))


def cards(device: str) -> int:
    """GPUs that this process may see; none is counted for a device of another kind."""
    if device != "cuda":
        return 0
    import torch

    return torch.cuda.device_count()


@dataclass(eq=False)
class DeviceProcesses:
    """Workers that stay, chosen by the ``device`` of the items; those without one run in CPU processes.

    Use it in ``with``. Workers of a device are started when an item first names it, or by ``start``.
    """

    workers: int | None = None
    """Number of CPU processes; none means one for each core this process may run on."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """What stands in the environment of workers of other devices, too."""
    modules: Sequence[str] = ()
    """That workers of other devices import as they start."""
    each: int = 1
    """Cards of a worker; see ``device_environments``."""
    _by_device: dict[str, ResidentProcesses] = field(default_factory=dict)

    def __enter__(self) -> "DeviceProcesses":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for processes in self._by_device.values():
            processes.__exit__(kind, error, trace)
        self._by_device.clear()

    def start(self, device: str) -> None:
        """Start the workers of a device, and do not wait for them.

        Raises:
            WorkerError: there is no such device here.
        """
        self._processes(device).start()

    def map(
        self, job: Job[Item, Result], items: Sequence[Item], on_progress: OnProgress | None = None
    ) -> Iterator[tuple[int, Result]]:
        """See ``LocalProcesses.map``.

        Raises:
            WorkerError: also where items name different devices.
        """
        return self._processes(_device_of(items)).map(job, items, on_progress)

    def _processes(self, device: str) -> ResidentProcesses:
        if device not in self._by_device:
            self._by_device[device] = self._started(device)
        return self._by_device[device]

    def _started(self, device: str) -> ResidentProcesses:
        if device == PROCESSOR:
            return ResidentProcesses(self.workers)
        own = device_environments(device, cards(device), self.each)
        if not own:
            raise WorkerError(f"device {device!r}: this process sees no GPU; is {VISIBLE} empty?")
        return ResidentProcesses(len(own), [{**self.environment, **one} for one in own], self.modules)


def _device_of(items: Sequence[Any]) -> str:
    devices = sorted({getattr(item, "device", PROCESSOR) for item in items}) or [PROCESSOR]
    if len(devices) > 1:
        raise WorkerError(f"items of one map name different devices: {', '.join(devices)}; map them apart")
    return devices[0]
