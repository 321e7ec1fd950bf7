"""What a ladder will take, told before anything is trained (floor 7)."""

from collections.abc import Sequence
from dataclasses import dataclass

from cuvee.quantities import flops
from cuvee.study.job import PaceTask, pace
from cuvee.study.laboratory import Laboratory, Planned
from cuvee.training.run import TrainingRun
from cuvee.types import Json

_HOUR = 3600.0


@dataclass(frozen=True)
class OutlookRow:
    """All runs of one scale."""

    parameters: int
    tokens: int
    """Of the base run."""
    runs: int
    left: int
    """Runs that are not made yet."""
    flops: float
    """Of all runs, by formula: three forward passes a token."""
    flops_left: float
    hours_left: float
    """Wall time with all workers, from a few steps timed on this machine; compiling, reading and measuring
    not included."""


@dataclass(frozen=True)
class Outlook:
    """Scales, runs, FLOPs and hours."""

    rows: tuple[OutlookRow, ...]
    budget_flops: float

    @property
    def flops(self) -> float:
        return sum(row.flops for row in self.rows)

    @property
    def hours_left(self) -> float:
        return sum(row.hours_left for row in self.rows)

    @property
    def statement(self) -> str:
        """In a sentence."""
        runs, left = (sum(getattr(row, name) for row in self.rows) for name in ("runs", "left"))
        done = f", {runs - left} of them done" if left < runs else ""
        minutes = 60 * self.hours_left
        time = f"{minutes:.0f} minutes" if minutes < 120 else f"{self.hours_left:.1f} hours"
        return (
            f"{runs} runs{done}, {flops(self.flops)} FLOPs of the {flops(self.budget_flops)} allowed; about "
            f"{time} to go on this machine"
        )

    def as_json(self) -> Json:
        """Everything as plain JSON."""
        return {
            "rows": [dict(vars(row)) for row in self.rows],
            "flops": self.flops,
            "budget_flops": self.budget_flops,
            "hours_left": self.hours_left,
        }


def outlook_of(lab: Laboratory, stages: Sequence[tuple[int, Sequence[Planned], int]]) -> Outlook:
    """Count, and time a few steps of every size of model.

    Args:
        lab: of the study.
        stages: for each scale tokens of its base run, the runs that are known, and how many more there
            will be like the last of them.

    Cost: seconds of training for every size of model.
    """
    rows = []
    for tokens, planned, more in stages:
        one = planned[0].run
        each = [p.run.flops for p in planned]
        each += [each[-1]] * more
        made = [lab.store.has(lab.trained_key(p.run)) for p in planned] + [False] * more
        left = sum(flops for flops, done in zip(each, made, strict=True) if not done)
        rate = flops_a_second(lab, one) if left else float("inf")
        rows.append(
            OutlookRow(
                one.model.build().layout.size,
                tokens,
                len(each),
                len(each) - sum(made),
                sum(each),
                left,
                left / rate / _HOUR,
            )
        )
    return Outlook(tuple(rows), lab.plan.config.scale.budget_flops)


def flops_a_second(lab: Laboratory, run: TrainingRun) -> float:
    """Of all workers together, while all of them train like this for a few steps."""
    workers = lab.plan.config.workers
    tasks = [PaceTask(run.model, run.recipe)] * workers
    seconds = [found for _, found in lab.executor.map(pace, tasks, lambda index, amount, note: None)]
    return workers * run.flops_of(run.recipe.batch_tokens) / (sum(seconds) / len(seconds))
