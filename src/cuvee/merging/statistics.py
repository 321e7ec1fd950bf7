"""Statistics: what a method of merging knows of each member of a pool beside its parameters.

Made once a branch from windows of its own training (``activations``, ``information``), one vector a
member, float32, in a folder named by the hash of all that determines it and memory-mapped when opened. A
source that is added costs its own members alone. On disk and in memory, for K members:

    Gram matrices of inputs           4 K sum d_in^2 bytes, over the inputs of linear layers
    diagonals of Fisher information   4 K N bytes, as much as the pool
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cuvee.errors import CheckpointError, ConfigError
from cuvee.files import atomic_folder
from cuvee.merging.roster import Roster
from cuvee.models.interface import CausalModel
from cuvee.models.linear_inputs import LinearInput
from cuvee.seal import FILES, damage, digests_of, read_sealed, write_sealed

GRAM = "gram"
"""Gram matrices of the inputs of linear layers."""
FISHER = "fisher"
"""Diagonals of the Fisher information."""

_VALUES = "values.npy"
_META = "statistics.json"


@dataclass(frozen=True, eq=False)
class MemberStatistics:
    """Of one member."""

    kind: str
    """``GRAM`` or ``FISHER``."""
    member: str
    """Content hash of its parameters."""
    inputs: tuple[LinearInput, ...]
    """Of which the values are Gram matrices, in their order; empty for Fisher information."""
    values: Tensor
    """float32: Gram matrices [d, d] one behind the other, or one number a parameter [N]."""

    def save(self, path: Path) -> None:
        """Write the folder ``path``, unless it is there."""
        with atomic_folder(path) as temporary:
            np.save(temporary / _VALUES, self.values.cpu().numpy())
            meta = {
                "kind": self.kind,
                "member": self.member,
                "inputs": [one.as_json() for one in self.inputs],
                FILES: digests_of(temporary, (_VALUES,)),
            }
            write_sealed(temporary / _META, meta)

    @classmethod
    def open(cls, path: Path) -> "MemberStatistics":
        """Open what ``save`` wrote, memory-mapped; compared with its digest once a process.

        Raises:
            CheckpointError: a file is missing or damaged.
        """
        try:
            meta = read_sealed(path / _META)
            if wrong := damage(path, meta[FILES], (_VALUES,)):
                raise ValueError(wrong)
            # Copy-on-write: torch wants a writable array, the file must never change.
            values = torch.from_numpy(np.load(path / _VALUES, mmap_mode="c"))
            inputs = tuple(LinearInput.from_json(one) for one in meta["inputs"])
            return cls(meta["kind"], meta["member"], inputs, values)
        except Exception as error:  # NumPy's reader of headers raises whatever its parser does
            raise CheckpointError(
                f"statistics {path}: cannot be read ({error}); delete the folder to have them made again"
            ) from error


@dataclass(frozen=True, eq=False)
class Statistics:
    """Of all members of a pool, in the order of its roster."""

    kind: str
    inputs: tuple[LinearInput, ...]
    values: tuple[Tensor, ...]
    """See ``MemberStatistics`` [K]."""

    @classmethod
    def of(cls, roster: Roster, members: Sequence[MemberStatistics]) -> "Statistics":
        """Put together those of the members.

        Raises:
            ConfigError: they are of other members, or not of one kind and architecture.
        """
        known = [member.content_hash for member in roster.members]
        if [one.member for one in members] != known:
            raise ConfigError("statistics: they are not those of the members of this pool, in their order")
        first = members[0]
        if any((one.kind, one.inputs) != (first.kind, first.inputs) for one in members):
            raise ConfigError("statistics: members differ in what is known of them")
        return cls(first.kind, first.inputs, tuple(one.values for one in members))

    @classmethod
    def open(cls, roster: Roster, paths: Sequence[Path]) -> "Statistics":
        """From the folders of the members, memory-mapped.

        Raises:
            CheckpointError: one is missing or damaged.
        """
        return cls.of(roster, [MemberStatistics.open(path) for path in paths])

    def to(self, device: torch.device | str) -> "Statistics":
        """The same on another device."""
        return Statistics(self.kind, self.inputs, tuple(one.to(device) for one in self.values))

    def gram(self, member: int, place: int) -> Tensor:
        """The Gram matrix [d, d] of one input under one member; a view."""
        width = self.inputs[place].width
        start = sum(one.width**2 for one in self.inputs[:place])
        return self.values[member][start : start + width**2].view(width, width)


def numbers_of(kind: str, model: CausalModel) -> int:
    """How many numbers are kept of each member."""
    if kind == GRAM:
        return sum(one.width**2 for one in model.linear_inputs)
    return model.layout.size
