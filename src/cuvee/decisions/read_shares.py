"""What trained models really read of each source, beside the shares that were asked for."""

from dataclasses import dataclass

from cuvee.quantities import counted


@dataclass(frozen=True)
class ReadSource:
    """One source."""

    source: str
    asked: float
    """Share of the trainings of the pick; NaN where it was not trained."""
    realised: float
    """What these read, on average; NaN likewise."""
    difference: float
    """The largest between asked and read shares in any training of the study."""
    training: str
    """The one that has it."""


@dataclass(frozen=True)
class ReadShares:
    """All sources, in the order of the page."""

    sources: tuple[ReadSource, ...]
    trainings: int
    """How many have a log here."""
    of_pick: int
    """How many of these were trained on the pick."""
    unasked: int
    """How many differ by more than rounding."""

    @property
    def statement(self) -> str:
        """In a sentence, without a stop."""
        largest = max(one.difference for one in self.sources)
        how = f"{self.unasked} of them not as asked for" if self.unasked else "as asked for, up to rounding"
        return f"{counted(self.trainings, 'training')}, {how}; largest difference {largest:.2%} of the tokens"
