"""FLOPs of models by formula: the one place where they are counted.

    forward = 2 x parameters of matrices + 2 x layers x width x window,   a token

the head counted, and causal attention over a window of so many tokens. A training step takes three times as
many.
"""

TRAINING_PASSES = 3.0
"""Forward and backward, in forward passes."""


TRAINING_PER_PARAMETER = 2.0 * TRAINING_PASSES
"""Of training, a parameter and token, where no more than the number of parameters is known."""


def forward_flops(matrices: int, layers: int, width: int, window: int) -> float:
    """Of a forward pass, a token.

    Args:
        matrices: parameters that multiply: of all layers, and of the head.
        layers: how many.
        width: of the attention of a layer.
        window: tokens that are read at once.
    """
    return 2.0 * matrices + 2.0 * layers * width * window
