"""Looking up rows of an embedding, with a gradient that has the same bytes every time.

A compiled lookup adds gradients by atomic operations on a GPU, in whatever order threads come: two trainings
then differ in their last bits, and soon in all. These two operators are opaque to the compiler, so that the
gradient is torch's own, which sorts the tokens first. On a CPU they are plain ``F.embedding``.
"""

from typing import Any

import torch
from torch import Tensor


@torch.library.custom_op("cuvee::rows", mutates_args=())
def rows(weight: Tensor, index: Tensor) -> Tensor:
    """``weight`` [R, C] at ``index`` int64 [...]: [..., C]."""
    found: Tensor = torch.ops.aten.embedding(weight, index)
    return found


@torch.library.custom_op("cuvee::rows_gradient", mutates_args=())
def rows_gradient(gradient: Tensor, index: Tensor, count: int) -> Tensor:
    """Sum of ``gradient`` [..., C] over the places that read each of ``count`` rows: [count, C]."""
    found: Tensor = torch.ops.aten.embedding_dense_backward(gradient.contiguous(), index, count, -1, False)
    return found


@rows.register_fake
def _(weight: Tensor, index: Tensor) -> Tensor:
    return weight.new_empty((*index.shape, weight.shape[1]))


@rows_gradient.register_fake
def _(gradient: Tensor, index: Tensor, count: int) -> Tensor:
    return gradient.new_empty((count, gradient.shape[-1]))


def _keep(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
    weight, index = inputs
    ctx.save_for_backward(index)
    ctx.count = weight.shape[0]


def _backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
    (index,) = ctx.saved_tensors
    return rows_gradient(gradient, index, ctx.count), None


rows.register_autograd(_backward, setup_context=_keep)
