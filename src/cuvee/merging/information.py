"""The diagonal of a model's Fisher information, as its own text shows it.

    F_i = mean over windows of (d log p(targets | inputs) / d theta_i)^2

Targets are those of the text, not drawn from the model: the empirical Fisher information. One backward pass
a window, as squares of sums are not sums of squares. F is divided by its mean over all parameters: else a
member whose text gives large gradients decides every merge. That is why tokens need no dividing by, too.
"""

import torch
from torch import Tensor

from cuvee.models.interface import CausalModel


def fisher_diagonal(model: CausalModel, flat: Tensor, inputs: Tensor, targets: Tensor) -> Tensor:
    """F over its mean, float32 [N]; all zero where no gradient is.

    Args:
        model: in float32; small gradients vanish in other types.
        flat: parameters [N].
        inputs: int64 [W, T]; ``targets`` likewise.
    """
    parameters = flat.detach().clone().requires_grad_()
    total = torch.zeros(flat.shape, dtype=torch.float64, device=flat.device)
    for one, wanted in zip(inputs, targets, strict=True):
        log_probability = model.token_log_probs(parameters, one[None], wanted[None]).sum()
        (slope,) = torch.autograd.grad(log_probability, parameters)
        total.addcmul_(slope.double(), slope.double())
    mean = total.mean()
    return (total / mean if mean > 0 else total).float()
