"""Whether the order of mixtures survives another seed, learning rate, number of tokens and size."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from cuvee.honesty.order import Survival
from cuvee.quantities import agreeing, counted, quantity

_NAN = math.nan

Changed = Literal["seed", "learning rate", "tokens", "parameters"]

_FRACTIONS = {"0.1": "a tenth of", "0.25": "a quarter of", "0.5": "half", "2": "twice"}


@dataclass(frozen=True)
class OrderRow:
    """What becomes of the order of the mixtures where one thing is otherwise."""

    changed: Changed
    value: float
    """What it is there: learning rate, tokens or parameters; NaN for the seed."""
    factor: float
    """That over what it is in the study; NaN for the seed."""
    survival: Survival
    pairs: int
    """Of all mixtures."""
    differing: int
    """Pairs that differ beyond noise at both conditions."""
    kept: int
    """Of these, those that keep their order."""
    kept_low: float = _NAN
    """Ends of the interval of their share."""
    kept_high: float = _NAN
    spearman: float = _NAN
    """Rank correlation of the target losses of single trainings."""
    spearman_low: float = _NAN
    spearman_high: float = _NAN

    @property
    def kept_share(self) -> float:
        """NaN where no pair differs."""
        return self.kept / self.differing if self.differing else _NAN

    @property
    def words(self) -> str:
        """What is otherwise: ``a quarter of the learning rate``."""
        if self.changed == "seed":
            return "another seed"
        factor = f"{self.factor:.2g}"  # models come in steps of size
        return f"{_FRACTIONS.get(factor, f'{factor} times')} the {self.changed}"

    @property
    def setting(self) -> str:
        """The same with what it is there: ``a quarter of the learning rate (0.0005)``."""
        if self.changed == "seed":
            return self.words
        value = f"{self.value:g}" if self.changed == "learning rate" else quantity(self.value)
        return f"{self.words} ({value})"


@dataclass(frozen=True)
class MixtureOrder:
    """The order of some references under other conditions."""

    mixtures: int
    noise: float
    """Standard deviation of one training, without what a seed does to all mixtures; nats per token."""
    rows: tuple[OrderRow, ...]
    """The seed first, whose correlation is the ceiling of all others."""

    @property
    def ceiling(self) -> float:
        """Rank correlation of two seeds at one condition."""
        return next((row.spearman for row in self.rows if row.changed == "seed"), _NAN)

    @property
    def lost(self) -> bool:
        """It does not survive one of them."""
        return bool(self._of("does not survive"))

    @property
    def statement(self) -> str:
        """The answer in one sentence."""
        survived, lost = self._of("survives"), self._of("does not survive")
        unclear = self._of("cannot be said")
        if not survived and not lost:
            doubts = "; ".join(f"with {row.words}, {_doubt(row)}" for row in unclear)
            return (
                f"Whether the order of mixtures survives {_words(unclear, 'or')} cannot be said: of "
                f"{counted(self.rows[0].pairs, 'pair')}, {doubts}."
            )
        clauses = [f"survives {_words(survived)} ({_kept(survived)})"] if survived else []
        clauses += [f"does not survive {_words(lost)} ({_kept(lost)})"] if lost else []
        first = f"The order of mixtures {' but '.join(clauses)}"
        return (
            "; ".join([first, *(f"with {row.words} it cannot be said: {_doubt(row)}" for row in unclear)])
            + "."
        )

    def _of(self, survival: Survival) -> list[OrderRow]:
        return [row for row in self.rows if row.survival == survival]


def _words(rows: Sequence[OrderRow], last: str = "and") -> str:
    *first, end = (row.words for row in rows)
    return f"{', '.join(first)} {last} {end}" if first else end


def _kept(rows: Sequence[OrderRow]) -> str:
    kept, differing = sum(row.kept for row in rows), sum(row.differing for row in rows)
    return (
        f"{kept} of {counted(differing, 'pair')} that differ beyond noise "
        f"{agreeing(kept, 'keeps', 'keep')} it"
    )


def _doubt(row: OrderRow) -> str:
    swapped, differing = row.differing - row.kept, counted(row.differing, "pair")
    if not swapped:
        return f"{differing} {'differs' if row.differing == 1 else 'differ'} beyond noise"
    return (
        f"of {differing} that differ beyond noise, {swapped} {'changes' if swapped == 1 else 'change'} places"
    )
