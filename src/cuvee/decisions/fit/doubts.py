"""Reasons not to take the mixture of a fit, however well its law predicts: the search failed."""

from collections.abc import Iterator

from cuvee.decisions.fit.result import LawResult
from cuvee.precision import Precision
from cuvee.quantities import counted

SMALL = 0.02
"""Part of the spread of the target up to which a gap is small."""
_NAMED = 3


def doubts(decision: LawResult) -> tuple[str, ...]:
    """Sentences, the gravest first; what is not known raises none."""
    return (*_worse(decision), *_gap(decision))


def _worse(decision: LawResult) -> Iterator[str]:
    if names := decision.better:
        more = f" and {counted(len(names) - _NAMED, 'other')}" if len(names) > _NAMED else ""
        yield (
            f"Under the law itself it is worse than {', '.join(names[:_NAMED])}{more}: the search for the "
            "best mixture failed. Take one of these, or see what another law chooses (--law)"
        )


def _gap(decision: LawResult) -> Iterator[str]:
    if decision.gap > SMALL * decision.spread:
        part = decision.gap / decision.spread
        yield (
            "The search for the best mixture ended early: another may be better by up to "
            f"{Precision.alone(decision.gap, 3).word(decision.gap)}, {part:.0%} of the spread of the target "
            "between runs"
        )
