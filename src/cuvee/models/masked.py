"""Masked language models (BERT and kin) behind the interface of causal ones.

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
import torch.nn.functional as F
from torch import Tensor

from cuvee.errors import ConfigError
from cuvee.models.hugging_face import HuggingFaceModel

PARTS = 7
_MIXED = 0x5851F42D4C957F2D
"""Of a linear congruential generator (Knuth's MMIX): odd, and its products spread over all bits."""


class MaskedModel(HuggingFaceModel):
    """Any masked language model of transformers as a function of its flat parameters.

    ``flops_per_token`` is one pass, as in training; a score takes ``PARTS`` of them.
    """

    def mean_loss(self, flat: Tensor, inputs: Tensor, targets: Tensor) -> Tensor:
        """Mean nats of the tokens in the hidden part of every window, a float32 scalar."""
        tokens = targets.to(self.device)
        hidden = parts(tokens) == window_hashes(tokens).remainder(PARTS)[:, None]
        return -self._log_probs(flat, tokens, hidden).sum() / hidden.sum()

    def token_log_probs(self, flat: Tensor, inputs: Tensor, targets: Tensor) -> Tensor:
        """log p of every token given those that its part leaves visible, float32 [B, T]."""
        tokens = targets.to(self.device)
        owner = parts(tokens)
        passes = [self._log_probs(flat, tokens, owner == part) for part in range(PARTS)]
        return torch.stack(passes).sum(dim=0)

    def next_log_probs(self, flat: Tensor, inputs: Tensor, last: Tensor) -> Tensor:
        """Raises: ConfigError, always."""
        raise ConfigError(
            f"{self.folder}: a masked language model predicts no next token; what asks a model for answers "
            "(Ask-LLM, MEDU) needs a causal one"
        )

    def _log_probs(self, flat: Tensor, tokens: Tensor, hidden: Tensor) -> Tensor:
        """log p of the hidden tokens, zero elsewhere [B, T]."""
        seen = tokens.masked_fill(hidden, self.mask_token)
        logits = self.logits(flat, {"input_ids": seen})[hidden].float()
        found = -F.cross_entropy(logits, tokens[hidden], reduction="none")
        return torch.zeros(tokens.shape, device=tokens.device).masked_scatter(hidden, found)


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
