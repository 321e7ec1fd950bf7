"""What a source does for its own evaluation, read off the branches on their way.

A merge of n branches moves 1/n of the way along each, and so understates what a source's own data
does for its own evaluation (a quarter of the way gives more than a quarter of the gain). Each branch has
passed, though, through all the amounts of its own data that a mixture may give it. With the losses
of its snapshots as a curve c_k over the amount of learning, the loss of a mixture on the held-out
part of source k is close to c_k(w_k). Everything else (other evaluations, sources that are not in the
mixture) is left to a merge or an ensemble. Measured in ``benchmarks/ablation.md``.

Amounts are tokens over the tokens of the whole reference. (The sum of learning rates instead of tokens did
worse: it points to earlier snapshots, which lack the reference's decay even more.) Cost: one forward
pass of its own evaluation a snapshot.
Shapes: S sources, P positions, E evaluations, D documents of all evaluations, M mixtures.
"""

from dataclasses import dataclass

import numpy as np

from cuvee.errors import ConfigError
from cuvee.evaluation.scores import Documents
from cuvee.types import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class LearningCurves:
    """Losses along the branches of all sources, each on its own evaluations.

    Raises:
        ConfigError: shapes that do not fit, or positions that do not ascend from above zero.
    """

    documents: Documents
    """What is measured."""
    own: IntArray
    """[E] the source that an evaluation was held out from, or -1."""
    positions: FloatArray
    """[P] ascending amounts, above zero."""
    start: FloatArray
    """[D] nats of every document under the seed model, at position zero."""
    nats: FloatArray
    """[P, D] the same under the branch of the document's own source at each position; out of pool
    anything."""

    def __post_init__(self) -> None:
        count = len(self.documents.tokens)
        if self.start.shape != (count,) or self.nats.shape != (len(self.positions), count):
            raise ConfigError(
                f"learning curves: nats {self.nats.shape} and {self.start.shape} do not fit "
                f"{len(self.positions)} positions and {count} documents"
            )
        if (np.diff(self.positions, prepend=0.0) <= 0).any():
            raise ConfigError(f"learning curves: positions {self.positions} must ascend from above zero")

    def substituted(self, shares: FloatArray, nats: FloatArray) -> FloatArray:
        """A proxy's nats [M, D], with the curve in the place of evaluations whose own source takes part.

        Between positions the nats are linear in the square root of the amount: early tokens matter most.
        """
        knots = np.sqrt(np.concatenate(([0.0], self.positions)))
        curve = np.concatenate([self.start[None], self.nats])
        result = np.array(nats, dtype=np.float64)
        for evaluation, source in enumerate(self.own):
            if source < 0:
                continue
            inside = np.flatnonzero(self.documents.evaluation == evaluation)
            rows = np.flatnonzero(shares[:, source] > 0)
            at = np.interp(np.sqrt(shares[rows, source]), knots, np.arange(len(knots)))
            low = np.minimum(at.astype(np.int64), len(knots) - 2)
            part = (at - low)[:, None]
            own = curve[:, inside]
            result[np.ix_(rows, inside)] = (1.0 - part) * own[low] + part * own[low + 1]
        return result
