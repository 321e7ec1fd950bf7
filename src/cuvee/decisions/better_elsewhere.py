"""A pick that ended, or is predicted, worse than something simpler: said first, with what to take instead.

What fresh trainings say beyond the noise is their verdict; here is what the noise leaves open, and what was
only predicted.
"""

import math
from collections.abc import Sequence

from cuvee.decisions.check import TrainingCheck
from cuvee.decisions.difference import ends, than


def ended_worse(check: TrainingCheck | None) -> list[str]:
    """Of baselines that ended lower than the pick, within the noise."""
    if check is None:
        return []
    found = [one for one in check.comparisons if one.difference > 0.0 and not one.worse]
    if not found or check.verdict.standing == "refuted":
        return []
    most = max(found, key=lambda one: one.difference)
    named = " and ".join(than(one.baseline, one.difference) for one in found)
    return [
        f"In fresh trainings the pick ended {named}. Noise may explain it, but nothing speaks for the pick: "
        f"take {most.baseline}."
    ]


def predicted_worse(
    gains: Sequence[tuple[str, float, float, float]], check: TrainingCheck | None, more: str
) -> list[str]:
    """Of baselines that are predicted to end lower than the pick, where no training compared them.

    Args:
        gains: name of a baseline, the pick minus it, and the ends of the interval.
        check: fresh trainings, which count for more than a prediction.
        more: what would settle it.
    """
    measured = {one.baseline for one in check.comparisons} if check else set()
    found = [one for one in gains if one[1] > 0.0 and one[0] not in measured]
    if not found:
        return []
    named = " and ".join(_prediction(*one) for one in found)
    most = max(found, key=lambda one: one[1])[0]
    return [f"The pick is predicted to end {named}: take {most}{more}."]


def _prediction(name: str, difference: float, low: float, high: float) -> str:
    interval = f" (interval {ends(low, high)})" if math.isfinite(low) and math.isfinite(high) else ""
    return f"{than(name, difference)}{interval}"
