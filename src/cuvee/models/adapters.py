"""Low-rank adapters (LoRA) of a model: which matrices they change, and where their factors lie in a vector.

    W + (alpha / r) B A        A [r, inputs], B [outputs, r]

Hu et al. 2021, https://arxiv.org/abs/2106.09685. A is drawn uniformly within 1 / sqrt(inputs), as ``peft``
draws it, and B is zero: an adapter that is not trained is the model. All adapters of a study are drawn by one
seed: they start from one vector, as branches do from one model, and differ by what they read alone. Their
products can be added whatever they start from.

Left out: dropout, biases, embeddings and the head.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor

from cuvee.errors import ConfigError
from cuvee.hashing import digest
from cuvee.models.hugging_face import HuggingFaceModel
from cuvee.models.interface import CausalModel
from cuvee.models.layout import Entry, Layout
from cuvee.types import Json

PREFIX = "base_model.model."
"""Before every name, as ``peft`` saves them."""
_LAYER = re.compile(r"\.\d+\.")
_SHOWN = 20


@dataclass(frozen=True)
class Adapters:
    """Settings of the adapters of a study.

    Raises:
        ConfigError: a rank below one, or an ``alpha`` that is not positive.
    """

    rank: int
    alpha: float
    modules: tuple[str, ...] = ()
    """Ends of the names of the modules that are adapted; empty: all matrices of the layers."""
    seed: int = 0
    """By which A is drawn."""

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise ConfigError(f"adapters: rank {self.rank} must be at least 1")
        if not self.alpha > 0:
            raise ConfigError(f"adapters: alpha {self.alpha} must be above 0")

    @property
    def scale(self) -> float:
        """Factor of a product."""
        return self.alpha / self.rank

    def as_json(self) -> Json:
        """All that determines what adapters are, as plain JSON."""
        return {
            "rank": self.rank,
            "alpha": self.alpha,
            "modules": sorted(self.modules),
            "seed": self.seed,
        }


@dataclass(frozen=True)
class AdaptedMatrix:
    """A matrix of the model and its two factors."""

    entry: Entry
    """Of the matrix, in the model's vector."""
    down: Entry
    """A, in the vector of factors."""
    up: Entry
    """B, in the same."""
    transposed: bool
    """The model stores it as [inputs, outputs]."""


@dataclass(frozen=True)
class AdapterLayout:
    """All matrices that are adapted, in the order of the model, and the order of their factors."""

    matrices: tuple[AdaptedMatrix, ...]
    factors: Layout
    """Named as ``peft`` names them. All of them take weight decay, as matrices do."""

    @classmethod
    def of(cls, model: CausalModel, adapters: Adapters) -> "AdapterLayout":
        """Lay out the adapters of a model.

        Raises:
            ConfigError: no matrix of the model has one of the names; a rank at which adapters are larger than
                what they adapt.
        """
        stored = _adaptable(model)
        entries = [one for one in model.layout.entries if one.name in stored]
        _check_names(adapters.modules, [_module(one) for one in entries])
        chosen = [one for one in entries if not adapters.modules or _named(one, adapters.modules)]
        shapes = [
            (f"{PREFIX}{_module(entry)}.lora_{factor}.weight", shape)
            for entry in chosen
            for factor, shape in zip("AB", _shapes(entry, stored[entry.name], adapters.rank), strict=True)
        ]
        factors = Layout.of(shapes, [])
        _check_rank(adapters.rank, factors.size, sum(one.size for one in chosen))
        pairs = zip(factors.entries[::2], factors.entries[1::2], strict=True)
        matrices = tuple(
            AdaptedMatrix(entry, down, up, stored[entry.name])
            for entry, (down, up) in zip(chosen, pairs, strict=True)
        )
        return cls(matrices, factors)

    def initial(self, seed: int) -> Tensor:
        """A vector of factors [n] that changes nothing: A drawn, B zero."""
        generator = torch.Generator().manual_seed(seed)
        flat = torch.zeros(self.factors.size)
        for one in self.matrices:
            bound = one.down.shape[1] ** -0.5
            one.down.view(flat).uniform_(-bound, bound, generator=generator)
        return flat

    def split(self, flat: Tensor) -> Iterator[tuple[AdaptedMatrix, Tensor, Tensor]]:
        """Every matrix with the left [..., rows, r] and the right [..., r, columns] factor of its change, as
        the model stores it.

        Args:
            flat: vectors of factors [..., n].
        """
        entries = self.factors.entries
        pieces = flat.split([one.size for one in entries], dim=-1)  # see ``Layout.views``
        views = [piece.unflatten(-1, one.shape) for piece, one in zip(pieces, entries, strict=True)]
        for one, down, up in zip(self.matrices, views[::2], views[1::2], strict=True):
            yield (one, down.mT, up.mT) if one.transposed else (one, up, down)

    @property
    def transposed(self) -> bool:
        """Whether the model stores them as [inputs, outputs]."""
        return any(one.transposed for one in self.matrices)

    @property
    def last_names(self) -> tuple[str, ...]:
        """Last parts of the names of the adapted modules, each once."""
        return tuple(sorted({_module(one.entry).rsplit(".", 1)[-1] for one in self.matrices}))

    @property
    def product_flops(self) -> float:
        """FLOPs of all products of one adapter."""
        return sum(2.0 * prod(one.entry.shape) * one.down.shape[0] for one in self.matrices)


def adapters_hash(model: CausalModel, adapters: Adapters, seed_model: str) -> str:
    """Equal where two vectors of factors mean the same.

    Args:
        model: what is adapted.
        adapters: how.
        seed_model: key of its parameters.
    """
    return digest(["adapters", model.model_hash, adapters.as_json(), seed_model])


def _adaptable(model: CausalModel) -> dict[str, bool]:
    """Names of the matrices that may be adapted, and whether each is stored as [inputs, outputs]."""
    if isinstance(model, HuggingFaceModel):
        return model.products
    return {
        one.name: False for one in model.layout.entries if len(one.shape) == 2 and _LAYER.search(one.name)
    }


def _module(entry: Entry) -> str:
    return entry.name.removesuffix(".weight")


def _named(entry: Entry, names: tuple[str, ...]) -> bool:
    return any(f".{_module(entry)}".endswith(f".{name}") for name in names)


def _check_names(names: tuple[str, ...], modules: list[str]) -> None:
    known = sorted({module.rsplit(".", 1)[-1] for module in modules})
    for name in names:
        if not any(f".{module}".endswith(f".{name}") for module in modules):
            raise ConfigError(
                f"model.adapters.target_modules: {name!r} is no matrix of the layers of this model; "
                f"there are {', '.join(known[:_SHOWN])}"
            )


def _check_rank(rank: int, factors: int, matrices: int) -> None:
    if factors > matrices:
        raise ConfigError(
            f"model.adapters.rank: at rank {rank} an adapter has {factors:,} parameters, and the matrices "
            f"that it adapts have {matrices:,}; give a lower rank, or leave adapters out"
        )


def _shapes(entry: Entry, transposed: bool, rank: int) -> tuple[tuple[int, int], tuple[int, int]]:
    inputs, outputs = entry.shape if transposed else entry.shape[::-1]
    return (rank, inputs), (outputs, rank)
