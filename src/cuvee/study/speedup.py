"""What a lower loss is worth in tokens, read off the loss curves of two trainings.

The curves are those of whole trainings: a shorter one would have lowered its learning rate earlier and ended
lower than this curve at its tokens, so a saving that is read off here is rather too small.
"""

import numpy as np

from cuvee.types import FloatArray

Curve = tuple[FloatArray, FloatArray]
"""Tokens and target losses of a training, its end last."""


def speedup_of(one: Curve, other: Curve) -> float:
    """Tokens of ``other`` over those that ``one`` needs to reach its final loss.

    Where ``one`` does not reach it within its training, the reverse is asked: below one then.
    """
    if one[1][-1] > other[1][-1]:
        return 1.0 / speedup_of(other, one)
    return float(other[0][-1] / tokens_to_reach(one, float(other[1][-1])))


def first_reaches(one: Curve, other: Curve) -> bool:
    """Whether the better of the two is at the other's final loss where it is first measured: it may have
    been there before, so ``speedup_of`` is a bound only."""
    (better, worse) = (one, other) if one[1][-1] <= other[1][-1] else (other, one)
    return bool(better[1][0] <= worse[1][-1])


def tokens_to_reach(curve: Curve, loss: float) -> float:
    """Tokens after which a training's loss is for the first time this low; infinite if it never is."""
    tokens, losses = curve
    below = np.flatnonzero(losses <= loss)
    if not len(below):
        return float("inf")
    first = int(below[0])
    if first == 0:
        return float(tokens[0])
    fall = losses[first - 1] - losses[first]
    part = (losses[first - 1] - loss) / fall
    return float(tokens[first - 1] + part * (tokens[first] - tokens[first - 1]))
