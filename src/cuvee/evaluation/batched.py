"""Windows as batches of one shape on one device, and the sums of what is scored in them, made there.

All tokens are sent once; a pass over them waits for nothing and sends nothing back. Documents are summed in
float64 by ``torch.segment_reduce``, in a fixed order, on a CPU token by token: ``index_add_`` adds in any
order on CUDA, and two runs would differ. n numbers of one sign sum to n 2^-53 of their sum at worst; those
of float32 have 29 bits to spare and mostly sum exactly. On a CPU the sums are those of ``np.bincount`` to the
bit.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from cuvee.evaluation.captured import Captured
from cuvee.models.interface import CausalModel
from cuvee.models.llama import Llama
from cuvee.types import IntArray


@runtime_checkable
class ComputesIn(Protocol):
    """A model that says in which type it multiplies; its parameters are then cast once, not once a batch."""

    dtype: torch.dtype


@dataclass(frozen=True, eq=False)
class BatchedWindows:
    """B batches of windows on a device; the last is filled up with copies, which are not scored."""

    model: CausalModel
    inputs: Tensor
    """[B, W, T] int64"""
    targets: Tensor
    """[B, W, T] int64"""
    scored: Tensor
    """Places of all scored tokens in the flattened batches, document by document [tokens]."""
    lengths: Tensor
    """Scored tokens of every document [D]."""
    windows: int
    """Of all batches, without the copies."""

    @classmethod
    def of(
        cls,
        model: CausalModel,
        inputs: Tensor,
        targets: Tensor,
        scored: IntArray,
        lengths: IntArray,
        most: int,
        device: torch.device,
    ) -> "BatchedWindows":
        """Send windows to a device.

        Args:
            model: what scores them.
            inputs: [W, T].
            targets: [W, T].
            scored: places of the scored tokens in the flattened windows, document by document.
            lengths: scored tokens of every document [D].
            most: windows a batch; lowered so that all batches are nearly full.
            device: where they are scored.
        """
        windows, length = inputs.shape
        count = -(-windows // most)
        size = -(-windows // count)
        rows = torch.arange(-(-windows // size) * size).remainder_(windows)

        def batched(tokens: Tensor) -> Tensor:
            return tokens[rows].view(-1, size, length).to(device)

        places = torch.from_numpy(scored).to(device), torch.from_numpy(lengths).to(device)
        return cls(model, batched(inputs), batched(targets), *places, windows)

    def log_probs(self, flat: Tensor) -> Tensor:
        """log p of every scored token, document by document: float32 [tokens], on the device.

        Args:
            flat: parameters [N], there.
        """
        low = flat.to(self.model.dtype) if isinstance(self.model, ComputesIn) else flat
        found = torch.empty(self.inputs.shape, dtype=torch.float32, device=self.inputs.device)
        # Not inference_mode: tables that a model caches in here are used under autograd later.
        with torch.no_grad():
            for place, (inputs, targets) in enumerate(zip(self.inputs, self.targets, strict=True)):
                found[place] = self.model.token_log_probs(low, inputs, targets)
        return found.view(-1)[self.scored]

    def nats(self, flat: Tensor) -> Tensor:
        """Nats of every document [D] in float64, on the device."""
        return document_sums(self.log_probs(flat), self.lengths)

    def batches(self) -> Iterator[tuple[slice, Tensor, Tensor]]:
        """Which windows, inputs and targets of every batch.

        Rows behind the end of the slice are copies and must not be counted.
        """
        for place, (inputs, targets) in enumerate(zip(self.inputs, self.targets, strict=True)):
            start = place * len(inputs)
            yield slice(start, min(start + len(inputs), self.windows)), inputs, targets

    def scorer(self, capture: bool) -> Captured:
        """What gives the nats of the parameters that lie in its buffer.

        Args:
            capture: as one CUDA graph, where the model is native: what others do in a pass may not be
                recordable. It is captured once and kept.
        """
        captured = capture and isinstance(self.model, Llama)
        return self._captured if captured else Captured(self.nats, *self._parameters, capture=False)

    @cached_property
    def _captured(self) -> Captured:
        return Captured(self.nats, *self._parameters)

    @property
    def _parameters(self) -> tuple[int, torch.device]:
        return self.model.layout.size, self.inputs.device


def document_sums(log_probs: Tensor, lengths: Tensor) -> Tensor:
    """Nats of every document, float64 [D, ...], of log-probabilities [tokens, ...], document by document."""
    # It would copy the lengths back to check that they add up.
    if log_probs.device.type == "mps":  # it has no float64
        log_probs, lengths = log_probs.cpu(), lengths.cpu()
    summed = torch.segment_reduce(log_probs.double(), "sum", lengths=lengths, unsafe=True, initial=0.0)
    return 0.0 - summed  # and not -0.0 where a document has no tokens
