"""The formula of capacity allocation, with derivatives; see ``capacity_allocation.py``.

The capacity terms K_i = c_i x_i^-b_i of all sources depend on the share and on c and b of each, through x.
With P_i = b_i / (1 + b_i) K_i and p_j the part of source j in lambda (``laws/allocation.py``),

    d sum_i v_i K_i / d log h_j = p_j sum_i v_i P_i - v_j P_j,

and the derivatives in log c_j and log b_j follow from it, as c, b and h enter x in one product.
"""

from dataclasses import dataclass

import numpy as np

from cuvee.laws.allocation import Allocation
from cuvee.laws.interface import Scale
from cuvee.types import BoolArray, FloatArray


@dataclass(frozen=True, eq=False)
class CapacityFormula:
    """theta = (log c, log b, log A, log a and log eps, [S] each; E [E]; log v [F])."""

    params: float
    """The units of N and x."""
    tokens: float
    """The unit of D."""
    shift: FloatArray
    """[E]: where E is zero."""
    spread: FloatArray
    """[E]: the units of E."""
    fixed: BoolArray
    """[E, S] where v is one."""
    free: BoolArray
    """[E, S] where v is fitted, F of them; it is zero elsewhere."""

    def values(self, theta: FloatArray, shares: FloatArray, scale: Scale) -> FloatArray:
        """Costs [B, R, E] under parameters [B, P]."""
        return _Terms.of(self, theta, shares, scale).costs

    def jacobian(self, theta: FloatArray, shares: FloatArray, scale: Scale) -> tuple[FloatArray, FloatArray]:
        """Costs [B, R, E] and their derivatives [B, R, E, P] in the parameters."""
        terms, (metrics, sources) = _Terms.of(self, theta, shares, scale), self.free.shape
        _, log_b, _, log_a, log_eps, _, _ = (part[:, None, None, :] for part in self.split(theta))
        capacity, data = (
            terms.factors[:, None] * part[:, :, None, :] for part in (terms.capacity, terms.data)
        )
        exponent, competing = np.exp(log_b) * terms.allocation.log_x[:, :, None, :], terms.competing()
        falling, counted = np.exp(log_a) * data, terms.counted[:, :, None, :]
        result = np.zeros((*terms.costs.shape, theta.shape[1]))
        for place, block in enumerate(
            (
                capacity + competing,
                competing - exponent * (capacity + competing),
                data,
                -falling * terms.log_amounts[:, :, None, :],
                (competing - falling) * (np.exp(log_eps) / counted),
            )
        ):
            result[..., place * sources : (place + 1) * sources] = block
        each, shared = np.arange(metrics), 5 * sources
        result[:, :, each, shared + each] = self.spread
        metric, source = np.nonzero(self.free)
        result[:, :, metric, shared + metrics + np.arange(len(metric))] = (capacity + data)[
            :, :, metric, source
        ]
        return terms.costs, result

    def slopes(self, theta: FloatArray, shares: FloatArray, scale: Scale) -> FloatArray:
        """Derivatives [B, R, E, S] of the costs in the shares."""
        terms = _Terms.of(self, theta, shares, scale)
        falling = terms.data * np.exp(self.split(theta)[3])[:, None, :]
        per_log_share = terms.competing() - terms.factors[:, None] * falling[:, :, None, :]
        result: FloatArray = per_log_share / terms.counted[:, :, None, :]
        return result

    def split(self, theta: FloatArray) -> list[FloatArray]:
        """log c, log b, log A, log a, log eps, E and log v: views of parameters [..., P]."""
        metrics, sources = self.free.shape
        return list(np.split(theta, np.cumsum([sources] * 5 + [metrics]), axis=-1))

    def factors(self, theta: FloatArray) -> FloatArray:
        """v, [B, E, S]."""
        result = np.repeat(self.fixed[None].astype(np.float64), len(theta), axis=0)
        result[:, self.free] = np.exp(self.split(theta)[6])
        return result


@dataclass(frozen=True, eq=False)
class _Terms:
    """The terms of the law at given parameters."""

    allocation: Allocation
    counted: FloatArray
    """w + eps, [B, R, S]."""
    log_amounts: FloatArray
    """log of D (w + eps), [B, R, S]."""
    factors: FloatArray
    """v, [B, E, S]."""
    capacity: FloatArray
    """c x^-b, [B, R, S]."""
    data: FloatArray
    """A (D (w + eps))^-a, [B, R, S]."""
    taken: FloatArray
    """b / (1 + b) c x^-b, [B, R, S]: what a source loses when lambda rises."""
    costs: FloatArray
    """[B, R, E]."""

    @classmethod
    def of(cls, formula: CapacityFormula, theta: FloatArray, shares: FloatArray, scale: Scale) -> "_Terms":
        log_params, log_tokens = (
            np.log(np.broadcast_to(np.asarray(size, dtype=np.float64) / unit, (len(shares),)))
            for size, unit in ((scale.params, formula.params), (scale.tokens, formula.tokens))
        )
        log_c, log_b, log_factor, log_a, log_eps = (part[:, None, :] for part in formula.split(theta)[:5])
        counted, b = shares + np.exp(log_eps), np.exp(log_b)
        log_shares = np.log(counted)
        allocation = Allocation.of(log_shares + log_b + log_c, b[:, 0], log_params)
        capacity = np.exp(log_c - b * allocation.log_x)
        log_amounts = log_shares + log_tokens[:, None]
        data = np.exp(log_factor - np.exp(log_a) * log_amounts)
        factors = formula.factors(theta)
        floors = (formula.shift + formula.spread * formula.split(theta)[5])[:, None, :]
        return cls(
            allocation, counted, log_amounts, factors, capacity, data,
            capacity * b * allocation.per_log_price[:, None, :],
            floors + (capacity + data) @ factors.transpose(0, 2, 1),
        )  # fmt: skip

    def competing(self) -> FloatArray:
        """Derivatives [B, R, E, S] of the capacity terms of the costs in log(w + eps)."""
        taken = self.factors[:, None] * self.taken[:, :, None, :]
        result: FloatArray = self.allocation.price[:, :, None, :] * taken.sum(axis=3, keepdims=True) - taken
        return result
