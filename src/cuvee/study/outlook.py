"""What a flow will take, before anything is trained: trainings, FLOPs, time and money.

FLOPs are those of the formulas, and hold what the ledger of a study does: training, and measuring at its end.
Time comes from a few steps of every size of model, timed on this machine while all workers do the same;
compiling, reading and concluding are not in it. Money is the work time, summed over all that work side by
side, at the price of an hour that the study file gives.
"""

import math
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass

from cuvee.execution.tariff import CORES, HOUR, Tariff
from cuvee.quantities import counted, flops
from cuvee.study.paces import Paces, pace_key
from cuvee.study.plan.agenda import saved_step
from cuvee.study.plan.job import PaceTask, pace
from cuvee.study.plan.numerics import stacks_that_fit
from cuvee.study.plan.planned import Planned
from cuvee.study.producers.trained import trained_key
from cuvee.study.runner import Runner
from cuvee.study.tariff import tariff_of
from cuvee.training.run import TrainingRun
from cuvee.types import Json

_NAN = math.nan


@dataclass(frozen=True)
class OutlookRow:
    """All work of one stage."""

    title: str
    parameters: int
    tokens: int
    """Of one training, or of one scoring."""
    runs: int
    left: int
    """Runs that are not made yet."""
    flops: float
    """Of all runs, by formula: three forward passes a token where they train, one where they are measured or
    score."""
    flops_left: float
    step_seconds: float
    """Wall seconds of one worker for a training step; NaN where nothing is left or nothing is trained."""
    hours_left: float
    """Wall time with all workers."""
    work_hours_left: float
    """The same summed over the cores or GPUs that work: what is paid for."""
    trained: bool = True
    """Models are trained; else merges are scored."""


@dataclass(frozen=True)
class Outlook:
    """Stages with runs, FLOPs and hours."""

    rows: tuple[OutlookRow, ...]
    budget_flops: float | None = None
    """None where nothing limits it."""
    tariff: Tariff = CORES
    """What computes, and its price."""

    @property
    def flops(self) -> float:
        return sum(row.flops for row in self.rows)

    @property
    def hours_left(self) -> float:
        return sum(row.hours_left for row in self.rows)

    @property
    def work_hours_left(self) -> float:
        return sum(row.work_hours_left for row in self.rows)

    @property
    def statement(self) -> str:
        """In a sentence."""
        trained = [row for row in self.rows if row.trained]
        runs, left = sum(row.runs for row in trained), sum(row.left for row in trained)
        done = f", {runs - left} of them done" if left < runs else ""
        allowed = "" if self.budget_flops is None else f" of the {flops(self.budget_flops)} allowed"
        cost = f"{counted(runs, 'run')}{done}, {flops(self.flops)} FLOPs{allowed}"
        if not self.hours_left:
            return f"{cost}; nothing is left to make"
        paid = self.tariff.words(self.work_hours_left)
        priced = f" ({paid})" if paid else ""
        return f"{cost}; about {in_words(self.hours_left)} to go on this machine{priced}"

    def as_json(self) -> Json:
        """Everything as plain JSON."""
        rows = [{**vars(row), "step_seconds": known(row.step_seconds)} for row in self.rows]
        total = {
            "rows": rows,
            "flops": self.flops,
            "hours_left": self.hours_left,
            "work_left": self.tariff.as_json(self.work_hours_left),
        }
        return total if self.budget_flops is None else total | {"budget_flops": self.budget_flops}


@dataclass(frozen=True)
class Stage:
    """Trainings that are made side by side."""

    title: str
    tokens: int
    planned: Sequence[Planned]
    """Those that are known; at least one."""
    more: int = 0
    """How many more there will be, like the last of them."""


@dataclass(eq=False)
class Stopwatch:
    """Times a few steps of every size of model, once a study and machine."""

    runner: Runner

    @property
    def lanes(self) -> int:
        """Trainings side by side."""
        return self.runner.plan.processes

    @property
    def tariff(self) -> Tariff:
        """Of the study."""
        plan = self.runner.plan
        return tariff_of(plan.config, plan.folder)

    def step_seconds(self, run: TrainingRun) -> float:
        """Wall seconds a step of a training like this, while all workers do the same."""
        paces, key = Paces(self.runner.plan.folder), pace_key(run, self.lanes)
        seconds = paces.get(key)
        if seconds is None:
            seconds = self._timed(run)
            paces.keep(key, seconds)
        return seconds

    def _timed(self, run: TrainingRun) -> float:
        self.runner.progress.stage("timing a few steps", 1, "sizes of model")
        tasks = [PaceTask(run.model, run.recipe)] * self.lanes
        with stacks_that_fit(self.runner.plan.folder) if run.recipe.stacked else nullcontext():
            found = [seconds for _, seconds in self.runner.executor.map(pace, tasks, lambda *_: None)]
        self.runner.progress.advance(1)
        return sum(found) / len(found)

    def flops_a_second(self, run: TrainingRun) -> float:
        """Of one worker."""
        return run.flops_of(run.recipe.batch_tokens) / self.step_seconds(run)

    def row(self, stage: Stage) -> OutlookRow:
        """What a stage takes and what of it is left. It takes no less time than its longest training does.

        What is trained and only has to be measured again, on other evaluations, costs that alone.
        """
        run, folder = stage.planned[0].run, self.runner.plan.folder
        measuring = self.measuring(run)
        each = [one.run.flops + measuring for one in stage.planned]
        missing = [
            one.run
            for one in stage.planned
            if not self.runner.store.has(trained_key(self.runner.plan, one.run))
        ]
        left = [
            one.flops * (1.0 - saved_step(folder, one.key) / one.recipe.steps) + measuring
            for one in missing
            if not one.done
        ]
        left += [each[-1]] * stage.more
        work = math.fsum(left) + measuring * sum(one.done for one in missing)
        together = max(work / self.lanes, max(left, default=0.0))
        rate = self.flops_a_second(run) if together else math.inf
        return OutlookRow(
            stage.title,
            run.model.parameters,
            stage.tokens,
            len(each) + stage.more,
            len(left),
            math.fsum(each) + each[-1] * stage.more,
            work,
            self.step_seconds(run) if left else _NAN,
            together / rate / HOUR,
            work / rate / HOUR,
        )

    def measuring(self, run: TrainingRun) -> float:
        """FLOPs of measuring a model on all evaluations."""
        return run.model.flops_per_token * float(self.runner.plan.bench.evaluator().tokens)


def in_words(hours: float) -> str:
    """A time to wait for."""
    minutes = 60.0 * hours
    if minutes < 1.5:
        return "a minute"
    return f"{round(minutes)} minutes" if minutes < 120 else f"{hours:.1f} hours"


def known(value: float) -> float | None:
    """None where a number is not known: JSON has no word for that."""
    return None if math.isnan(value) else value
