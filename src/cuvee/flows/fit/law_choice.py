"""Which law is minimised where none is named: the recommended one, if none does clearly better.

Laws are compared on the target of runs that no fit saw. The recommended law is convex, so that its optimum is
certain, and it extrapolates; a law that only interpolates has to earn its place: errors smaller by a tenth,
and by more than twice the standard error of the difference, taken run by run.
"""

from collections.abc import Mapping

import numpy as np

from cuvee.laws.validation import HeldOut
from cuvee.precision import Precision
from cuvee.quantities import counted
from cuvee.question.question import LAW, OF_TRANSPORT
from cuvee.types import FloatArray

CHOICES = (LAW, "ensemble", "gp_sqrt", "gp_log", OF_TRANSPORT)
"""The laws that are chosen from; others are minimised where they are named."""

_CLEARLY = 0.1
_ERRORS = 2.0
_STATISTIC = "root-mean-square error"


def chosen_law(held_out: Mapping[str, HeldOut], weights: FloatArray) -> tuple[str, str]:
    """The name of a law and the reason, as the end of a sentence.

    Args:
        held_out: what laws said of runs they had not seen, by name; the recommended one is among them.
        weights: of the costs in the target [E].
    """
    squares = {name: _squares(held_out[name], weights) for name in CHOICES if name in held_out}
    errors = {name: float(np.sqrt(one.mean())) for name, one in squares.items()}
    best = min(errors, key=errors.__getitem__)
    words = {name: Precision.alone(one, 3).word(one) for name, one in errors.items()}
    runs = counted(len(squares[best]), "left-out run")
    if best != LAW and _clearly_better(squares[best], squares[LAW]):
        return best, (
            f"it did clearly better on {runs} ({_STATISTIC} of the target {words[best]}) than {LAW} "
            f"({words[LAW]})"
        )
    if len(errors) == 1:
        return LAW, f"the recommended one ({_STATISTIC} of the target on {runs} {words[LAW]})"
    next_one = min((name for name in errors if name != LAW), key=errors.__getitem__)
    return LAW, (
        f"the recommended one: on {runs} its {_STATISTIC} of the target is {words[LAW]}, and {next_one}, the "
        f"best other one, {_not_clear(errors[next_one], errors[LAW], words[next_one])}"
    )


def _not_clear(other: float, own: float, word: str) -> str:
    """Why an error is no reason to take another law."""
    if other >= own:
        return f"did not do better ({word})"
    if not _smaller(other, own):
        return f"did not do clearly better ({word}, less than {_CLEARLY:.0%} lower)"
    return (
        f"did not do clearly better: {word}, but taken run by run the gain in squared error is below "
        f"{_ERRORS:.0f} of its standard errors, which luck with a few runs explains"
    )


def _squares(held_out: HeldOut, weights: FloatArray) -> FloatArray:
    residuals = held_out.combined(weights).residuals[:, 0]
    result: FloatArray = residuals[np.isfinite(residuals)] ** 2
    return result


def _clearly_better(one: FloatArray, other: FloatArray) -> bool:
    gained = other - one
    error = float(gained.std(ddof=1)) / np.sqrt(len(gained)) if len(gained) > 1 else np.inf
    smaller = _smaller(float(np.sqrt(one.mean())), float(np.sqrt(other.mean())))
    return bool(smaller and gained.mean() > _ERRORS * error)


def _smaller(one: float, other: float) -> bool:
    return one < (1.0 - _CLEARLY) * other
