"""What lies between the products of a compiled model on a CPU, in as few passes over memory as can be.

Scores and logits are the largest tensors of a step, and products in bfloat16 write and read them faster than
single operations pass over them. So a softmax is one pass here: row by row it reads bfloat16, works in
float32 within the cache, and writes bfloat16; its backward pass needs no more than what it wrote.

Shapes: n tokens, C width, V vocabulary, T positions.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

_CHUNK_TOKENS = 512
"""Logits that are made at once, at most. With 256 the head takes 2 to 8 % longer, with 1024 hardly less."""

Compile = Callable[[Callable[..., Any]], Callable[..., Any]]


@dataclass(frozen=True, eq=False)
class FusedHead:
    """A tied head, chunk by chunk."""

    slopes: Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
    """``loss_and_slopes``, compiled."""
    log_probs: Callable[[Tensor, Tensor], Tensor]
    """``log_probs_of``, compiled."""

    @classmethod
    def compiled(cls, compile_whole: Compile) -> "FusedHead":
        """Compile the passes; each shape when it first comes."""
        return cls(compile_whole(loss_and_slopes), compile_whole(log_probs_of))

    def mean_loss(self, states: Tensor, embedding: Tensor, targets: Tensor) -> Tensor:
        """Mean cross-entropy, float32; the gradient is made on the way.

        Args:
            states: [n, C].
            embedding: [V, C].
            targets: int64 [n].
        """
        return _head_loss(states, embedding, targets, self.slopes)

    def token_log_probs(self, states: Tensor, embedding: Tensor, targets: Tensor) -> Tensor:
        """log p(target), float32 [n]; arguments as in ``mean_loss``."""
        tokens = chunk_tokens(len(targets))
        pairs = zip(states.split(tokens), targets[:, None].split(tokens), strict=True)
        return torch.cat([self.log_probs(piece @ embedding.T, wanted) for piece, wanted in pairs])


def chunk_tokens(tokens: int) -> int:
    """Tokens a chunk: all chunks are as large, or nearly, since each shape is compiled."""
    return -(-tokens // -(-tokens // _CHUNK_TOKENS))


def loss_and_slopes(logits: Tensor, wanted: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """Summed cross-entropy of a chunk, and ``scale`` times its derivatives in the logits, in their type.

    Args:
        logits: [n, V].
        wanted: int64 [n, 1].
        scale: of the derivatives, a float32 scalar.
    """
    wide = logits.float()
    top = wide.amax(-1, keepdim=True)
    weights = (wide - top).exp()
    mass = weights.sum(-1, keepdim=True)
    loss = (top + mass.log() - wide.gather(1, wanted)).sum()
    at_target = torch.arange(wide.shape[1], device=wide.device) == wanted
    slopes = weights / mass * scale - torch.where(at_target, scale, 0.0)
    return loss, slopes.to(logits.dtype)


def log_probs_of(logits: Tensor, wanted: Tensor) -> Tensor:
    """Log-probabilities [n] of ``wanted`` [n, 1] under logits [n, V]; float32."""
    wide = logits.float()
    top = wide.amax(-1, keepdim=True)
    mass = (wide - top).exp().sum(-1, keepdim=True)
    return (wide.gather(1, wanted) - top - mass.log()).squeeze(1)


def causal_probabilities(scores: Tensor, scale: float) -> Tensor:
    """Softmax of ``scale`` times scores [..., T, T] over the positions up to each, in their type."""
    return _probabilities(scores, scale)


class _FusedHeadLoss(torch.autograd.Function):
    """See ``FusedHead.mean_loss``. The backward pass only scales."""

    @staticmethod
    def forward(ctx: Any, states: Tensor, embedding: Tensor, targets: Tensor, slopes_of: Any) -> Tensor:
        total = torch.zeros((), dtype=torch.float32)
        grad_states = torch.empty_like(states)
        grad_embedding = torch.zeros_like(embedding, dtype=torch.float32)
        scale = torch.tensor(1.0 / len(targets))
        tokens = chunk_tokens(len(targets))
        for start in range(0, len(targets), tokens):
            piece = states[start : start + tokens]
            loss, slopes = slopes_of(piece @ embedding.T, targets[start : start + tokens, None], scale)
            total += loss
            torch.mm(slopes, embedding, out=grad_states[start : start + tokens])
            grad_embedding += slopes.T @ piece
        ctx.save_for_backward(grad_states, grad_embedding)
        return total * scale

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> Any:
        grad_states, grad_embedding = ctx.saved_tensors
        scale = upstream[0].to(grad_states.dtype)
        return grad_states * scale, grad_embedding.to(grad_states.dtype) * scale, None, None


class _CausalProbabilities(torch.autograd.Function):
    """See ``causal_probabilities``. Nothing but the result is kept for the backward pass."""

    @staticmethod
    def forward(ctx: Any, scores: Tensor, scale: float) -> Tensor:
        length = scores.shape[-1]
        future = torch.ones(length, length, dtype=torch.bool, device=scores.device).triu(1)
        wide = (scores.float() * scale).masked_fill(future, float("-inf"))
        weights = (wide - wide.amax(-1, keepdim=True)).exp()
        found = (weights * (1.0 / weights.sum(-1, keepdim=True))).to(scores.dtype)
        ctx.save_for_backward(found)
        ctx.scale = scale
        return found

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> Any:
        (found,) = ctx.saved_tensors
        wide, slope = found.float(), upstream[0].float()
        inner = (wide * slope).sum(-1, keepdim=True)
        return (wide * (slope - inner) * ctx.scale).to(found.dtype), None


_head_loss: Callable[[Tensor, Tensor, Tensor, Any], Tensor] = _FusedHeadLoss.apply
_probabilities: Callable[[Tensor, float], Tensor] = _CausalProbabilities.apply
