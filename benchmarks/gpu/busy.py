"""How much of a time the GPU had a kernel at work, by ``nvidia-smi``."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch

_SAMPLE_MILLISECONDS = 200


@dataclass
class Busy:
    """Samples of the first card."""

    samples: list[float] = field(default_factory=list)

    @property
    def share(self) -> float | None:
        """None where there is no such program, or it said nothing."""
        return sum(self.samples) / len(self.samples) / 100 if self.samples else None

    @contextmanager
    def watching(self, device: torch.device) -> Iterator[None]:
        """Take samples until the end."""
        program = shutil.which("nvidia-smi") if device.type == "cuda" else None
        if program is None:
            yield
            return
        query = ["--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "-i", "0"]
        command = [program, *query, "-lms", str(_SAMPLE_MILLISECONDS)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watcher:
            try:
                yield
            finally:
                watcher.terminate()
                said, _ = watcher.communicate()
                self.samples += [float(line) for line in said.split() if line.replace(".", "").isdigit()]
