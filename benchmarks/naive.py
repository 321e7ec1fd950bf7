"""The plain Hugging Face way to train, merge and score, which the other benchmarks compare with.

Written as a user of transformers would, in float32, and without a line of cuvee's kernels or windows.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from cuvee.models.config import ModelConfig
from cuvee.models.hugging_face import save_llama

WINDOWS_A_FORWARD = 8

State = dict[str, Tensor]


def open_folder(folder: Path) -> Any:
    """What transformers makes of a model folder, in float32."""
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    return AutoModelForCausalLM.from_pretrained(folder, local_files_only=True, dtype=torch.float32)


def build(config: ModelConfig, flat: Tensor) -> Any:
    """``LlamaForCausalLM`` of an architecture with parameters ``flat`` [N]."""
    with tempfile.TemporaryDirectory() as folder:
        save_llama(Path(folder), config, flat)
        return open_folder(Path(folder))


class Training:
    """A model and its optimizer: AdamW, clip at 1, cross-entropy over all logits."""

    def __init__(self, config: ModelConfig, flat: Tensor, learning_rate: float) -> None:
        self._model = build(config, flat).train()
        self._optimizer = torch.optim.AdamW(
            self._model.parameters(), lr=learning_rate, betas=(0.9, 0.95), weight_decay=0.1
        )

    def step(self, inputs: Tensor, targets: Tensor) -> float:
        """One step on a batch [B, T]; its loss."""
        logits = self._model(input_ids=inputs, use_cache=False).logits
        loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._model.parameters(), 1.0)
        self._optimizer.step()
        self._optimizer.zero_grad()
        return loss.item()


def merge(states: Sequence[State], weights: Sequence[float]) -> State:
    """The weighted mean of state dicts, tensor by tensor; members of weight zero are not touched."""
    used = [(weight, state) for weight, state in zip(weights, states, strict=True) if weight]
    first_weight, first = used[0]
    return {
        name: sum((weight * state[name] for weight, state in used[1:]), first_weight * tensor)
        for name, tensor in first.items()
    }


def token_losses(model: Any, inputs: Tensor, targets: Tensor) -> Tensor:
    """-log p of every target [W, T], some windows at a time; the logarithm in float64."""
    rows = []
    with torch.no_grad():
        for part, goal in zip(inputs.split(WINDOWS_A_FORWARD), targets.split(WINDOWS_A_FORWARD), strict=True):
            log_probs = model(input_ids=part, use_cache=False).logits.double().log_softmax(-1)
            rows.append(-log_probs.gather(-1, goal[..., None])[..., 0])
    return torch.cat(rows)


def mean_loss(model: Any, inputs: Tensor, targets: Tensor) -> float:
    """Mean nats per token over windows [W, T], in float32 as ``cross_entropy`` gives it."""
    total = 0.0
    with torch.no_grad():
        for part, goal in zip(inputs.split(WINDOWS_A_FORWARD), targets.split(WINDOWS_A_FORWARD), strict=True):
            logits = model(input_ids=part, use_cache=False).logits
            total += F.cross_entropy(logits.flatten(0, 1), goal.flatten(), reduction="sum").item()
    return total / targets.numel()
