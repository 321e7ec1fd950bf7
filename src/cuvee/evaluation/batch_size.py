"""How many tokens a forward pass over windows takes, by device.

The size of a batch decides how products are rounded, so it is a function of the model and the device alone:
of all memory that the device has, not of what happens to be free.
"""

import torch

from cuvee.models.llama import LOGIT_BYTES

BATCH_TOKENS = {False: 1024, True: 2048}
"""Tokens a forward pass, and whether it multiplies in bfloat16. Measured on one core with a model of 0.3M
parameters: bfloat16 7 us a token (10 with 512 tokens), float32 10 us (18 with 2048: the logits leave the
cache)."""
GPU_BATCH_TOKENS = 32_768
"""The same on a GPU. Measured on an H100, milliseconds a merge on 131,072 tokens: 132 with 4,096 and 56 with
these at 30M parameters, 127 and 107 at 130M."""
BACKWARD_PART = 4
"""With a backward pass one of so many tokens: there the states of all layers stay in memory."""
_LOGITS_PART = 4
"""One of so many bytes of a device's memory is for logits."""


def gpu_batch_tokens(vocabulary: int, memory: int) -> int:
    """Tokens a forward pass on a GPU with so many bytes of memory."""
    return max(1, min(GPU_BATCH_TOKENS, memory // _LOGITS_PART // (LOGIT_BYTES * vocabulary)))


def batch_tokens(device: torch.device, low: bool, vocabulary: int, backward: bool = False) -> int:
    """Tokens a forward pass.

    Args:
        device: where the model computes.
        low: it multiplies in bfloat16.
        vocabulary: tokens that it tells apart.
        backward: a backward pass follows.
    """
    if device.type != "cuda":
        return BATCH_TOKENS[low]
    tokens = gpu_batch_tokens(vocabulary, torch.cuda.get_device_properties(device).total_memory)
    return max(1, tokens // BACKWARD_PART) if backward else tokens
