"""What averaging gives for nothing, and how to take it out of a merge's loss.

Each branch carries noise of its own training. To second order the expected loss of a merge is

    E[L(merge)] = L(noiseless merge) + sum_k w_k^2 c_k,        c_k = tr(H Sigma_k) / 2

so many equal parts look better than few, whatever the data is worth, and an optimiser on merge losses
is drawn to uniform weights. c is measured from replicas: R branches of one unit that differ only in their
random seed. Their mean loss is L + c, the loss of their average L + c / R, hence

    c = (mean loss - loss of the average) / (1 - 1 / R)

Derived for quadratic losses; replicas far apart give an upper estimate.
"""

import numpy as np

from cuvee.errors import ConfigError
from cuvee.types import FloatArray


def averaging_bonus(replica_losses: FloatArray, average_losses: FloatArray) -> FloatArray:
    """Noise cost c of a single branch.

    Args:
        replica_losses: losses of R replicas of a unit [..., R, E].
        average_losses: losses of the uniform merge of the replicas [..., E].

    Returns:
        [..., E], in the unit of the losses; leading axes are units. Average over units with ``mean(axis=0)``.

    Raises:
        ConfigError: fewer than two replicas.
    """
    replicas = np.shape(replica_losses)[-2]
    if replicas < 2:
        raise ConfigError(f"averaging bonus: {replicas} replica; train the unit with two seeds or more")
    return np.asarray((np.mean(replica_losses, axis=-2) - average_losses) / (1 - 1 / replicas))


def noise_penalty(weights: FloatArray, cost: FloatArray) -> FloatArray:
    """sum_k w_k^2 c_k, to be subtracted from the losses of merges.

    Args:
        weights: of the merges [..., K].
        cost: one for all members [E], or one each [K, E].

    Returns:
        [..., E]
    """
    squares = np.square(weights)
    if np.ndim(cost) == 1:
        return np.asarray(squares.sum(axis=-1)[..., None] * cost)
    return np.asarray(squares @ cost)
