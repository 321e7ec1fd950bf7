"""The jobs that a study sends to worker processes: train and measure.

Tasks and answers are small: parameters and tokens stay on disk.
"""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from torch import Tensor

from cuvee.errors import NonFiniteLoss, TrainingError
from cuvee.evaluation.likelihood import Evaluator
from cuvee.evaluation.race import PART, part_windows
from cuvee.evaluation.scores import Scores
from cuvee.execution.interface import Report
from cuvee.execution.work_time import is_gpu
from cuvee.models.interface import CausalModel
from cuvee.sources.evaluation_set import EvaluationSet, Half
from cuvee.sources.shards import TokenShard
from cuvee.study.plan.resident import EVALUATOR, EVALUATOR_PART, KEPT
from cuvee.study.plan.tasks import RequestsRef
from cuvee.training.launched import SharedWork, launched
from cuvee.training.loop import train
from cuvee.training.recipe import Recipe
from cuvee.training.run import (
    Begun,
    ModelSpec,
    TrainedModel,
    TrainingRun,
    begin,
    execute,
    execute_together,
    read_snapshots,
    stack_of,
)
from cuvee.training.state import TrainingState
from cuvee.training.together import Together, train_together
from cuvee.types import IntArray

PACE_STEPS = 8
MORE_STEPS = 40
"""On a GPU: two seconds for a model of 130M there."""
_NO_RATE = 1e-9  # nothing can explode while steps are timed


@dataclass(frozen=True)
class EvaluationRef:
    """An evaluation set by where its tokens lie."""

    name: str
    shard: Path
    context_length: int
    max_tokens: int
    half: Half | None

    def open(self) -> EvaluationSet:
        """Open the shard and choose the windows."""
        return EvaluationSet.from_shard(
            self.name,
            TokenShard.open(self.shard),
            context_length=self.context_length,
            max_tokens=self.max_tokens,
            half=self.half,
        )


@dataclass(frozen=True)
class Bench:
    """A model's architecture with all evaluation sets of a study."""

    model: ModelSpec
    evaluations: tuple[EvaluationRef | RequestsRef, ...]

    def evaluator(self) -> Evaluator:
        """Open the sets; one object a process."""
        return KEPT.get(EVALUATOR, self, self._open)

    def part(self) -> Evaluator:
        """The part of them on which runs are measured on their way, and merges before the best are known."""
        return KEPT.get(EVALUATOR_PART, self, self._select)

    def of(self, evaluations: Collection[str]) -> "Bench":
        """Some of the evaluations alone."""
        return replace(self, evaluations=tuple(one for one in self.evaluations if one.name in evaluations))

    def _open(self) -> Evaluator:
        return Evaluator.of(self.model.build(), [one.open() for one in self.evaluations])

    def _select(self) -> Evaluator:
        evaluator = self.evaluator()
        return evaluator.select(part_windows(evaluator))


@dataclass(frozen=True)
class TrainTask:
    """Train a run (unless it is done), to its end or up to a step, and measure it on every evaluation."""

    run: TrainingRun
    bench: Bench
    measured_along: int = 0
    """How often the run is measured on its way, too; kept in its log."""
    until: int = 0
    """The step after which it is frozen; 0 goes to the end."""
    role: str = ""
    """What the run is for."""

    @property
    def label(self) -> str:
        """As it is called in errors: what is trained, on what, and where it is kept."""
        sources = "+".join(self.run.mixture.support)
        return f"training {self.role or 'a model'} on {sources}, kept in {self.run.folder}"

    @property
    def device(self) -> str:
        """Where it computes."""
        return self.run.model.device

    @property
    def reads(self) -> tuple[Path, ...]:
        """What there is of the run."""
        return self.run.folder, self.run.state_file


@dataclass(frozen=True, eq=False)
class Measured:
    """A trained run with its losses."""

    trained: TrainedModel
    scores: Scores
    along: tuple[tuple[int, dict[str, float]], ...]
    """Steps with losses on the part of the evaluations, by the key of the part; the end is among them. Empty
    where it was not measured on its way."""
    evaluation_flops: float


def train_and_measure(task: TrainTask, report: Report) -> Measured:
    """Job: reports tokens trained."""
    evaluator = task.bench.evaluator()
    measured, every = _along(task)
    trained = execute(task.run, report, measured, every)
    flat = trained.checkpoint.read_flat(task.run.model.build()).to(task.bench.model.device)
    scores = evaluator.score(flat)
    flops = evaluator.model.flops_per_token * evaluator.tokens
    along = [(int(step), losses) for step, losses in trained.log["evaluations"]] if every else []
    ends = [(task.run.recipe.steps, measured(flat))] if every else []
    before = [one for one in along if one[0] < task.run.recipe.steps]
    return Measured(trained, scores, (*before, *ends), flops)


def _along(task: TrainTask) -> tuple[Callable[[Tensor], dict[str, float]], int]:
    """What measures a run on its way, and every how many steps (0: never)."""
    return PartLosses(task.bench), steps_between(task.run.recipe, task.measured_along)


@dataclass(frozen=True)
class PartLosses:
    """Measures a model on the part of the evaluations, in whatever process."""

    bench: Bench

    def __call__(self, flat: Tensor) -> dict[str, float]:
        """Nats per token by the key of the part."""
        part = self.bench.part()
        keys = [part_key(key) for key in part.documents.keys]
        return dict(zip(keys, part.score(flat).nats_per_token.tolist(), strict=True))


def part_key(evaluation: str) -> str:
    """The key under which the loss on a part of this evaluation is kept.

    A run keeps what was measured on its way for as long as its checkpoint lies there, whatever evaluations
    the study comes to have: kept by name, old losses would pass for those on new text.
    """
    return f"{evaluation}/{PART}"


