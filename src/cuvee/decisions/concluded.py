"""Decisions that conclude: a verdict and first lines that follow from all the rest."""

from abc import abstractmethod
from dataclasses import replace
from typing import Self

from cuvee.decisions.baselines import Baselines
from cuvee.decisions.check import TrainingCheck
from cuvee.decisions.document import JsonDocument
from cuvee.decisions.shares import SourceShare
from cuvee.decisions.verdict import Verdict
from cuvee.excerpt import excerpt
from cuvee.quantities import number


class Concluded(JsonDocument):
    """A document whose verdict and first lines follow from the rest of it."""

    headline: tuple[str, ...]
    """What is said first."""
    verdict: Verdict
    """Whether it may be acted on."""
    mixture: tuple[SourceShare, ...]
    """The pick, one entry a source."""

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the sources [S]; every ``shares`` follows this order."""
        return tuple(entry.source for entry in self.mixture)

    def judged(self) -> Self:
        """The same with its verdict, and the first lines under it."""
        settled = self.settled()
        judged = settled._with(verdict=settled.conclusion())
        return judged._with(headline=judged.first_lines())

    def settled(self) -> Self:
        """The same with whatever else follows from the rest of it and is kept."""
        return self

    @abstractmethod
    def conclusion(self) -> Verdict:
        """The standing of the answer, from all but ``verdict`` and ``headline``."""

    @abstractmethod
    def first_lines(self) -> tuple[str, ...]:
        """What is said first, under ``verdict``; all but ``headline`` is read."""

    def objections(self) -> tuple[str, ...]:
        """What speaks against the mixture besides its verdict; said wherever the mixture is used."""
        return ()

    def _repr_html_(self) -> str:
        """Verdict, first lines and shares, for a notebook."""
        rows = [
            (one.source, *(number(100 * x, 1) for x in (one.share, one.low, one.high)), number(one.epochs, 2))
            for one in self.mixture
        ]
        sentences = (self.verdict.why, *self.headline)
        return excerpt(self.verdict.title, sentences, ("source", "share, %", "from", "to", "epochs"), rows)

    def _with(self, **changes: object) -> Self:
        return replace(self, **changes)  # type: ignore[type-var]  # those who inherit are dataclasses


class Checkable(Concluded):
    """An answer to a study: fresh trainings of its mixture decide about it, where there are any."""

    check: TrainingCheck | None
    """What fresh trainings say of the mixture."""

    @property
    def compared(self) -> Baselines:
        """The baselines as they were compared."""
        return Baselines.of(self.mixture, self.check)

    def conclusion(self) -> Verdict:
        """What fresh trainings say; without any, what the decision itself gives reason to say."""
        return self.check.verdict if self.check else self.unchecked()

    @abstractmethod
    def unchecked(self) -> Verdict:
        """The standing without fresh trainings."""

    def with_check(self, check: TrainingCheck) -> Self:
        """The same with what fresh trainings say of it."""
        return self._with(check=check).judged()
