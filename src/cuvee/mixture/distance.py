"""How far mixtures lie apart."""

import numpy as np
from numpy.typing import ArrayLike

from cuvee.types import FloatArray


def total_variation(shares: ArrayLike, others: ArrayLike) -> FloatArray:
    """Half the sum of absolute differences: the share of the tokens that changes source, in [0, 1].

    Args:
        shares: [..., S].
        others: [..., S], broadcast against ``shares``.

    Returns:
        [...], without the axis of sources.
    """
    result: FloatArray = np.abs(np.asarray(shares) - np.asarray(others)).sum(axis=-1) / 2.0
    return result
