"""What is hidden from a masked language model (BERT and kin), and when.

Positions of a window are dealt into seven parts of equal size, by a hash of its tokens: a seventh is close
to the 15 % of Devlin et al. 2019 (https://arxiv.org/abs/1810.04805). One pass hides one part and predicts it
from all else. A score is the sum of seven passes, so that every token is predicted exactly once (a
pseudo-likelihood as in Salazar et al. 2020, https://arxiv.org/abs/1910.14659, with a part hidden in place of
one token); a training step hides one part, the same at each reading of a window. Masks are a function of the
tokens alone, so losses of two models on one text are paired. Hidden tokens are always replaced by the mask,
where BERT leaves or swaps a fifth of them.

Shapes: B windows, T positions, V vocabulary.
"""

import torch
from torch import Tensor

PARTS = 7
_MIXED = 0x5851F42D4C957F2D
"""Of a linear congruential generator (Knuth's MMIX): odd, and its products spread over all bits."""


def parts(tokens: Tensor) -> Tensor:
    """Which part every position of windows [B, T] belongs to, int64 in [0, PARTS); sizes differ by one."""
    length = tokens.shape[1]
    places = torch.arange(1, length + 1, device=tokens.device)
    keys = _mixed(window_hashes(tokens)[:, None] + places * _MIXED)
    order = keys.argsort(dim=1, stable=True).argsort(dim=1, stable=True)
    return order.remainder(PARTS)


def window_hashes(tokens: Tensor) -> Tensor:
    """A number for every window [B], of its tokens and their order; int64, overflow is meant."""
    powers = torch.full(tokens.shape[1:], _MIXED, device=tokens.device).cumprod(dim=0)
    return _mixed(((tokens + 1) * powers).sum(dim=1))


def _mixed(numbers: Tensor) -> Tensor:
    """High bits into low ones."""
    return (numbers ^ (numbers >> 29)) * _MIXED ^ (numbers >> 17)
