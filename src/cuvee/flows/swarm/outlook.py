"""What the runs of a trainer will take, as far as it is known: tokens, FLOPs, time and money.

Nothing here can time somebody else's trainer, so time is that of runs which were made; before the first there
is none.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Self

from cuvee.execution.tariff import HOUR, Tariff
from cuvee.quantities import counted, flops, short
from cuvee.runs.run import Run
from cuvee.study.file.config import StudyConfig
from cuvee.study.outlook import in_words
from cuvee.study.plan.commanded_run import CommandedRun
from cuvee.study.trainer_pace import NOT_MEASURED, TrainerPace
from cuvee.types import Json


@dataclass(frozen=True)
class SwarmOutlook:
    """Runs with tokens, FLOPs, time and money. Made by ``of``."""

    runs: int
    done: int
    failed: int
    tokens: int
    """Of each."""
    flops_each: float | None
    """By formula; None where the size of the model is not known."""
    pace: TrainerPace | None
    """None where no run was timed."""
    workers: int
    """Runs side by side on this machine."""
    gpus: int | None
    """That each occupies, where the study says so."""
    tariff: Tariff
    """Of those."""

    @classmethod
    def of(
        cls,
        config: StudyConfig,
        requests: Sequence[CommandedRun],
        known: Sequence[Run | None],
        pace: TrainerPace | None,
    ) -> Self:
        """Of a design, some of whose runs are known."""
        done = [one for one in known if one is not None and one.status == "done"]
        return cls(
            runs=len(requests),
            done=len(done),
            failed=sum(one is not None and one.status == "failed" for one in known),
            tokens=requests[0].tokens,
            flops_each=_flops(config.trainer.parameters, requests[0].tokens, done),
            pace=pace,
            workers=config.workers,
            gpus=config.trainer.gpus,
            tariff=Tariff("GPU", config.price.gpu_hour, config.price.currency),
        )

    @property
    def left(self) -> int:
        """Runs to be made: those that failed are tried again."""
        return self.runs - self.done

    @property
    def seconds_each(self) -> float:
        """Of one run; NaN where none was timed."""
        return math.nan if self.pace is None else self.pace.median * self.tokens

    @property
    def hours_left(self) -> float:
        """Wall time on this machine."""
        return math.ceil(self.left / self.workers) * self.seconds_each / HOUR if self.left else 0.0

    @property
    def gpu_hours_left(self) -> float:
        """NaN where the GPUs or the time of a run are not known."""
        return math.nan if self.gpus is None else self.left * self.gpus * self.seconds_each / HOUR

    @property
    def statement(self) -> str:
        """In a sentence."""
        size = "FLOPs not known (trainer.parameters)"
        if self.flops_each is not None:
            size = f"{flops(self.flops_each * self.left)} FLOPs"
        left = f"{counted(self.left, 'run')} to make, {short(float(self.tokens * self.left))} tokens, {size}"
        if not self.left:
            return f"{counted(self.runs, 'run')}; nothing is left to make"
        if self.pace is None:
            return f"{left}; time {NOT_MEASURED}"
        paid = self.tariff.words(self.gpu_hours_left) if self.gpus is not None else ""
        priced = f" ({paid})" if paid else ""
        return (
            f"{left}; one takes {self.pace.words(self.tokens)}; about {in_words(self.hours_left)} to go with "
            f"{self.workers} side by side on this machine{priced}"
        )

    def as_json(self) -> Json:
        """Everything as plain JSON; what is not known is null."""
        known = self.pace is not None
        return {
            "runs": self.runs,
            "done": self.done,
            "failed": self.failed,
            "left": self.left,
            "tokens": self.tokens,
            "flops_left": None if self.flops_each is None else self.flops_each * self.left,
            "seconds_each": self.seconds_each if known else None,
            "seconds_a_token": None if self.pace is None else self.pace.as_json(),
            "hours_left": self.hours_left if known or not self.left else None,
            "work_left": self.tariff.as_json(self.gpu_hours_left)
            if known and self.gpus is not None
            else None,
        }


def _flops(parameters: int | None, tokens: int, done: Sequence[Run]) -> float | None:
    if parameters is not None:
        return 6.0 * parameters * tokens
    measured = [one.flops for one in done if one.flops is not None]
    return median(measured) if measured else None
