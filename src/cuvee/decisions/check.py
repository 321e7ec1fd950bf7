"""The check of a decision: the pick and the baselines, trained at fresh seeds side by side.

Here it is decided whether a pick is *confirmed*, *not confirmed* or *refuted*.

These are values: ``study/checking.py`` makes them, decisions keep them, reports show them. Losses are nats
per token of the target, on the half of the documents that checks what was chosen on the other.
"""

import math
from dataclasses import dataclass

from cuvee.decisions.difference import ends, than
from cuvee.decisions.verdict import Verdict
from cuvee.quantities import counted, size

PICK, EQUAL, PROPORTIONAL = "pick", "equal shares", "proportional shares"
"""What is trained."""
STAGE = "training the pick and the baselines afresh"
"""What `cuvee run` calls that on the agenda."""

FEWEST_DOCUMENTS = 5
"""Documents of an evaluation below which their choice is not known well enough to confirm or refute."""

_NAN = math.nan


@dataclass(frozen=True)
class Arm:
    """One mixture with what its trainings ended at."""

    name: str
    shares: tuple[float, ...]
    losses: tuple[float, ...]
    """Of the target, one a seed; the seeds are the same for all arms."""
    tokens: int = 0
    """Of one training: under the estimand ``union`` a mixture of fewer units reads less. 0 where a document
    does not say it: those of the check then."""


@dataclass(frozen=True)
class BaselineComparison:
    """The pick against a baseline; negative where the pick is better."""

    baseline: str
    difference: float
    """Of the target loss of the pick minus that of the baseline, mean over seeds."""
    low: float = _NAN
    high: float = _NAN
    """Ends of the interval: trainings and documents together."""
    training_error: float = _NAN
    """Standard error of ``difference`` by the noise of trainings."""
    document_error: float = _NAN
    """Standard error of ``difference`` by the choice of documents."""
    tokens_needed: float = _NAN
    """Part of its tokens after which the pick is where the baseline ends; above one where it is not that
    far."""
    bound: bool = False
    """A training was there at its first measurement on the way: ``tokens_needed`` lies farther from one than
    it says."""

    @property
    def better(self) -> bool:
        """Beyond the noise."""
        return self.high < 0

    @property
    def worse(self) -> bool:
        """Beyond the noise."""
        return self.low > 0


@dataclass(frozen=True)
class TrainingCheck:
    """What fresh trainings say of the pick."""

    parameters: int
    tokens: int
    """Of one training of the pick."""
    arms: tuple[Arm, ...]
    """The pick first."""
    comparisons: tuple[BaselineComparison, ...]
    """One for each baseline that is another mixture than the pick."""
    noise: float
    """Standard deviation of one training about its mixture; NaN where none was repeated."""
    documents: int
    """Of the evaluation that has the fewest, among those that count in the target."""
    confidence: float
    flops: float = _NAN
    """Of all these trainings and of measuring them; NaN where a document does not say it."""
    unseen: bool = True
    """No document took part in the choice of the pick."""

    @property
    def seeds(self) -> int:
        """Trainings of each mixture."""
        return len(self.arms[0].losses)

    @property
    def trained(self) -> str:
        """How often each mixture was trained, in words."""
        return f"{counted(self.seeds, 'fresh training')} each"

    @property
    def extent(self) -> str:
        """How large they were, in words."""
        return f"{size(self.parameters)} parameters and {' to '.join(map(size, self.lengths))} tokens"

    @property
    def lengths(self) -> tuple[int, ...]:
        """Tokens of one training of any mixture: one number, or the least and the most."""
        found = {arm.tokens or self.tokens for arm in self.arms}
        return tuple(sorted({min(found), max(found)}))

    @property
    def measured_on(self) -> str:
        """What the losses are those of, in words."""
        if self.unseen:
            return "on documents that no choice has seen"
        return "on documents of which the choice may have seen some"

    @property
    def _limited(self) -> str:
        """Said where limits do not allow equal shares: the nearest to them is compared."""
        equal = next((arm.shares for arm in self.arms if arm.name == EQUAL), ())
        return "" if all(math.isclose(one, equal[0]) for one in equal) else ", as near as the limits allow"

    @property
    def _lowest(self) -> str:
        """The baseline whose trainings ended lowest."""
        return max(self.comparisons, key=lambda one: one.difference).baseline

    @property
    def _unknown(self) -> str:
        """Why no error is known of mixtures that were trained once each."""
        if self.seeds > 1 or not any(math.isnan(one.training_error) for one in self.comparisons):
            return ""
        why = "no mixture was trained twice"
        if math.isfinite(self.noise):
            why = (
                f"one mixture alone was trained twice, and its trainings differ (by {self.noise:.4f}) by "
                "what a seed does to all mixtures, too"
            )
        return f" The error is unknown since {why}: raise `check.seeds` to 2 or more."

    @property
    def verdict(self) -> Verdict:
        """What may be said of the pick."""
        trained = f"{self.trained} at {self.extent}" + ("" if self.unseen else f" ({self.measured_on})")
        differences = "; ".join(_difference_in_words(one) for one in self.comparisons)
        if not self.comparisons:
            names = " and ".join(sorted(arm.name for arm in self.arms[1:]))
            return Verdict("not confirmed", f"The pick is {names} at once{self._limited}: nothing to gain.")
        if self.documents < FEWEST_DOCUMENTS:
            count = counted(self.documents, "document")
            return Verdict(
                "not confirmed",
                f"An evaluation has {count} to check with, too few; in {trained}: {differences}.",
            )
        if worse := [one.baseline for one in self.comparisons if one.worse]:
            return Verdict(
                "refuted",
                f"In {trained} it is worse than {' and '.join(worse)} ({differences}). Do not use it: "
                f"{self._lowest} ended lowest.",
            )
        same = {arm.name for arm in self.arms[1:]} - {one.baseline for one in self.comparisons}
        if same:
            return Verdict(
                "not confirmed",
                f"The pick is {' and '.join(sorted(same))}{self._limited}; in {trained}: {differences}.",
            )
        if undecided := [one.baseline for one in self.comparisons if not one.better]:
            return Verdict(
                "not confirmed",
                f"In {trained} it does not beat {' and '.join(undecided)} beyond noise ({differences})."
                f"{self._unknown}",
            )
        beaten = " and ".join(one.baseline for one in self.comparisons)
        return Verdict("confirmed", f"In {trained} it beats {beaten} beyond noise ({differences}).")


def borne_out(baseline: str, low: float, high: float, check: TrainingCheck | None) -> str:
    """What training says of a prediction whose interval lies apart from the measured one."""
    measured = next((one for one in check.comparisons if one.baseline == baseline), None) if check else None
    if measured is None or not (measured.low > high or measured.high < low):
        return ""
    return " Training did not bear this out: go by what was measured, and by no other prediction here."


def _difference_in_words(one: BaselineComparison) -> str:
    known = "its error unknown" if math.isnan(one.low) else ends(one.low, one.high)
    return f"{than(one.baseline, one.difference)}, {known}"
