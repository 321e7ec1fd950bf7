"""How a model divides its parameters among the sources it learns from.

    x minimises sum_i h_i c_i x_i^-b_i    with sum_i x_i = N

(Dai & Zheng 2026, https://arxiv.org/abs/2606.08167.) At the optimum the marginal gain of every source is the
same number lambda: x_i = (h_i b_i c_i / lambda)^(1 / (1 + b_i)). That the x_i sum to N determines lambda. Its
equation is convex and falling in log lambda, so that Newton's method from below never passes the root;
it takes the place of the paper's bisection, and leaves x exact enough to be derived.

Shapes: B problems, R runs, S sources.
"""

from dataclasses import dataclass

import numpy as np

from cuvee.types import FloatArray

_STEPS = 60
_EXACT = 1e-14  # of log N


@dataclass(frozen=True, eq=False)
class Allocation:
    """The optimum for each run. Made by ``of``."""

    log_x: FloatArray
    """[B, R, S]."""
    per_log_price: FloatArray
    """-d log x_i / d log lambda = 1 / (1 + b_i), [B, S]."""
    price: FloatArray
    """d log lambda / d log h_i, [B, R, S], which sums to one over the sources. So

    d log x_i / d log h_j = per_log_price_i ((i = j) - price_j).
    """

    @classmethod
    def of(cls, log_weights: FloatArray, b: FloatArray, log_size: FloatArray) -> "Allocation":
        """Solve for x.

        Args:
            log_weights: log(h_i b_i c_i), [B, R, S], finite.
            b: [B, S], positive.
            log_size: log N, [R].
        """
        power = 1.0 / (1.0 + b)
        # At this price one source alone asks for N: it is too low.
        log_price = (log_weights - log_size[:, None] / power[:, None, :]).max(axis=2, keepdims=True)
        for _ in range(_STEPS):
            log_x = (log_weights - log_price) * power[:, None, :]
            most = log_x.max(axis=2, keepdims=True)
            parts = np.exp(log_x - most)
            total = parts.sum(axis=2, keepdims=True)
            slopes = parts / total * power[:, None, :]
            slope = slopes.sum(axis=2, keepdims=True)
            over = most + np.log(total) - log_size[:, None]
            if not (over > _EXACT * np.maximum(1.0, np.abs(log_size[:, None]))).any():
                break
            log_price = log_price + np.maximum(over, 0.0) / slope
        return cls(log_x, power, slopes / slope)
