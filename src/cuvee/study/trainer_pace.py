"""TrainerPace: how long runs of the user's trainer took. Nothing else is known of its speed."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Self

from cuvee.quantities import seconds
from cuvee.runs.roles import SWARM
from cuvee.runs.run import Run
from cuvee.types import Json

NOT_MEASURED = "not measured: make one run first (`cuvee swarm --limit 1`)"
"""Of a time that no run has given."""


@dataclass(frozen=True)
class TrainerPace:
    """Wall seconds of a run for each of its tokens, all its attempts together. Made by ``of``."""

    runs: int
    """That were timed."""
    median: float
    lowest: float
    highest: float

    @classmethod
    def of(cls, runs: Iterable[Run], spent: Mapping[tuple[str, str], float]) -> Self | None:
        """From runs that ended well; None where none of them was timed.

        Args:
            runs: of one trainer.
            spent: seconds of the store.
        """
        timed = [(one.tokens, spent.get((one.key, SWARM), math.nan)) for one in runs]
        each = sorted(took / tokens for tokens, took in timed if tokens and not math.isnan(took))
        return cls(len(each), median(each), each[0], each[-1]) if each else None

    def words(self, tokens: float) -> str:
        """What a run of so many tokens takes."""
        typical = seconds(self.median * tokens)
        if self.runs == 1:
            return f"{typical} (one measured)"
        low, high = seconds(self.lowest * tokens), seconds(self.highest * tokens)
        return f"{typical} (median of {self.runs} measured, {low} to {high})"

    def as_json(self) -> Json:
        """Seconds a token."""
        return {"runs": self.runs, "median": self.median, "lowest": self.lowest, "highest": self.highest}
