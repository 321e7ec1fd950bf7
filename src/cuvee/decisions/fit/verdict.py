"""Whether the mixture that a fit chooses may be acted on.

The runs are what the law was fitted to. Predicting those left out earns belief in the law; the mixture it
chooses remains to be trained.
"""

from collections.abc import Iterator

from cuvee.decisions.disagreement import SAME
from cuvee.decisions.fit.result import LawResult, LawRow
from cuvee.decisions.verdict import Verdict
from cuvee.quantities import counted

EXPLAINS = 0.3
"""R squared on left-out runs from which a law is believed."""

FEWEST_TO_JUDGE = 10
"""Different mixtures from which a law can be judged on runs left out: fewer agree by chance."""
_CLEARLY = 0.1


def verdict_of(decision: LawResult) -> Verdict:
    """The standing of a decision, from what stands in it; its own ``verdict`` is not read."""
    return Verdict("not checked", " ".join(_reasons(decision)))


def believed(decision: LawResult) -> bool:
    """The law explains runs that it had not seen, and enough of them to judge it by."""
    return _chosen(decision).r_squared > EXPLAINS and not too_few(decision)


def too_few(decision: LawResult) -> bool:
    """The runs cannot judge any law, whatever its score on those left out."""
    return decision.mixtures < FEWEST_TO_JUDGE


def _reasons(decision: LawResult) -> Iterator[str]:
    law, nearest = _chosen(decision), decision.distance
    known = (
        f"On runs it had not seen, the law {law.law} explains {max(law.r_squared, 0.0):.0%} of the "
        f"differences between {decision.runs} runs and ranks them at {law.spearman:.2f}"
    )
    if law.failed:
        yield (
            f"On runs it had not seen, the law {law.law} is worse than their mean (R2 {law.r_squared:.2f}): "
            "it is not believed. More runs or less noisy metrics are needed."
        )
    elif too_few(decision):
        yield (
            f"{counted(decision.mixtures, 'different mixture')} cannot judge a law by runs left out: "
            f"{law.law} is not believed, whatever it scores on them. At least {FEWEST_TO_JUDGE} are needed."
        )
    elif not believed(decision):
        yield f"{known}: it is not believed. More runs or less noisy metrics are needed."
    elif nearest.nearest <= SAME:
        yield f"{known}: it is believed. The mixture is that of run {nearest.nearest_run}, which it knows."
    else:
        yield f"{known}: it is believed on left-out runs, the mixture itself is not trained."
    yield from _another_law(decision, law)
    if nearest.extrapolates:
        yield (
            f"The mixture lies outside of what was run: {nearest.outside:.0%} of the tokens would have to "
            "change place to reach any blend of the runs. Make a run near it before relying on it."
        )


def _another_law(decision: LawResult, law: "LawRow") -> Iterator[str]:
    best = max(decision.laws, key=lambda row: row.r_squared)
    if believed(decision) and best.r_squared - law.r_squared > _CLEARLY:
        yield (
            f"The law {best.law} predicts left-out runs clearly better (R2 {best.r_squared:.2f}) than "
            f"{law.law} (R2 {law.r_squared:.2f}); see what it chooses with --law {best.law}."
        )


def _chosen(decision: LawResult) -> "LawRow":
    return next(row for row in decision.laws if row.chosen)
