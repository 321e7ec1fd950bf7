"""A mean of documents weighted by their tokens, with its interval over other documents of the same kind.

    m = sum_i s_i / sum_i t_i,      error^2 = n / (n - 1) sum_i (s_i - m t_i)^2 / (sum_i t_i)^2

s_i is the sum over the tokens t_i of document i: the linearised variance of a ratio (Cochran 1977, Sampling
Techniques, 6.4), with Student's t of n - 1 degrees of freedom.
"""

import math

from scipy.special import stdtrit

from cuvee.types import FloatArray


def ratio_mean(sums: FloatArray, tokens: FloatArray, confidence: float) -> tuple[float, float, float]:
    """Mean, lower and upper end; infinite ends where one document is all there is.

    Args:
        sums: of each document over its tokens [n], n at least 1.
        tokens: of each document [n].
        confidence: of the interval, in (0, 1).
    """
    total, count = float(tokens.sum()), len(sums)
    mean = float(sums.sum()) / total
    if count < 2:
        return mean, -math.inf, math.inf
    residuals = sums - mean * tokens
    error = math.sqrt(count / (count - 1) * float(residuals @ residuals)) / total
    half = float(stdtrit(count - 1, 0.5 + confidence / 2.0)) * error
    return mean, mean - half, mean + half
