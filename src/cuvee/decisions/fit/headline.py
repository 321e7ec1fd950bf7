"""The first lines of a decision by laws: the mixture, what it gains, and what to do next."""

import math

from cuvee.decisions.advice import advice
from cuvee.decisions.difference import than
from cuvee.decisions.fit.doubts import doubts
from cuvee.decisions.fit.precision import target_precision
from cuvee.decisions.fit.result import Candidate, LawResult
from cuvee.decisions.fit.verdict import FEWEST_TO_JUDGE, believed, too_few
from cuvee.decisions.shares import LEAST_NAMED, largest_first, parts_in_words
from cuvee.precision import Precision
from cuvee.quantities import agreeing, counted, size

_NAMED = 3
_NEGLIGIBLE = 0.1
"""Gain of further runs, in widths of the pick's interval, below which they are said not to be worth it."""


_OUTSIDE = (
    " The mixture lies outside of what was run: intervals come from runs inside, and are too narrow there."
)


def headline(decision: LawResult) -> tuple[str, ...]:
    """Sentences, the most important first; the first warns where the law is not believed
    or the search failed."""
    return (
        *(_warning(decision) or (advice(decision.verdict, _mixture(decision)),)),
        *_measured_better(decision),
        *decision.warnings,
        *_law(decision),
        _gains(decision),
        *_more(decision),
    )


def objections(decision: LawResult) -> tuple[str, ...]:
    """Those of the first lines that speak against the mixture."""
    return (*_warning(decision), *_measured_better(decision))


def _warning(decision: LawResult) -> tuple[str, ...]:
    """The first line where the search failed or the law is not believed; else nothing."""
    if found := doubts(decision):
        return (f"Do not take this mixture: {_mixture(decision)}. {' '.join(f'{one}.' for one in found)}",)
    return () if believed(decision) else (f"Do not rely on this mixture: {_mixture(decision)}.",)


def _measured_better(decision: LawResult) -> tuple[str, ...]:
    if not decision.measured_better:
        return _measured_lower(decision)
    names = decision.measured_better
    runs = ", ".join(names[:_NAMED]) + (
        f" and {counted(len(names) - _NAMED, 'other')}" if len(names) > _NAMED else ""
    )
    return (
        f"Measured better than this mixture can be expected to be: {runs}. The law does not explain that: "
        "look at these runs; if they are right, take what they were trained on.",
    )


def _measured_lower(decision: LawResult) -> tuple[str, ...]:
    """Runs that ended lower than is expected of the pick, by no more than chance explains."""
    if not decision.measured_lower:
        return ()
    best, *others = decision.measured_lower
    more = f" (as {counted(len(others), 'other')})" if others else ""
    return (
        f"Run {best} was measured lower{more} than this mixture is expected to be. The lowest of "
        f"{counted(decision.runs, 'run')} is low by luck, too: take what {best} was trained on, unless a "
        "training of this mixture ends lower.",
    )


def _law(decision: LawResult) -> tuple[str, ...]:
    return (f"Its law is {decision.law}, {decision.law_reason}.",) if decision.law_reason else ()


def _mixture(decision: LawResult) -> str:
    shares = [decision.mixture[place] for place in largest_first(decision.mixture)]
    parts = parts_in_words(((entry.source, entry.share) for entry in shares[:4]), digits=1)
    rest = [entry.share for entry in shares[len(parts) :] if entry.share > 0]
    parts += (
        [f"{math.fsum(rest):.1%} in {counted(len(rest), 'other')}"] if math.fsum(rest) >= LEAST_NAMED else []
    )
    return ", ".join(parts)


def _gains(decision: LawResult) -> str:
    pick = decision.pick
    others = [one for one in decision.candidates if one.name != pick.name]
    exact = target_precision(decision)
    against = ", ".join(
        than(_predicted(one), pick.target.mean - one.target.mean, exact.word, unit="") for one in others
    )
    low, high = exact.word(pick.target.low), exact.word(pick.target.high)
    return (
        f"Its target is expected at {exact.word(pick.target.mean)} {scale_of_runs(decision)} "
        f"({decision.confidence:.0%} of runs between {low} and {high}); "
        f"that is {against}.{_OUTSIDE if decision.distance.extrapolates else ''}"
    )


def _predicted(candidate: Candidate) -> str:
    """A run that was measured may have ended lower or higher than the law predicts of it."""
    return candidate.name if math.isnan(candidate.measured) else f"predicted of {candidate.name}"


def scale_of_runs(decision: LawResult) -> str:
    """At which scale predictions hold, as far as it is known; and at which they do not."""
    sizes = (decision.parameters, decision.tokens)
    if decision.at_target:
        own = (decision.target_parameters, decision.target_tokens)
        first, second = (
            there if math.isnan(named) else named for named, there in zip(own, sizes, strict=True)
        )
        sizes = (first, second)
    known = [
        f"{size(amount)} {unit}"
        for amount, unit in zip(sizes, ("parameters", "tokens"), strict=True)
        if math.isfinite(amount)
    ]
    sizes_in_words = f" of {' and '.join(known)}" if known else ""
    asked = (
        (decision.target_parameters, decision.parameters, "parameters"),
        (decision.target_tokens, decision.tokens, "tokens"),
    )
    other = [f"{size(named)} {unit}" for named, own, unit in asked if not math.isnan(named) and named != own]
    if decision.at_target or not other:
        return f"in runs{sizes_in_words}" if known else "at the scale of the runs"
    return f"at the scale of the runs{sizes_in_words}, not of {' and '.join(other)}"


def _more(decision: LawResult) -> tuple[str, ...]:
    """What more runs are worth is what the law says of them: nothing, where it is not believed."""
    if too_few(decision):
        need = counted(FEWEST_TO_JUDGE - decision.mixtures, "more different mixture")
        return (f"More runs are needed: with {need} at least, laws can be judged by runs left out.",)
    return (_worth_of_more(decision),) if believed(decision) else ()


def _worth_of_more(decision: LawResult) -> str:
    width = decision.pick.target.high - decision.pick.target.low
    expected, likely = (Precision.alone(x).word(x) for x in (decision.expected_gain, decision.likely_gain))
    # A few draws of the law may carry the mean above the bound that most lie below.
    skewed = decision.expected_gain > decision.likely_gain
    most = "; few draws of the law make up that mean" if skewed else ""
    gain = (
        "Knowing the law exactly is expected to lower the target of the choice by "
        f"{expected}{' on average' if skewed else ''} "
        f"({decision.confidence:.0%}: by less than {likely}{most})"
    )
    if decision.distance.extrapolates:
        return f"{gain}, as far as the law holds outside of the runs: a run near this mixture comes first."
    if math.isfinite(width) and decision.likely_gain < _NEGLIGIBLE * width:
        return f"{gain}, less than runs of one mixture differ: further runs at this scale are not worth it."
    if not decision.next_runs:
        return f"{gain}; no single run would show much of that."
    return (
        f"{gain}; {counted(len(decision.next_runs), 'run')} that would show most "
        f"{agreeing(len(decision.next_runs), 'is', 'are')} listed."
    )
