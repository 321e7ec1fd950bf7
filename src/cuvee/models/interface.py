"""What the rest of the house knows of a model: a flat vector of parameters and its loss.

A model here has no state. Its parameters are one vector, so that averaging models, taking an
optimizer step and writing a checkpoint are operations on one array. The vector is an argument of
every call, and every call is differentiable in it.
"""

from collections.abc import Callable
from typing import Protocol

from torch import Tensor

from cuvee.models.layout import Layout
from cuvee.models.linear_inputs import LinearInput


class CausalModel(Protocol):
    """A causal language model as a function of its flat parameters."""

    @property
    def layout(self) -> Layout: ...

    @property
    def vocabulary_size(self) -> int: ...

    @property
    def context_length(self) -> int: ...

    @property
    def flops_per_token(self) -> float:
        """Forward FLOPs a token, in the windows that it was opened for; training takes three times that."""
        ...

    @property
    def model_hash(self) -> str:
        """Hash of the architecture; equal hashes mean interchangeable flat vectors."""
        ...

    def initial(self, seed: int) -> Tensor:
        """Fresh parameters [N] float32; the same seed gives the same bytes."""
        ...

    def mean_loss(self, flat: Tensor, inputs: Tensor, targets: Tensor) -> Tensor:
        """Mean nats per token (scalar float32) of ``targets`` [B, T] given ``inputs`` [B, T], int64."""
        ...

    def token_log_probs(self, flat: Tensor, inputs: Tensor, targets: Tensor) -> Tensor:
        """log p(target) of every token, float32 [B, T]; differentiable in ``flat`` [N]."""
        ...

    def next_log_probs(self, flat: Tensor, inputs: Tensor, last: Tensor) -> Tensor:
        """log p of any token after position ``last`` [B] of each row of ``inputs`` [B, T], float32 [B, V]."""
        ...

    def hidden_states(self, flat: Tensor, inputs: Tensor) -> Tensor:
        """The last normed states [B, T, C], from which the head predicts, for ``inputs`` int64 [B, T]."""
        ...

    @property
    def linear_inputs(self) -> tuple[LinearInput, ...]:
        """What its linear layers read; the head is among them where it has a matrix of its own."""
        ...

    def read_linear_inputs(self, flat: Tensor, inputs: Tensor, seen: Callable[[int, Tensor], None]) -> None:
        """Run ``inputs`` [B, T] through the model and show what its linear layers read.

        Args:
            flat: parameters [N].
            inputs: int64 tokens.
            seen: called with a place in ``linear_inputs`` and what is read there [B, T, d].
        """
        ...
