"""Where a training run stands, in memory and on disk.

The state is complete: going on from a saved state gives the same bytes as never having stopped.
There is no random number generator in it because nothing is drawn during training: batches are a
pure function of (seed, step) and the models have no dropout.

A checksum of tensors and facts lies in the file, and a state that it does not fit is not used. CRC-32, as a
state is written every 20 seconds: 6.4 GB a second here, SHA-256 1.9; it finds whatever lies within 32 bits.
"""

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from cuvee.files import atomic_path

_CHECKSUM = "checksum"


@dataclass
class TrainingState:
    """Parameters, Adam moments and everything gathered on the way; vectors are float32 [N]."""

    flat: Tensor
    first_moment: Tensor
    second_moment: Tensor
    updates: int = 0
    """Optimizer steps behind the moments, those of the seed included."""
    step: int = 0
    """Steps of this run that are done."""
    tail_sum: Tensor | None = None
    tail_steps: int = 0
    snapshots: dict[int, Tensor] = field(default_factory=dict)
    losses: list[float] = field(default_factory=list)
    gradient_norms: list[float] = field(default_factory=list)
    evaluations: list[tuple[int, dict[str, float]]] = field(default_factory=list)

    @classmethod
    def fresh(cls, flat: Tensor) -> "TrainingState":
        """Start from ``flat`` with empty moments."""
        return cls(flat.clone(), torch.zeros_like(flat), torch.zeros_like(flat))

    def branch(self, keep_moments: bool) -> "TrainingState":
        """A new run that starts where this one ended."""
        start = TrainingState.fresh(self.flat)
        if keep_moments:
            start.first_moment.copy_(self.first_moment)
            start.second_moment.copy_(self.second_moment)
            start.updates = self.updates
        return start

    @property
    def result(self) -> Tensor:
        """The parameters the run is judged by: the tail average where there is one."""
        if self.tail_sum is None or not self.tail_steps:
            return self.flat
        return self.tail_sum / self.tail_steps

    def save(self, path: Path, key: str) -> None:
        """Write atomically; ``key`` says which run this is."""
        tensors = {"flat": self.flat, "first_moment": self.first_moment, "second_moment": self.second_moment}
        if self.tail_sum is not None:
            tensors["tail_sum"] = self.tail_sum
        tensors |= {f"snapshot.{step}": tensor for step, tensor in self.snapshots.items()}
        facts: dict[str, Any] = {
            "key": key,
            "updates": self.updates,
            "step": self.step,
            "tail_steps": self.tail_steps,
            "losses": self.losses,
            "gradient_norms": self.gradient_norms,
            "evaluations": self.evaluations,
        }
        tensors = {name: tensor.contiguous().cpu() for name, tensor in tensors.items()}
        facts |= {_CHECKSUM: _checksum(facts, tensors)}
        with atomic_path(path) as temporary:
            save_file(tensors, temporary, {"facts": json.dumps(facts)})

    @classmethod
    def load(cls, path: Path, key: str) -> "TrainingState | None":
        """The state saved for ``key``, or None where there is none that can be used.

        A damaged file is no error: the run simply starts again.
        """
        if not path.is_file():
            return None
        try:
            with safe_open(path, framework="pt") as file:
                facts = json.loads(file.metadata()["facts"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
            checksum = facts.pop(_CHECKSUM, None)  # earlier versions wrote none
            if checksum is not None and checksum != _checksum(facts, tensors):
                return None
            if facts.pop("key") != key:
                return None
            snapshots = {
                int(name.removeprefix("snapshot.")): t for name, t in tensors.items() if "snapshot." in name
            }
            evaluations = [(int(step), dict(values)) for step, values in facts.pop("evaluations")]
            return cls(
                flat=tensors["flat"],
                first_moment=tensors["first_moment"],
                second_moment=tensors["second_moment"],
                tail_sum=tensors.get("tail_sum"),
                snapshots=snapshots,
                evaluations=evaluations,
                **facts,
            )
        except Exception:  # safetensors raises its own untyped error for a damaged file
            return None


def _checksum(facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> int:
    """Of facts, which come back from JSON as they were, and of tensors with their names."""
    found = zlib.crc32(json.dumps(facts, sort_keys=True).encode())
    for name in sorted(tensors):
        found = zlib.crc32(tensors[name].numpy().data, zlib.crc32(name.encode(), found))
    return found
