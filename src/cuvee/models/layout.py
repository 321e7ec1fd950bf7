"""Layout: where each parameter of a model lies in its flat vector."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor


@dataclass(frozen=True)
class Entry:
    """One parameter tensor inside the flat vector."""

    name: str
    """Its name in the Hugging Face checkpoint."""
    shape: tuple[int, ...]
    offset: int

    @property
    def size(self) -> int:
        return prod(self.shape)

    def view(self, flat: Tensor) -> Tensor:
        """The tensor as a view of ``flat`` [N]."""
        return flat[self.offset : self.offset + self.size].view(self.shape)


@dataclass(frozen=True)
class Layout:
    """The order of parameters in the flat vector: decayed matrices first, then the rest."""

    entries: tuple[Entry, ...]
    decayed: int
    """The first ``decayed`` numbers take weight decay; norms and biases behind them do not."""

    @classmethod
    def of(
        cls, decayed: Iterable[tuple[str, tuple[int, ...]]], rest: Iterable[tuple[str, tuple[int, ...]]]
    ) -> "Layout":
        """Lay out named shapes one behind the other."""
        entries: list[Entry] = []
        offset = 0
        boundaries: list[int] = []
        for group in (list(decayed), list(rest)):
            for name, shape in group:
                entries.append(Entry(name, tuple(shape), offset))
                offset += entries[-1].size
            boundaries.append(offset)
        return cls(tuple(entries), boundaries[0])

    @property
    def size(self) -> int:
        """N, the number of parameters; a tied tensor counts once."""
        return self.entries[-1].offset + self.entries[-1].size

    def views(self, flat: Tensor) -> dict[str, Tensor]:
        """Every parameter as a view of ``flat`` [N], by name."""
        # One split: slices would each fill a gradient of all N, and the backward pass would grow with both.
        pieces = flat.split([entry.size for entry in self.entries])
        return {
            entry.name: piece.view(entry.shape) for entry, piece in zip(self.entries, pieces, strict=True)
        }

    def gather(self, tensors: dict[str, Tensor]) -> Tensor:
        """Copy named tensors into a new float32 vector [N].

        Raises:
            KeyError: a name is missing.
            ValueError: a shape differs.
        """
        flat = torch.empty(self.size, dtype=torch.float32)
        for entry in self.entries:
            tensor = tensors[entry.name]
            if tuple(tensor.shape) != entry.shape:
                raise ValueError(f"{entry.name}: shape {tuple(tensor.shape)}, expected {entry.shape}")
            entry.view(flat).copy_(tensor)
        return flat
