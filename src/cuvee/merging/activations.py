"""Gram matrices of what the linear layers of a model read.

    G = X^T X / n                                  X [n, d]: the inputs of a layer on n tokens

Two FLOPs a token and entry of G: less than the forward pass by the outputs of a layer over its inputs.
Sums are float64 between windows, so their order hardly shows; the same windows give the same bytes.
"""

import torch
from torch import Tensor

from cuvee.models.interface import CausalModel


def gram_matrices(model: CausalModel, flat: Tensor, windows: Tensor) -> Tensor:
    """The matrices of all inputs one behind the other, float32 [sum d^2].

    Args:
        model: in float32; other types round what is summed.
        flat: parameters [N].
        windows: int64 [W, T], read one at a time.
    """
    sums = [
        torch.zeros(one.width, one.width, dtype=torch.float64, device=flat.device)
        for one in model.linear_inputs
    ]

    def seen(place: int, states: Tensor) -> None:
        rows = states.reshape(-1, states.shape[-1]).float()
        sums[place] += (rows.T @ rows).double()

    with torch.no_grad():
        for window in windows:
            model.read_linear_inputs(flat, window[None], seen)
    return torch.cat([one.flatten() for one in sums]).div_(windows.numel()).float()