def steps_between(recipe: Recipe, measured_along: int) -> int:
    """Steps from one measurement on the way to the next; 0: there is none."""
    return max(1, recipe.steps // measured_along) if measured_along else 0


@dataclass(frozen=True)
class StackTask:
    """Train runs of one stack to their end, without measuring them there."""

    tasks: tuple[TrainTask, ...]

    @property
    def device(self) -> str:
        """Where it computes."""
        return self.tasks[0].device

    @property
    def reads(self) -> tuple[Path, ...]:
        """What there is of its runs."""
        return tuple(path for task in self.tasks for path in task.reads)

    @property
    def label(self) -> str:
        """As it is called in errors."""
        return f"training {len(self.tasks)} models together"


def train_stack(stack: StackTask, report: Report) -> dict[str, float | NonFiniteLoss]:
    """Job: by key of each run its work time, or why it diverged."""
    runs = [task.run for task in stack.tasks]
    evaluations = [_along(task) for task in stack.tasks]
    return {
        runs[number].key: one if isinstance(one, NonFiniteLoss) else one.seconds
        for number, one in execute_together(runs, report, evaluations)
    }


@dataclass(frozen=True)
class Failed:
    """A training that stopped, and why."""

    error: str


def attempt(task: TrainTask, report: Report) -> Measured | Begun | Failed:
    """Job: reports tokens trained; a training that stops with a reason is a result too."""
    try:
        if not task.until:
            return train_and_measure(task, report)
        measured, every = _along(task)
        return begin(task.run, task.until, report, measured, every)
    except TrainingError as error:
        return Failed(str(error))


@dataclass(frozen=True)
class PaceTask:
    """Train a model for a few steps on nothing, to see how long one takes."""

    model: ModelSpec
    recipe: Recipe

    @property
    def device(self) -> str:
        """Where it computes."""
        return self.model.device


def pace(task: PaceTask, report: Report) -> float:
    """Job: wall seconds a step, without what a training pays once.

    On cores the model is not compiled for it, which takes longer than what it saves. On a GPU it is: steps
    there are several times as fast then. A few steps there also cost less than what surrounds them (state
    that is copied, kernels that are made ready), so two lengths are timed and their difference counts.
    """
    if is_gpu(task.model.device):
        return seconds_of_more_steps(lambda steps: _seconds_of(task, steps, task.model.compiled))
    # The first few steps pay for what is made once, which processes that share a training make each time.
    times = 1 if task.recipe.processes > 1 else 2
    return min(_seconds_of(task, PACE_STEPS, False) for _ in range(times)) / PACE_STEPS


def _seconds_of(task: PaceTask, steps: int, compiled: bool) -> float:
    """What a training of so many steps takes; of a stack, its part of what all take together."""
    spec = replace(task.model, compiled=compiled)
    if spec.adapted is not None and not spec.adapted.seed.folder.is_dir():
        spec = spec.base  # what is adapted is not trained yet; whole models take about as long
    model = spec.build()
    recipe = replace(
        task.recipe, steps=steps, warmup_steps=0, learning_rate=_NO_RATE, snapshots=(), compiled=compiled
    )
    nothing = _Nothing(np.zeros((recipe.batch_sequences, recipe.context_length), dtype=np.int64))
    if recipe.processes > 1:
        work = SharedWork(
            spec.make, spec.device, recipe, "pace", _from_nothing, partial(_Nothing, nothing.tokens)
        )
        return launched(work).wall_seconds
    start = model.initial(0)
    states = [TrainingState.fresh(start.clone()) for _ in range(max(1, recipe.stacked))]
    if not recipe.stacked:
        began = time.perf_counter()
        train(model, states[0], nothing, recipe, key="pace", device=spec.device)
        return time.perf_counter() - began
    stack = stack_of(spec, recipe)
    runs = [Together("pace", partial(states.pop, 0), lambda: nothing, recipe) for _ in list(states)]
    began = time.perf_counter()
    for _ in train_together(stack, runs):
        pass
    return (time.perf_counter() - began) / len(runs)


def _from_nothing(model: CausalModel) -> TrainingState:
    return TrainingState.fresh(model.initial(0))


def seconds_of_more_steps(timed: Callable[[int], float]) -> float:
    """Seconds a step, from two lengths of a training after one that pays for what is made once in a process.

    Args:
        timed: seconds that a training of so many steps takes.
    """
    timed(PACE_STEPS)
    few, many = timed(PACE_STEPS), timed(PACE_STEPS + MORE_STEPS)
    return max(many - few, 0.0) / MORE_STEPS or many / (PACE_STEPS + MORE_STEPS)


@dataclass(frozen=True, eq=False)
class _Nothing:
    tokens: IntArray

    def batch(self, step: int) -> tuple[IntArray, IntArray]:
        return self.tokens, self.tokens

    def spans(self, step: int, steps: int) -> IntArray:
        return np.zeros((steps, len(self.tokens), self.tokens.shape[1] + 1), dtype=np.int64)


@dataclass(frozen=True)
class SnapshotTask:
    """Measure the snapshots of a finished run."""

    folder: Path
    bench: Bench

    @property
    def label(self) -> str:
        """As it is called in errors."""
        return f"measuring snapshots of {self.folder}"

    @property
    def device(self) -> str:
        """Where it computes."""
        return self.bench.model.device


def score_snapshots(task: SnapshotTask, report: Report) -> dict[int, Scores]:
    """Job: step -> scores [D]; reports snapshots measured."""
    evaluator = task.bench.evaluator()
    found = {}
    for step, flat in sorted(read_snapshots(task.folder).items()):
        found[step] = evaluator.score(flat.to(task.bench.model.device))
        report(1, "")
    return found
