"""K Llamas of one shape as one model: every product is a batched one, every loss belongs to its member.

The numbers of a member are those of ``Llama`` up to rounding, and do not depend on the other members. On a
GPU a small model is bound by launching kernels and by products that are too narrow; K of them in one launch
are up to four times faster than one after the other. The parameters are one float32 matrix; embeddings are
looked up in it, so that small gradients of frequent tokens add up in float32.

Shapes: K members, B sequences, T positions, C width, V vocabulary, N parameters.
"""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from cuvee.models.config import ModelConfig
from cuvee.models.embedding import rows
from cuvee.models.llama import (
    LAYER_BY_LAYER,
    attention,
    compiled_whole,
    layout_of,
    piece_sizes,
    rms_norm,
    rotation,
)


class StackedLlama:
    """The native model for K members. Stateless: parameters are the argument ``flat`` [K, N] of every call.

    Args:
        config: the architecture of every member.
        members: K.
        dtype: of the matrix products; norms, softmax and cross-entropy are always float32.
        device: where it runs.
        compiled: fuse with ``torch.compile``.
        kernels: see ``Llama``.
    """

    def __init__(
        self,
        config: ModelConfig,
        members: int,
        dtype: torch.dtype = torch.float32,
        device: str = "cpu",
        compiled: bool = False,
        kernels: int = 0,
    ) -> None:
        self.config = config
        self.members = members
        self.dtype = dtype
        self.device = torch.device(device)
        layout = layout_of(config)
        self.size, self.decayed = layout.size, layout.decayed
        cos, sin = rotation(config)
        self._rotation = cos.to(self.device), sin.to(self.device)
        layer: Callable[..., Tensor] = partial(_layer, config, members)
        losses: Callable[..., Tensor] = partial(_losses, config, members)
        by_layer = compiled and self.device.type == "cuda" and kernels >= LAYER_BY_LAYER
        if by_layer:
            layer, losses = compiled_whole(layer), compiled_whole(losses)
        self._all: Callable[..., Tensor] = partial(_mean_losses, config, members, dtype, layer, losses)
        if compiled and not by_layer:
            self._all = compiled_whole(self._all)

    def mean_losses(self, flat: Tensor, inputs: Tensor, targets: Tensor) -> Tensor:
        """Mean nats per token of every member, float32 [K].

        Args:
            flat: parameters, float32 [K, N].
            inputs: int64 [K, B, T].
            targets: int64 [K, B, T].
        """
        return self._all(flat, inputs, targets, *self._rotation)


def _mean_losses(
    c: ModelConfig,
    count: int,
    dtype: torch.dtype,
    layer: Callable[..., Tensor],
    losses: Callable[..., Tensor],
    flat: Tensor,
    inputs: Tensor,
    targets: Tensor,
    cos: Tensor,
    sin: Tensor,
) -> Tensor:
    """See ``StackedLlama.mean_losses``."""
    pieces = flat.to(dtype).split(piece_sizes(c), dim=1)
    norms = pieces[-1].view(count, 2 * c.layers + 1, 1, 1, c.width)
    master = flat[:, : c.vocabulary_size * c.width].reshape(count * c.vocabulary_size, c.width)
    first = torch.arange(count, device=flat.device).mul(c.vocabulary_size).view(count, 1, 1)
    cos, sin = (table[: inputs.shape[2]] for table in (cos, sin))
    x = rows(master, inputs + first).to(dtype)
    for i in range(c.layers):
        x = layer(x, *pieces[1 + 4 * i : 5 + 4 * i], norms[:, 2 * i], norms[:, 2 * i + 1], cos, sin)
    return losses(x, norms[:, -1], pieces[0], targets)


def _layer(
    c: ModelConfig,
    count: int,
    x: Tensor,
    qkv: Tensor,
    out: Tensor,
    gate_up: Tensor,
    down: Tensor,
    before: Tensor,
    between: Tensor,
    cos: Tensor,
    sin: Tensor,
) -> Tensor:
    """One layer of every member; states [K, B, T, C]."""
    h = rms_norm(x, before, c.norm_epsilon)
    h = _product(h, qkv, 3 * c.width).flatten(0, 1)
    h = attention(h, c.heads, cos, sin).unflatten(0, (count, -1))
    x = x + _product(h, out, c.width)
    h = rms_norm(x, between, c.norm_epsilon)
    gate, up = _product(h, gate_up, 2 * c.hidden).chunk(2, dim=-1)
    return x + _product(F.silu(gate) * up, down, c.width)


def _losses(
    c: ModelConfig, count: int, x: Tensor, norm: Tensor, embedding: Tensor, targets: Tensor
) -> Tensor:
    """The head: mean nats per token of every member [K]."""
    logits = _product(rms_norm(x, norm, c.norm_epsilon), embedding, c.vocabulary_size).float()
    found = F.cross_entropy(logits.flatten(0, 2), targets.flatten(), reduction="none")
    return found.view(count, -1).mean(dim=1)


def _product(x: Tensor, weight: Tensor, outputs: int) -> Tensor:
    """Every member's product with its own matrix: [K, B, T, in] and [K, out * in] to [K, B, T, out]."""
    count, batch, length, inputs = x.shape
    matrices = weight.view(count, outputs, inputs)
    result = torch.bmm(x.reshape(count, batch * length, inputs), matrices.transpose(1, 2))
    return result.view(count, batch, length, outputs)
