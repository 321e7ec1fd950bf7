"""A Llama on one flat vector of parameters.

The same numbers as transformers' ``LlamaForCausalLM``; only the kernels differ. They were chosen by
measurement (``benchmarks/speed.md``): products in the type the processor is fast in, from a float32
master; fused attention, except in bfloat16 on CPU below 512 positions, where two batched products are
1.6 to 5 times faster; query-key-value and gate-up as one product each; and a head that makes the
gradient of the cross-entropy in the forward pass, chunk by chunk, so that the logits of a batch never
exist at once.
``torch.compile`` fuses what lies between the products, on a CPU also within the head (``fused.py``).

Shapes: B sequences, T positions, C width, H heads, D head width, F hidden, V vocabulary.
"""

from collections.abc import Callable
from functools import cached_property, partial
from itertools import count
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from cuvee.models.config import ModelConfig
from cuvee.models.fused import FusedHead, causal_probabilities
from cuvee.models.layout import Layout
from cuvee.models.linear_inputs import LinearInput

HEAD_CHUNK_TOKENS = 256
"""On a CPU: a chunk of logits stays in the cache."""
KERNELS = 3
"""Version of what computes. On a GPU, 0: the head's chunks are those of a CPU; from 2: they follow the
memory; from 3: a layer is compiled and not all of them at once. On a CPU, where it is compiled, from 3: the
passes of ``fused.py``."""
_FUSED_FROM = 3
KERNELS_RUN_ON_GPU = 2
"""What studies that begin on a GPU have: the last version that was run on one."""
LAYER_BY_LAYER = 3
"""The first of these that compiles a layer on a GPU. That takes a third to a sixth of the time, and leaves
the gradient of the embedding to torch, whose sums have a fixed order. Steps on a CPU are 2 to 10 % longer (1M
to 10M), so there all is compiled at once."""
_HEAD_CHUNKS_ON_GPU = (16_384, 1024)
"""The largest that memory allows, and the least. On an H100, one chunk in place of 64 takes 61, 52, 41 and
16 % off a step of models of 1M, 10M, 30M and 130M parameters, most of them spent on launching kernels."""
LOGIT_BYTES = 10
"""Of one logit on its way on a GPU: in float32 as log-probability and slope, and in bfloat16."""
_HEAD_MEMORY = 1 / 16
"""Of the memory, that logits may take. Of all of it, free or not: chunks decide how sums are rounded."""
_RECOMPILATIONS = 64
"""Shapes that a process may compile; torch stops at 8, fewer than a ladder has in the worker of a card."""
_FUSED_ATTENTION_LENGTH = 512
_INITIAL_STD = 0.02

Probabilities = Callable[[Tensor, float], Tensor]


