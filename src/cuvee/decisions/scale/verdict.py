"""Whether the mixture that a ladder recommends may be acted on.

What was trained above the rungs is one mixture, what is recommended for the target run may be another: only
where both are one does a training confirm it. As the method is the best of several, its mixture has to be
lower by more than chance makes the best of so many lower (Bonferroni's correction of a one-sided test at
5 %, with Student's t for the few trainings that the noise is known from).
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from cuvee.decisions.check import FEWEST_DOCUMENTS
from cuvee.decisions.difference import than
from cuvee.decisions.disagreement import SAME, disagreements, share_words
from cuvee.decisions.scale.result import Checked, PathPoint, ScaleResult
from cuvee.decisions.verdict import Standing, Verdict
from cuvee.mixture.distance import total_variation
from cuvee.quantities import counted
from cuvee.runs.mixture_names import AUTOSCALE, PROPORTIONAL, UNIFORM

CLOSE = 0.1
"""Share of the tokens up to which a mixture that was trained and did badly speaks against its neighbours."""

FAR = 0.05
"""Part of the loss from which on a law has missed by far, whatever its intervals allow."""

_RISK = 0.05
_BASELINES = {UNIFORM: "equal shares", PROPORTIONAL: "proportional shares"}


def verdict_of(decision: ScaleResult) -> Verdict:
    """The standing of a decision, from what stands in it; its own ``verdict`` is not read."""
    found, doubts = _trained(decision), tuple(doubts_of(decision))
    standing: Standing = "not confirmed" if doubts and found.standing == "confirmed" else found.standing
    return Verdict(standing, " ".join((found.why, *doubts)))


def doubts_of(decision: ScaleResult) -> Iterator[str]:
    """What speaks against relying on the mixture, however it did when trained."""
    yield from _methods_disagree(decision)
    yield from _law_missed(decision)
    yield from _another_did_better(decision)


@dataclass(frozen=True)
class _Trial:
    """A mixture that was trained above the rungs, against the baselines trained beside it."""

    decision: ScaleResult
    row: "Checked"

    @property
    def away(self) -> float:
        """Share of the tokens that lie elsewhere in the mixture recommended."""
        return float(total_variation(self.row.shares, [entry.share for entry in self.decision.mixture]))

    @property
    def gaps(self) -> dict[str, float]:
        """Target loss less that of each baseline that is another mixture."""
        rows = {one.name: one for one in self.decision.checks if one.shares != self.row.shares}
        return {
            words: self.row.loss.mean - rows[name].loss.mean
            for name, words in _BASELINES.items()
            if name in rows
        }

    @property
    def is_baseline(self) -> bool:
        return len(self.gaps) < len(_BASELINES)

    @cached_property
    def document_error(self) -> float:
        """The larger one of the differences to the baselines; NaN where one is not known."""
        errors = [self.row.document_error.get(name, 0.0) for name in _BASELINES if name != self.row.name]
        return math.nan if any(map(math.isnan, errors)) else max(errors, default=0.0)

    @cached_property
    def needed(self) -> float:
        """Difference of two means from which on it is no chance; infinite where that is unknown."""
        from scipy.special import stdtrit

        decision, freedom = self.decision, _freedom(self.decision)
        if freedom == 0 or math.isnan(self.document_error) or self.few_documents:
            return math.inf
        others = max(1, len({row.shares for row in decision.checks}) - 1)
        training = decision.noise * self.row.loss.mean * math.sqrt(2.0 / len(self.row.losses))
        parts = [(training**2, freedom), (self.document_error**2, max(decision.documents - 1, 1))]
        variance = sum(part for part, _ in parts)
        # Welch and Satterthwaite, as in ``honesty/trainings.py``.
        below = sum(part**2 / known for part, known in parts)
        known = variance**2 / below if below > 0 else freedom
        return float(stdtrit(known, 1.0 - _RISK / others)) * math.sqrt(variance)

    @property
    def few_documents(self) -> bool:
        """An evaluation has too few to know what others would say."""
        return 0 < self.decision.documents < FEWEST_DOCUMENTS

    @property
    def standing(self) -> Standing:
        """Of this mixture itself."""
        if any(gap > self.needed for gap in self.gaps.values()):
            return "refuted"
        better = not self.is_baseline and all(gap < -self.needed for gap in self.gaps.values())
        return "confirmed" if better else "not confirmed"

    @property
    def outcome(self) -> str:
        """How it ended, against what, and how much of that may be chance."""
        if not self.gaps:
            return "is that of equal and of proportional shares"
        ended = " and ".join(than(words, gap) for words, gap in self.gaps.items())
        return f"ended {ended}; {self.noise}"

    @property
    def noise(self) -> str:
        """What trainings of one mixture differ by."""
        times = len(self.row.losses)
        if self.few_documents or math.isnan(self.document_error):
            return "an evaluation has too few documents to know what others would say"
        if math.isinf(self.needed):
            return "how much of that is noise is not known, as no mixture was trained twice"
        reaches = "noise and the choice of documents reach" if self.document_error else "noise reaches"
        return f"with {counted(times, 'training')} each, {reaches} {self.needed:.4f}"


def _freedom(decision: ScaleResult) -> int:
    """Of the estimate of the noise: trainings beyond the first of each mixture."""
    trained = {row.shares: len(row.losses) for row in decision.checks}
    again = sum(trained.values()) - len(trained)
    if again:
        return again
    top = decision.rungs[-1]
    replicates = top.runs - 1 - len(decision.mixture) * len(decision.factors)
    return replicates + 1 if replicates else 0  # the rungs' pooled noise counts as one more


def _trained(decision: ScaleResult) -> Verdict:
    """What the trainings above the rungs say of the mixture recommended."""
    trials = sorted((_Trial(decision, row) for row in decision.checks), key=lambda trial: trial.away)
    if not trials:
        largest = max(row.tokens for row in decision.rungs)
        return Verdict(
            "not checked",
            f"It was never trained: the only evidence is runs around {largest:,} tokens.",
        )
    nearest = trials[0]
    if nearest.away <= SAME:
        return Verdict(nearest.standing, _itself(nearest))
    if nearest.away <= CLOSE and nearest.standing == "refuted":
        return Verdict("refuted", f"It was never trained; {_neighbour(nearest)}.")
    return Verdict("not checked", _carried_on(decision, trials))


def _itself(trial: _Trial) -> str:
    at = f"on {trial.decision.check_tokens:,} tokens"
    if not trial.gaps:
        return f"No mixture {at} did better than equal shares, which are the proportional ones."
    if trial.is_baseline and trial.standing == "not confirmed":
        return f"No mixture found did better than it {at}: it {trial.outcome}."
    return f"Trained {at}, it {trial.outcome}."


def _carried_on(decision: ScaleResult, trials: list[_Trial]) -> str:
    carried = f"It was carried on to {decision.target_tokens:,} tokens and never trained"
    found = next((one for one in trials if one.row.name == decision.method), trials[0])
    return f"{carried}; {_neighbour(found)}."


def _neighbour(trial: _Trial) -> str:
    """The mixture that was trained instead, and how it did."""
    decision = trial.decision
    what = f"the mixture of '{trial.row.name}' at {decision.check_tokens:,} tokens"
    return f"{what}, which has {trial.away:.0%} of the tokens elsewhere, {trial.outcome}"


def _methods_disagree(decision: ScaleResult) -> Iterator[str]:
    """AutoScale and the law on the target run."""
    longest = max((point.tokens for point in decision.path), default=0)
    last = {point.method: point for point in decision.path if point.tokens == longest}
    scaled, law = last.get(AUTOSCALE), next((one for name, one in last.items() if name != AUTOSCALE), None)
    if scaled is not None and law is not None:
        yield from _apart(decision.sources, scaled, law)


def _apart(sources: tuple[str, ...], scaled: "PathPoint", law: "PathPoint") -> Iterator[str]:
    found = disagreements(sources, scaled.shares, law.shares)
    if found:
        first = found[0]
        more = f", and on {len(found) - 1} more" if len(found) > 1 else ""
        yield (
            f"{scaled.method} and the {law.method} disagree by more than their intervals on {first.source}, "
            f"{share_words(first.one)} against {share_words(first.other)}{more}."
        )


def _law_missed(decision: ScaleResult) -> Iterator[str]:
    """The law of the rungs on the trainings above them."""
    if law_missed(decision.checks):
        missed, allowed, loss = _misses(decision.checks)
        known = f"its intervals reach {allowed:.2f}" if math.isfinite(allowed) else "it has no intervals"
        yield (
            f"The law missed the losses of these trainings by {missed:.2f} nats per token, "
            f"{missed / loss:.0%} of them ({known})."
        )


def law_missed(checks: Sequence["Checked"]) -> bool:
    """Whether the law of the rungs was wrong by far about the trainings above them: then neither its
    predictions nor the intervals of its optima are to be trusted."""
    if not checks:
        return False
    missed, allowed, loss = _misses(checks)
    return missed > allowed or missed > FAR * loss


def _misses(checks: Sequence["Checked"]) -> tuple[float, float, float]:
    """Mean error of the law, mean half width of its intervals, mean loss."""
    return (
        _mean(abs(row.loss.mean - row.predicted.mean) for row in checks),
        _mean((row.predicted.high - row.predicted.low) / 2.0 for row in checks),
        _mean(row.loss.mean for row in checks),
    )


def _another_did_better(decision: ScaleResult) -> Iterator[str]:
    """The method that is followed should be the one that did best."""
    rows = {row.name: row for row in decision.checks}
    if not rows:
        return
    best, own = min(rows.values(), key=lambda row: row.loss.mean), rows.get(decision.method)
    if own is None:
        yield f"'{decision.method}' was not among the methods whose mixtures were trained."
    elif own.loss.mean > best.loss.mean:
        yield (
            f"'{best.name}' did best of the mixtures trained ({best.loss.mean:.4f}), not "
            f"'{own.name}' ({own.loss.mean:.4f}), which is recommended."
        )


def _mean(values: Iterator[float]) -> float:
    found = list(values)
    return math.fsum(found) / len(found)
