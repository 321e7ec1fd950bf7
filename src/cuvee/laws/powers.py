"""Powers of shares between zero and one, as several laws write them."""

import numpy as np

from cuvee.types import FloatArray

_NO_SHARE = -1e9  # stands for log 0: its power is 0, and 0 * _NO_SHARE is never formed


def log_shares(shares: FloatArray) -> FloatArray:
    """Logarithms; of zero a number whose exponential is zero, also times any exponent above 1e-6."""
    return np.where(shares > 0, np.log(np.where(shares > 0, shares, 1.0)), _NO_SHARE)


def sigmoid(x: FloatArray) -> FloatArray:
    """1 / (1 + exp(-x)): from any number to an exponent between zero and one."""
    result: FloatArray = 1.0 / (1.0 + np.exp(-x))
    return result
