"""What a source does for its own evaluation, read off the branches on their way (floor 4).

A merge of n branches moves 1/n of the way along each, and so understates what a source's own data
does for its own evaluation (a quarter of the way gives more than a quarter of the gain). Each branch has
passed, though, through all the amounts of its own data that a mixture may give it. With the losses
of its snapshots as a curve c_k over the amount of learning, the loss of a mixture on the held-out
part of source k is close to c_k(w_k). Everything else (other evaluations, sources that are not in the
mixture) is left to a merge or an ensemble. Measured in ``benchmarks/ablation.md``.

Amounts are tokens over the tokens of the whole reference. (The sum of learning rates instead of tokens did
worse: it points to earlier snapshots, which lack the reference's decay even more.) Cost: one forward
pass of every evaluation a snapshot.
Shapes: S sources, P positions, E evaluations, M mixtures.
"""

from dataclasses import dataclass

import numpy as np

from cuvee.errors import ConfigError
from cuvee.types import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class LearningCurves:
    """Losses along the branches of all sources.

    Raises:
        ConfigError: shapes that do not fit, or positions that do not ascend from above zero.
    """

    positions: FloatArray
    """[P] ascending amounts, above zero."""
    start: FloatArray
    """[E] losses of the seed model, at position zero."""
    losses: FloatArray
    """[S, P, E] losses of each source's branch at each position."""
    own: IntArray
    """[E] the source that an evaluation was held out from, or -1."""

    def __post_init__(self) -> None:
        evaluations = len(self.own)
        if self.losses.ndim != 3 or self.losses.shape[1:] != (len(self.positions), evaluations):
            raise ConfigError(
                f"learning curves: losses {self.losses.shape} do not fit {len(self.positions)} positions "
                f"and {evaluations} evaluations"
            )
        if self.start.shape != (evaluations,) or (np.diff(self.positions, prepend=0.0) <= 0).any():
            raise ConfigError(f"learning curves: positions {self.positions} must ascend from above zero")

    def at(self, shares: FloatArray) -> FloatArray:
        """Losses [M, E] of each evaluation after its own source's share; NaN out of pool.

        Between positions the loss is linear in the square root of the amount: early tokens tell the most.
        """
        knots = np.sqrt(np.concatenate(([0.0], self.positions)))
        result = np.full((len(shares), len(self.own)), np.nan)
        for evaluation, source in enumerate(self.own):
            if source >= 0:
                curve = np.concatenate(([self.start[evaluation]], self.losses[source, :, evaluation]))
                result[:, evaluation] = np.interp(np.sqrt(shares[:, source]), knots, curve)
        return result

    def substituted(self, shares: FloatArray, losses: FloatArray) -> FloatArray:
        """A proxy's losses [M, E], with the curve in the place of evaluations whose source takes part."""
        present = (self.own >= 0) & (shares[:, self.own] > 0)
        return np.where(present, self.at(shares), losses)
