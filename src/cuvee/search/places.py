"""Inputs of a surrogate: mixtures at fidelities, and the prior covariances of their costs."""

from dataclasses import dataclass

import numpy as np

from cuvee.search.hyperparameters import Kinds
from cuvee.types import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Places:
    """Inputs: mixtures at fidelities, as the law and the process see them; E metrics."""

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

    def scaled_mean(self, metric: int, kinds: Kinds) -> FloatArray:
        """Expected before any run [n], standardised."""
        result: FloatArray = kinds.rho[self.kind] * self.mean[metric]
        return result

    def variance(self, metric: int, theta: FloatArray, kinds: Kinds) -> FloatArray:
        """Before any run [n]."""
        law = (self.features[metric] ** 2).sum(axis=1)
        inner = law + np.exp(theta[1]) + self.scale @ np.exp(theta[2:4])
        off = kinds.smooth[self.kind] + kinds.shaped[self.kind] * law + kinds.offset[self.kind]
        result: FloatArray = inner * kinds.rho[self.kind] ** 2 + off
        return result


@dataclass(frozen=True, eq=False)
class Between:
    """What covariances of all metrics have in common between inputs [A] and inputs [B]."""

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
        """With some of the left inputs."""
        if len(rows) == len(self.left.kind):
            return self
        params, tokens = (one[rows] for one in self.shared)
        return Between(self.left.select(rows), self.right, self.squares[rows], (params, tokens))

    def covariance(self, metric: int, theta: FloatArray, kinds: Kinds) -> FloatArray:
        """Of a metric before any run [A, B]."""
        left, right = self.left, self.right
        length, s, s_n, s_d = np.exp(theta[:4])
        rbf = np.exp(self.squares * (-0.5 / length**2))
        result: FloatArray = s_n * self.shared[0]
        result += s_d * self.shared[1]
        result += s
        result *= rbf
        law = left.features[metric] @ right.features[metric].T
        result += law
        if len(kinds.rho) == 1:
            return result
        result *= np.outer(kinds.rho[left.kind], kinds.rho[right.kind])
        for kind in range(1, len(kinds.rho)):
            both = np.outer(left.kind == kind, right.kind == kind)
            off = kinds.smooth[kind] * rbf + kinds.shaped[kind] * law + kinds.offset[kind]
            result += both * off
        return result


def squared(left: FloatArray, right: FloatArray) -> FloatArray:
    """Distances between points [A, S] and points [B, S], squared [A, B]."""
    squares = (left**2).sum(axis=1)[:, None] + (right**2).sum(axis=1) - 2.0 * left @ right.T
    result: FloatArray = np.maximum(squares, 0.0)
    return result