class Llama:
    """The native model. Stateless: parameters are the argument ``flat`` [N] of every call.

    Args:
        config: the architecture.
        dtype: of the matrix products; norms, softmax and cross-entropy are always float32.
        compiled: fuse with ``torch.compile`` (some 20 s for the first model of a shape on a machine,
            about 2 s from the on-disk cache later). Eager gives the same numbers up to rounding.
        device: where token batches are sent.
        kernels: version of what computes, see ``KERNELS``; it changes rounding.
        window: tokens of the windows for which FLOPs are counted; 0 for the longest.
    """

    def __init__(
        self,
        config: ModelConfig,
        dtype: torch.dtype = torch.float32,
        compiled: bool = False,
        device: str = "cpu",
        kernels: int = 0,
        window: int = 0,
    ) -> None:
        self.config = config
        self.dtype = dtype
        self.device = torch.device(device)
        self.kernels = kernels
        self.vocabulary_size = config.vocabulary_size
        self.context_length = config.context_length
        self.flops_per_token = config.flops_at(window or config.context_length)
        self.model_hash = config.model_hash
        self.layout = layout_of(config)
        layer: Callable[..., Tensor] = partial(_layer, config)
        norm: Callable[..., Tensor] = partial(rms_norm, epsilon=config.norm_epsilon)
        self._fused_head: FusedHead | None = None
        if compiled and self.device.type == "cpu" and kernels >= _FUSED_FROM:
            layer = partial(layer, probabilities=causal_probabilities)
            self._fused_head = FusedHead.compiled(compiled_whole)
        by_layer = compiled and self.device.type == "cuda" and kernels >= LAYER_BY_LAYER
        if by_layer:
            layer, norm = compiled_whole(layer), compiled_whole(norm)
        self._body: Callable[..., Tensor] = partial(_hidden_states, config, layer, norm)
        if compiled and not by_layer:
            self._body = compiled_whole(self._body)

    @cached_property
    def _rotation(self) -> tuple[Tensor, Tensor]:
        cos, sin = rotation(self.config)
        return cos.to(self.device), sin.to(self.device)

    @cached_property
    def _head_chunk(self) -> int:
        if self.device.type != "cuda" or not self.kernels:
            return HEAD_CHUNK_TOKENS
        memory = torch.cuda.get_device_properties(self.device).total_memory
        return head_chunk_tokens(self.vocabulary_size, memory)

    def initial(self, seed: int) -> Tensor:
        """Normal(0, 0.02) matrices, output projections scaled by 1/sqrt(2 layers), norms one."""
        generator = torch.Generator().manual_seed(seed)
        flat = torch.ones(self.layout.size)
        for entry in self.layout.entries:
            if len(entry.shape) == 2:
                residual = entry.name.endswith(("o_proj.weight", "down_proj.weight"))
                std = _INITIAL_STD / (2 * self.config.layers) ** 0.5 if residual else _INITIAL_STD
                entry.view(flat).normal_(0.0, std, generator=generator)
        return flat

    def mean_loss(self, flat: Tensor, inputs: Tensor, targets: Tensor) -> Tensor:
        """Mean nats per token, a float32 scalar; ``inputs`` and ``targets`` int64 [B, T]."""
        low = flat.to(self.dtype)
        states = self._body(low, inputs.to(self.device), *self._rotation)
        goal = targets.to(self.device).flatten()
        if self._fused_head is not None:
            return self._fused_head.mean_loss(states.flatten(0, 1), self._embedding(low), goal)
        return _head_loss(states.flatten(0, 1), self._embedding(low), goal, self._head_chunk)

    def token_log_probs(self, flat: Tensor, inputs: Tensor, targets: Tensor) -> Tensor:
        """log p(target), float32 [B, T]; differentiable in ``flat``."""
        low = flat.to(self.dtype)
        states = self._body(low, inputs.to(self.device), *self._rotation).flatten(0, 1)
        embedding = self._embedding(low)
        goal = targets.to(self.device).flatten()
        if self._fused_head is not None and not states.requires_grad:
            return self._fused_head.token_log_probs(states, embedding, goal).view(targets.shape)
        chunks = [
            -F.cross_entropy(_wide(piece @ embedding.T), wanted, reduction="none")
            for piece, wanted in zip(
                states.split(self._head_chunk), goal.split(self._head_chunk), strict=True
            )
        ]
        return torch.cat(chunks).view(targets.shape)

    def hidden_states(self, flat: Tensor, inputs: Tensor) -> Tensor:
        """The last normed states [B, T, C] in the type of the products; ``inputs`` int64 [B, T]."""
        return self._body(flat.to(self.dtype), inputs.to(self.device), *self._rotation)

    def next_log_probs(self, flat: Tensor, inputs: Tensor, last: Tensor) -> Tensor:
        """log p of any token after position ``last`` [B] of each row of ``inputs`` [B, T], float32 [B, V]."""
        low = flat.to(self.dtype)
        states = self._body(low, inputs.to(self.device), *self._rotation)
        states = states[torch.arange(len(inputs), device=states.device), last.to(states.device)]
        return F.log_softmax(_wide(states @ self._embedding(low).T), dim=-1)

    @cached_property
    def linear_inputs(self) -> tuple[LinearInput, ...]:
        """Four a layer: of query, key and value, of the output, of gate and up, and of down."""
        return linear_inputs_of(self.config)

    def read_linear_inputs(self, flat: Tensor, inputs: Tensor, seen: Callable[[int, Tensor], None]) -> None:
        """See ``CausalModel.read_linear_inputs``."""
        places = count()

        def linear(states: Tensor, weight: Tensor) -> Tensor:
            seen(next(places), states)
            return F.linear(states, weight)

        layer = partial(_layer, self.config, linear=linear)
        norm = partial(rms_norm, epsilon=self.config.norm_epsilon)
        low = flat.to(self.dtype)
        _hidden_states(self.config, layer, norm, low, inputs.to(self.device), *self._rotation)

    def _embedding(self, low: Tensor) -> Tensor:
        c = self.config
        return low[: c.vocabulary_size * c.width].view(c.vocabulary_size, c.width)


