"""What models of a study do on downstream tasks, and which metrics of them can decide anything."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from cuvee.quantities import counted

_NAN = math.nan


@dataclass(frozen=True)
class TaskRow:
    """One metric of one downstream task, measured on all its questions."""

    task: str
    metric: str
    better: Literal["lower", "higher"]
    questions: int
    error: float
    """Standard error of one model's value by the choice of questions; the mean over models."""
    signal: float
    """Standard deviation between really trained mixtures, noise taken out; NaN where too few were trained."""
    noise: float
    """Standard deviation of one of them by the choice of questions, or by the seed."""
    models: int
    """Trained mixtures behind these two."""
    chance: float = _NAN
    """Of blind guesses; NaN for what is no accuracy."""
    merges: float = _NAN
    """Rank correlation of merges with trained mixtures; NaN where they were not scored."""
    ensembles: float = _NAN
    """The same of ensembles."""
    values: tuple[tuple[str, float], ...] = ()
    """The pick and what it is compared with -> the mean over fresh trainings."""

    @property
    def ratio(self) -> float:
        """Signal over noise; NaN where unknown."""
        if self.noise == 0.0:
            return math.inf if self.signal else 0.0
        return self.signal / self.noise

    @property
    def decides(self) -> bool:
        """Whether mixtures are ranked by what they can rather than by which questions were asked."""
        return self.ratio >= 1.0

    @property
    def words(self) -> str:
        """Whether it decides, in words."""
        if math.isnan(self.ratio):
            return "not known"
        return "can decide" if self.decides else "cannot decide"


def undecided(rows: Sequence[TaskRow], weights: dict[str, float]) -> list[str]:
    """A sentence for each task of the target whose right answers cannot rank mixtures."""
    return [
        f"Downstream task '{row.task}' is in the target, but its {counted(row.questions, 'question')} "
        "cannot rank "
        f"mixtures: {row.metric} has a signal of {row.signal:.3g} between {row.models} trained mixtures and "
        f"a noise of {row.noise:.3g}. Give it more questions, or less weight."
        for row in rows
        if weights.get(row.task, 0.0) > 0.0 and row.metric == "bits_per_byte" and row.words == "cannot decide"
    ]
