"""Other laws that the left-out runs leave possible: with few runs, which law holds is a source of error, too.

    a_k  =  mean over draws d of   S_k(d)^(-R/2) / sum_j S_j(d)^(-R/2),      S_k(d) = sum_r d_r e_kr^2

with the left-out errors e of law k on R runs and Dirichlet draws d of the weights of these runs: pseudo-BMA+
(Yao et al. 2018, https://arxiv.org/abs/1704.02030). With many runs one law has all the weight, or laws that
agree share it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from cuvee.laws.interface import UNKNOWN_SCALE, FittedLaw, Scale
from cuvee.types import FloatArray

LEAST = 0.02
"""Weight below which a law is left out."""
_DRAWS = 400


@dataclass(frozen=True, eq=False)
class RivalLaws:
    """Laws that may hold in place of the one chosen."""

    laws: tuple[FittedLaw, ...] = ()
    weights: tuple[float, ...] = ()
    """Of each; the law chosen has what is left to one."""

    @property
    def chosen_weight(self) -> float:
        """Of the law that they are rivals of."""
        return 1.0 - sum(self.weights)

    def apart(
        self, base: FittedLaw, shares: FloatArray, summed: FloatArray, scale: Scale = UNKNOWN_SCALE
    ) -> FloatArray:
        """How far they lie from a law, root mean square by weight [M, T].

        Args:
            base: the law that was chosen.
            shares: of mixtures [M, S].
            summed: what costs are summed to [E, T].
            scale: at which they are asked.
        """
        known = base.costs(shares, scale) @ summed
        squares = np.zeros_like(known)
        for law, weight in zip(self.laws, self.weights, strict=True):
            squares += weight * (law.costs(shares, scale) @ summed - known) ** 2
        return np.sqrt(squares)


NO_RIVALS = RivalLaws()
"""Where one law is given, or left-out runs have decided."""


def plausibility(errors: Mapping[str, FloatArray], seed: int) -> dict[str, float]:
    """Weight of each law, from its left-out errors of the target [R]; their sum is one."""
    names, squares = list(errors), np.square(np.stack(list(errors.values())))
    runs = squares.shape[1]
    drawn = np.random.default_rng(seed).dirichlet(np.ones(runs), _DRAWS)
    logs = -0.5 * runs * np.log(np.maximum(drawn @ squares.T, 1e-300))
    parts = np.exp(logs - logs.max(axis=1, keepdims=True))
    weights = (parts / parts.sum(axis=1, keepdims=True)).mean(axis=0)
    return dict(zip(names, weights.tolist(), strict=True))