def compiled_whole(function: Callable[..., Any]) -> Callable[..., Any]:
    """``torch.compile`` of all of a function, for one shape after another."""
    limit = torch._dynamo.config
    limit.recompile_limit = max(_RECOMPILATIONS, limit.recompile_limit)
    whole: Callable[..., Any] = torch.compile(function, dynamic=False, fullgraph=True)
    return whole


def head_chunk_tokens(vocabulary: int, memory_bytes: int) -> int:
    """Tokens whose logits are made at once on a device with so much memory: a power of two."""
    most, tokens = _HEAD_CHUNKS_ON_GPU
    while tokens < most and 2 * tokens * vocabulary * LOGIT_BYTES <= memory_bytes * _HEAD_MEMORY:
        tokens *= 2
    return tokens


def rotation(c: ModelConfig) -> tuple[Tensor, Tensor]:
    """Cosine and sine tables [T, D], as transformers lays them out (two equal halves)."""
    exponent = torch.arange(0, c.head_width, 2, dtype=torch.int64).float() / c.head_width
    frequency = 1.0 / (c.rope_theta**exponent)
    angle = torch.outer(torch.arange(c.context_length).float(), frequency).repeat(1, 2)
    return angle.cos(), angle.sin()


def layout_of(c: ModelConfig) -> Layout:
    """Where each parameter lies in the flat vector."""
    square, wide, narrow = (c.width, c.width), (c.hidden, c.width), (c.width, c.hidden)
    matrices: list[tuple[str, tuple[int, ...]]] = [
        ("model.embed_tokens.weight", (c.vocabulary_size, c.width))
    ]
    norms: list[tuple[str, tuple[int, ...]]] = []
    for i in range(c.layers):
        prefix = f"model.layers.{i}."
        matrices += [(f"{prefix}self_attn.{x}_proj.weight", square) for x in "qkvo"]
        matrices += [(f"{prefix}mlp.{x}_proj.weight", wide) for x in ("gate", "up")]
        matrices += [(f"{prefix}mlp.down_proj.weight", narrow)]
        norms += [(f"{prefix}{x}_layernorm.weight", (c.width,)) for x in ("input", "post_attention")]
    return Layout.of(matrices, [*norms, ("model.norm.weight", (c.width,))])


def linear_inputs_of(c: ModelConfig) -> tuple[LinearInput, ...]:
    """What the linear layers read, in the order of the pieces; the tied head is an embedding."""
    entries = {entry.name: entry for entry in layout_of(c).entries}
    readers = (
        (c.width, ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")),
        (c.width, ("self_attn.o_proj",)),
        (c.width, ("mlp.gate_proj", "mlp.up_proj")),
        (c.hidden, ("mlp.down_proj",)),
    )
    return tuple(
        LinearInput(width, tuple(entries[f"model.layers.{layer}.{name}.weight"] for name in names))
        for layer in range(c.layers)
        for width, names in readers
    )


def piece_sizes(c: ModelConfig) -> list[int]:
    """Sizes of the pieces the kernels read: neighbouring tensors that share an input are one piece."""
    layer = [3 * c.width**2, c.width**2, 2 * c.hidden * c.width, c.width * c.hidden]
    return [c.vocabulary_size * c.width, *(layer * c.layers), (2 * c.layers + 1) * c.width]


def plain_probabilities(scores: Tensor, scale: float) -> Tensor:
    """Softmax of ``scale`` times scores [..., T, T] over the positions up to each, operation by operation."""
    length = scores.shape[-1]
    future = torch.ones(length, length, dtype=torch.bool).triu(1)
    return (scores * scale).float().masked_fill(future, float("-inf")).softmax(-1).to(scores.dtype)


def _hidden_states(
    c: ModelConfig,
    layer: Callable[..., Tensor],
    norm: Callable[..., Tensor],
    low: Tensor,
    inputs: Tensor,
    cos: Tensor,
    sin: Tensor,
) -> Tensor:
    """The last normed states [B, T, C]; ``low`` [N] in the compute dtype."""
    pieces = low.split(piece_sizes(c))
    norms = pieces[-1].view(2 * c.layers + 1, c.width)
    length = inputs.shape[1]
    cos, sin = cos[:length], sin[:length]
    x = F.embedding(inputs, pieces[0].view(c.vocabulary_size, c.width))
    for i in range(c.layers):
        x = layer(x, *pieces[1 + 4 * i : 5 + 4 * i], norms[2 * i], norms[2 * i + 1], cos, sin)
    return norm(x, norms[-1])


def _layer(
    c: ModelConfig,
    x: Tensor,
    qkv: Tensor,
    out: Tensor,
    gate_up: Tensor,
    down: Tensor,
    before: Tensor,
    between: Tensor,
    cos: Tensor,
    sin: Tensor,
    probabilities: Probabilities = plain_probabilities,
    linear: Callable[[Tensor, Tensor], Tensor] = F.linear,
) -> Tensor:
    """One layer: states [B, T, C], its four pieces, the norms before attention and before the products."""
    h = rms_norm(x, before, c.norm_epsilon)
    h = attention(linear(h, qkv.view(3 * c.width, c.width)), c.heads, cos, sin, probabilities)
    x = x + linear(h, out.view(c.width, c.width))
    h = rms_norm(x, between, c.norm_epsilon)
    gate, up = linear(h, gate_up.view(2 * c.hidden, c.width)).chunk(2, dim=-1)
    return x + linear(F.silu(gate) * up, down.view(c.width, c.hidden))


def _wide(x: Tensor) -> Tensor:
    """In float32, or in float64 where it is computed in that (exact derivatives, in tests)."""
    return x if x.dtype == torch.float64 else x.float()


def rms_norm(x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    """Root-mean-square norm over the last axis, computed in float32, in the type of ``x``."""
    wide = _wide(x)
    return weight * (wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + epsilon)).to(x.dtype)


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    left, right = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-right, left), dim=-1) * sin


