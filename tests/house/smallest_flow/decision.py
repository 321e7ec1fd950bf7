"""What the smallest flow concludes: of a few mixtures that were trained, the one of the lowest loss."""

from dataclasses import dataclass
from typing import ClassVar

from cuvee.decisions.concluded import Concluded
from cuvee.decisions.provenance import Provenance
from cuvee.decisions.shares import SourceShare, check_shares, in_words
from cuvee.decisions.verdict import Verdict


@dataclass(frozen=True)
class Trial:
    """A mixture with the target losses of its trainings, in nats per token, one a seed."""

    name: str
    shares: tuple[float, ...]
    losses: tuple[float, ...]

    @property
    def loss(self) -> float:
        """The mean over seeds."""
        return sum(self.losses) / len(self.losses)


@dataclass(frozen=True, eq=False)
class TrialDecision(Concluded):
    """The answer.

    Raises:
        ConfigError: shares do not sum to one.
    """

    by: ClassVar[str] = "trial"
    schema: ClassVar[int] = 1

    study: str
    created_from: Provenance
    headline: tuple[str, ...]
    verdict: Verdict
    tokens: int
    """Of one training."""
    mixture: tuple[SourceShare, ...]
    trials: tuple[Trial, ...]
    """Lowest loss first."""

    def __post_init__(self) -> None:
        check_shares(self.study, self.mixture)

    def conclusion(self) -> Verdict:
        """Chosen and measured on the same trainings, so that nothing confirms it."""
        return Verdict("not checked", "The mixture was chosen by the trainings that measure it.")

    def first_lines(self) -> tuple[str, ...]:
        """The mixture, and what the next best loses."""
        first, second = self.trials[:2]
        gap = f"{second.loss - first.loss:.4f} nats per token below {second.name}"
        return f"Train on {in_words(self.mixture)}.", f"{first.name.capitalize()} end {gap}."
