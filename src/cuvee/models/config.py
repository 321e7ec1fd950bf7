"""The architecture of the native model, set by one dial: its number of parameters."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from cuvee.errors import ConfigError
from cuvee.hashing import digest
from cuvee.models.flops import forward_flops

MINIMUM_PARAMETERS = 100_000
MAXIMUM_PARAMETERS = 2_000_000_000


@dataclass(frozen=True)
class ModelConfig:
    """A Llama: pre-norm, rotary positions, SwiGLU, no biases, tied input and output embedding."""

    vocabulary_size: int
    context_length: int
    width: int
    layers: int
    heads: int
    hidden: int
    """Width of the SwiGLU layer."""
    rope_theta: float = 10_000.0
    norm_epsilon: float = 1e-5

    def __post_init__(self) -> None:
        if self.width % self.heads or (self.width // self.heads) % 2:
            raise ConfigError(f"model: width {self.width} must be an even multiple of heads {self.heads}")
        for name in ("vocabulary_size", "context_length", "width", "layers", "heads", "hidden"):
            if getattr(self, name) < 1:
                raise ConfigError(f"model: {name} must be positive, not {getattr(self, name)}")

    @classmethod
    def for_parameters(cls, parameters: float, vocabulary_size: int, context_length: int) -> "ModelConfig":
        """The architecture nearest to ``parameters``, embedding included and counted once.

        Among all widths and depths the one is taken that is nearest in parameters once its shape
        (width per layer) is near 32, growing to 128 for large models, as published families have it.

        Raises:
            ConfigError: the number cannot be met within 25 %, for example because the vocabulary
                alone has more parameters.
        """
        if not MINIMUM_PARAMETERS <= parameters <= MAXIMUM_PARAMETERS:
            raise ConfigError(
                f"model.parameters: {parameters:g} is outside "
                f"{MINIMUM_PARAMETERS:g} to {MAXIMUM_PARAMETERS:g}"
            )
        best: tuple[float, ModelConfig] | None = None
        for config in cls._all(vocabulary_size, context_length):
            size_error = abs(config.parameters / parameters - 1)
            score = size_error + 0.1 * config._shape_error
            if size_error <= 0.25 and (best is None or score < best[0]):
                best = score, config
        if best is None:
            raise ConfigError(
                f"model.parameters: no model of {parameters:g} parameters with a vocabulary of "
                f"{vocabulary_size}; choose more parameters or a smaller vocabulary"
            )
        return best[1]

    @classmethod
    def of_size(cls, parameters: int, vocabulary_size: int, context_length: int) -> "ModelConfig":
        """The architecture of exactly so many parameters: of one that ``for_parameters`` chose, itself.

        Asked for the size of what it chose, ``for_parameters`` may choose another.

        Raises:
            ConfigError: there is none.
        """
        found = [one for one in cls._all(vocabulary_size, context_length) if one.parameters == parameters]
        if not found:
            raise ConfigError(
                f"no model with a vocabulary of {vocabulary_size} has exactly {parameters:,} parameters"
            )
        return min(found, key=lambda one: one._shape_error)

    @classmethod
    def _all(cls, vocabulary_size: int, context_length: int) -> "Iterator[ModelConfig]":
        for width in (*range(32, 512, 32), *range(512, 1024, 64), *range(1024, 4097, 128)):
            for layers in range(2, 49):
                yield cls(vocabulary_size, context_length, width, layers, _heads(width), _hidden(width))

    @property
    def _shape_error(self) -> float:
        ideal, shape = min(128.0, max(32.0, self.width / 12)), self.width / self.layers
        return max(shape / ideal, ideal / shape) - 1

    @property
    def head_width(self) -> int:
        return self.width // self.heads

    @property
    def layer_parameters(self) -> int:
        """Matrices of one layer, norms left out."""
        return 4 * self.width * self.width + 3 * self.width * self.hidden

    @property
    def parameters(self) -> int:
        """All parameters; the tied embedding once."""
        norms = (2 * self.layers + 1) * self.width
        return self.vocabulary_size * self.width + self.layers * self.layer_parameters + norms

    @property
    def flops_per_token(self) -> float:
        """Forward FLOPs a token of a window as long as the context."""
        return self.flops_at(self.context_length)

    def flops_at(self, window: int) -> float:
        """Forward FLOPs a token of a window of so many."""
        matrices = self.layers * self.layer_parameters + self.vocabulary_size * self.width
        return forward_flops(matrices, self.layers, self.width, window)

    @property
    def model_hash(self) -> str:
        return digest(["llama", self.as_json()])

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def _heads(width: int) -> int:
    head_width = 32 if width < 256 else 64
    return max(1, width // head_width) if width % head_width == 0 else width // 32


def _hidden(width: int) -> int:
    return max(32, -(-width * 8 // 3 // 32) * 32)