def attention(
    qkv: Tensor,
    heads: int,
    cos: Tensor,
    sin: Tensor,
    probabilities: Probabilities = plain_probabilities,
) -> Tensor:
    """Causal attention from packed projections [B, T, 3C] to [B, T, C].

    Args:
        qkv: the projections.
        heads: into how many they are cut.
        cos: ``rotation``.
        sin: the same.
        probabilities: from scores, where attention is two products.
    """
    batch, length, packed = qkv.shape
    width = packed // 3 // heads
    q, k, v = qkv.view(batch, length, 3, heads, width).permute(2, 0, 3, 1, 4).unbind(0)  # (B, H, T, D)
    cos, sin = cos.to(qkv.dtype), sin.to(qkv.dtype)
    q, k = _rotate(q, cos, sin), _rotate(k, cos, sin)
    on_cpu = qkv.device.type == "cpu"
    y: Tensor
    if on_cpu and qkv.dtype == torch.bfloat16 and length < _FUSED_ATTENTION_LENGTH:
        y = probabilities(q @ k.transpose(-1, -2), width**-0.5) @ v
    else:
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    return y.transpose(1, 2).reshape(batch, length, heads * width)


class _HeadLoss(torch.autograd.Function):
    """Mean cross-entropy of a tied head; its gradient is made in the forward pass, chunk by chunk.

    The backward pass only scales. Memory: one chunk of logits instead of all (16 MB a thousand
    tokens at V = 4096 in float32), and each logit is read once while it is in cache.
    """

    @staticmethod
    def forward(ctx: Any, states: Tensor, embedding: Tensor, targets: Tensor, chunk: int) -> Tensor:
        need_gradient = ctx.needs_input_grad[0] or ctx.needs_input_grad[1]
        total = torch.zeros((), dtype=torch.float32, device=states.device)
        grad_states = torch.empty_like(states) if need_gradient else None
        grad_embedding = torch.zeros_like(embedding, dtype=torch.float32) if need_gradient else None
        scale = 1.0 / targets.numel()
        for start in range(0, targets.numel(), chunk):
            piece = states[start : start + chunk]
            wanted = targets[start : start + chunk, None]
            log_probs = (piece @ embedding.T).float().log_softmax(-1)
            total -= log_probs.gather(1, wanted).sum()
            if grad_states is not None and grad_embedding is not None:
                slope = log_probs.exp_()
                slope.scatter_add_(1, wanted, torch.full_like(wanted, -1, dtype=slope.dtype))
                low = slope.mul_(scale).to(states.dtype)
                torch.mm(low, embedding, out=grad_states[start : start + chunk])
                grad_embedding += low.T @ piece
        ctx.save_for_backward(grad_states, grad_embedding)
        return total * scale

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> Any:
        grad_states, grad_embedding = ctx.saved_tensors
        scale = upstream[0].to(grad_states.dtype)
        return grad_states * scale, grad_embedding.to(grad_states.dtype) * scale, None, None


_head_loss: Callable[[Tensor, Tensor, Tensor, int], Tensor] = _HeadLoss.apply
