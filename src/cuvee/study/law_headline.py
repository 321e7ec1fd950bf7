"""The first lines of a decision by laws: what to do, how sure that is, and what to do next (floor 7)."""

import math

from cuvee.quantities import size
from cuvee.study.law_decision import PICK, LawDecision

_USELESS = 0.3
"""R squared on left-out runs below which a law is said to know little."""
_NEGLIGIBLE = 0.1
"""Gain of further runs, in widths of the pick's interval, below which they are said not to be worth it."""


def headline(decision: LawDecision) -> tuple[str, ...]:
    """Sentences, the most important first; a reason for doubt comes before anything else."""
    return (*_doubts(decision), _mixture(decision), _gains(decision), _more(decision))


def _doubts(decision: LawDecision) -> list[str]:
    law = next(row for row in decision.laws if row.chosen)
    best = max(decision.laws, key=lambda row: row.r_squared)
    found = []
    if not law.r_squared > _USELESS:
        found.append(
            f"Do not rely on this: on runs it had not seen, the law explains {max(law.r_squared, 0.0):.0%} "
            f"of the differences between {decision.runs} runs. More runs or less noisy metrics are needed."
        )
    elif best.r_squared - law.r_squared > 0.1:
        found.append(
            f"The law {best.law} predicts left-out runs clearly better (R2 {best.r_squared:.2f}) than "
            f"{law.law} (R2 {law.r_squared:.2f}); see what it chooses with --law {best.law}."
        )
    if decision.distance.extrapolates:
        found.append(
            f"The mixture lies outside of what was run: {decision.distance.outside:.0%} of the tokens would "
            "have to change place to reach any blend of the runs. Make a run near it before relying on it."
        )
    return found


def _mixture(decision: LawDecision) -> str:
    shares = sorted(decision.mixture, key=lambda entry: -entry.share)
    told = ", ".join(f"{entry.share:.1%} {entry.source}" for entry in shares[:4] if entry.share >= 0.005)
    rest = 1.0 - sum(entry.share for entry in shares[:4])
    return f"Mixture: {told}{f', {rest:.1%} others' if rest >= 0.005 else ''}."


def _gains(decision: LawDecision) -> str:
    pick = decision.candidate(PICK)
    others = [one for one in decision.candidates if one.name != PICK]
    told = ", ".join(f"{one.target.mean - pick.target.mean:+.4g} at {one.name}" for one in others)
    ends = f"{decision.level:.0%} of runs between {pick.target.low:.4g} and {pick.target.high:.4g}"
    return (
        f"Its target is expected at {pick.target.mean:.4g} {scale_of_runs(decision)} ({ends}); "
        f"against it, {told}."
    )


def scale_of_runs(decision: LawDecision) -> str:
    """At which scale predictions hold, as far as it is known; and at which they do not."""
    known = [
        f"{size(amount)} {unit}"
        for amount, unit in ((decision.params, "parameters"), (decision.tokens, "tokens"))
        if math.isfinite(amount)
    ]
    told = f" of {' and '.join(known)}" if known else ""
    asked = decision.target_tokens
    if math.isnan(asked) or asked == decision.tokens:
        return f"in runs{told}" if known else "at the scale of the runs"
    return f"at the scale of the runs{told}, not of {size(asked)} tokens"


def _more(decision: LawDecision) -> str:
    width = decision.candidate(PICK).target.high - decision.candidate(PICK).target.low
    told = (
        "Knowing the law exactly is expected to lower the target of the choice by "
        f"{decision.expected_gain:.2g} ({decision.level:.0%}: by less than {decision.likely_gain:.2g})"
    )
    if math.isfinite(width) and decision.likely_gain < _NEGLIGIBLE * width:
        return f"{told}, less than runs of one mixture differ: further runs at this scale are not worth it."
    if not decision.next_runs:
        return f"{told}; no single run would tell much of that."
    return f"{told}; {len(decision.next_runs)} runs that would tell most are listed."
