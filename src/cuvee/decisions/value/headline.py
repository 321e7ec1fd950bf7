"""The first lines of a valuation: which sources are worth most, how far methods agree, what trainings say."""

import math

from cuvee.decisions.value.result import SelectionArm, ValuedSource, ValueResult
from cuvee.decisions.value.verdict import arm_of
from cuvee.quantities import counted, number, quantity

FEWEST_DOCUMENTS = 8
"""Documents of a target below which a warning is first: chosen by hand, as for evaluations."""


def headline(result: ValueResult) -> tuple[str, ...]:
    """Sentences, the most important first."""
    said = (_worth(result), _few(result), _beside_dsir(result), _trained(result), _agree(result))
    return tuple(line for line in said if line)


def _worth(result: ValueResult) -> str:
    first = result.first
    ranked = sorted(
        (one for one in first.sources if math.isfinite(one.value.mean)), key=lambda one: -one.value.mean
    )
    best, worst = ranked[0], ranked[-1]
    tokens = f"{counted(result.documents, 'document')}, {quantity(result.tokens)} tokens"
    if best is worst:
        return f"For {result.target}, by {first.method}: one source ({tokens})."
    # Values that all documents of a source share have intervals of no width, which say nothing.
    clear = best.value.high > best.value.low > _second(ranked).value.high
    apart = "" if clear else f", not clearly apart from {_second(ranked).source}"
    return (
        f"For {result.target}, by {first.method}, {best.source} is worth most{apart}, {worst.source} least "
        f"({tokens})."
    )


def _second(ranked: list[ValuedSource]) -> ValuedSource:
    return ranked[1]


def _few(result: ValueResult) -> str:
    if result.target_documents >= FEWEST_DOCUMENTS:
        return ""
    return (
        f"The target has {counted(result.target_documents, 'document')} only: values say what these hold, "
        "and little of their kind."
    )


def _beside_dsir(result: ValueResult) -> str:
    """How the first method stands to the baseline that takes seconds: the verdict is against random alone."""
    arm = arm_of(result, result.first.method)
    if arm is None or not math.isfinite(arm.to_dsir.mean):
        return ""
    low, high = arm.to_dsir.low, arm.to_dsir.high
    if low > 0.0:
        return f"DSIR, which takes seconds, does better: on what it keeps the loss is {_by(low, high)} lower."
    if high < 0.0:
        return f"{arm.name} does better than DSIR, too: the loss is {_by(-high, -low)} lower."
    return f"{arm.name} does not clearly differ from DSIR, which takes seconds."


def _by(least: float, most: float) -> str:
    return f"{number(least, 4)} to {number(most, 4)} nats per token"


def _trained(result: ValueResult) -> str:
    if result.retraining is None:
        return ""
    arms = result.retraining.arms
    best = arms[0]
    clear = [one.name for one in arms if one.to_random.high < 0.0]
    beaten = ", ".join(clear) if clear else "no method"
    return (
        f"Trained on {result.retraining.share:.0%} of the tokens, {best.name} ends lowest on {result.target} "
        f"({_loss(best)} nats per token); clearly below random documents: {beaten}."
    )


def _loss(arm: SelectionArm) -> str:
    return number(sum(arm.target) / len(arm.target), 4)


def _agree(result: ValueResult) -> str:
    first = result.first.method
    pairs = [one for one in result.agreement if first in (one.one, one.other) and math.isfinite(one.rank)]
    other = [one for one in pairs if "random" not in (one.one, one.other)]
    if not other:
        return ""
    said = ", ".join(
        f"{number(one.rank, 2)} with {one.other if one.one == first else one.one}" for one in other
    )
    return f"Rank correlation of {first} over documents: {said}."
