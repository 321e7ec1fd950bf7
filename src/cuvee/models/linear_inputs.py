"""Linear input: what one or more linear layers of a model read, and where their matrices lie.

Layers that share an input (query, key and value; gate and up) share one, so that what is known of it is
kept once.
"""

from dataclasses import dataclass

from torch import Tensor

from cuvee.models.layout import Entry
from cuvee.types import Json


@dataclass(frozen=True)
class LinearInput:
    """An input of ``width`` features and the matrices that it is multiplied with."""

    width: int
    """d"""
    weights: tuple[Entry, ...]
    """Of the flat vector."""
    transposed: bool = False
    """Whether matrices lie as [d, out] (Conv1D of GPT-2), else as [out, d]."""

    def matrix(self, flat: Tensor, weight: Entry) -> Tensor:
        """One of the matrices as a view of ``flat`` [N], as [d, out] whichever way it lies."""
        view = weight.view(flat)
        return view if self.transposed else view.T

    def as_json(self) -> Json:
        """Plain JSON; ``from_json`` reads it back."""
        weights = [[one.name, list(one.shape), one.offset] for one in self.weights]
        return {"width": self.width, "weights": weights, "transposed": self.transposed}

    @classmethod
    def from_json(cls, value: Json) -> "LinearInput":
        """What ``as_json`` wrote."""
        weights = tuple(Entry(name, tuple(shape), offset) for name, shape, offset in value["weights"])
        return cls(value["width"], weights, value["transposed"])
