"""Mixtures at levels as a surrogate sees them, and how their costs vary together before any run (floor 5)."""

from dataclasses import dataclass

import numpy as np

from cuvee.search.hyperparameters import table_of
from cuvee.types import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Places:
    """Mixtures at levels, as the law and the process see them; E metrics."""

    roots: FloatArray
    """x, [n, S]."""
    scale: FloatArray
    """n and d: decades above the smallest parameters and tokens of the space [n, 2]."""
    kind: IntArray
    """[n]; 0 is that of the target."""
    mean: FloatArray
    """The law under its prior's means [E, n], standardised."""
    features: FloatArray
    """Its derivatives in its parameters, in units of their priors' deviations [E, n, P]."""

    def plus(self, more: "Places") -> "Places":
        """These and those."""
        return Places(
            np.concatenate([self.roots, more.roots]),
            np.concatenate([self.scale, more.scale]),
            np.concatenate([self.kind, more.kind]),
            np.concatenate([self.mean, more.mean], axis=1),
            np.concatenate([self.features, more.features], axis=1),
        )

    def select(self, rows: IntArray) -> "Places":
        """Some of them."""
        return Places(
            self.roots[rows], self.scale[rows], self.kind[rows], self.mean[:, rows], self.features[:, rows]
        )

    def scaled_mean(self, metric: int, theta: FloatArray, kinds: int) -> FloatArray:
        """Expected before any run [n], standardised."""
        result: FloatArray = table_of(theta, kinds)[self.kind, 0] * self.mean[metric]
        return result

    def variance(self, metric: int, theta: FloatArray, kinds: int) -> FloatArray:
        """Before any run [n]."""
        table = table_of(theta, kinds)
        inner = (self.features[metric] ** 2).sum(axis=1) + np.exp(theta[1])
        inner = inner + self.scale @ np.exp(theta[2:4])
        result: FloatArray = inner * table[self.kind, 0] ** 2 + table[self.kind, 1] + table[self.kind, 2]
        return result


@dataclass(frozen=True, eq=False)
class Between:
    """What covariances of all metrics have in common between places [A] and places [B]."""

    left: Places
    right: Places
    squares: FloatArray
    """Of distances of mixtures [A, B]."""
    shared: tuple[FloatArray, FloatArray]
    """Decades of parameters and of tokens that both have [A, B]."""

    @classmethod
    def of(cls, left: Places, right: Places) -> "Between":
        """Cost O(A B S)."""
        params, tokens = (np.minimum.outer(left.scale[:, i], right.scale[:, i]) for i in range(2))
        return cls(left, right, squared(left.roots, right.roots), (params, tokens))

    def select(self, rows: IntArray) -> "Between":
        """With some of the left places."""
        if len(rows) == len(self.left.kind):
            return self
        params, tokens = (one[rows] for one in self.shared)
        return Between(self.left.select(rows), self.right, self.squares[rows], (params, tokens))

    def covariance(self, metric: int, theta: FloatArray, kinds: int) -> FloatArray:
        """Of a metric before any run [A, B]."""
        left, right = self.left, self.right
        length, s, s_n, s_d = np.exp(theta[:4])
        table = table_of(theta, kinds)
        rbf = np.exp(self.squares * (-0.5 / length**2))
        result: FloatArray = s_n * self.shared[0]
        result += s_d * self.shared[1]
        result += s
        result *= rbf
        result += left.features[metric] @ right.features[metric].T
        if kinds == 1:
            return result
        result *= np.outer(table[left.kind, 0], table[right.kind, 0])
        for kind in range(1, kinds):
            both = np.outer(left.kind == kind, right.kind == kind)
            result += both * (table[kind, 1] * rbf + table[kind, 2])
        return result


def squared(left: FloatArray, right: FloatArray) -> FloatArray:
    """Distances between points [A, S] and points [B, S], squared [A, B]."""
    squares = (left**2).sum(axis=1)[:, None] + (right**2).sum(axis=1) - 2.0 * left @ right.T
    result: FloatArray = np.maximum(squares, 0.0)
    return result
