"""The jobs that score what stands for training: members of a pool, their merges, their ensembles.

Tasks and answers are small: the pool stays on disk, or on the device of the worker.
"""

from dataclasses import dataclass
from pathlib import Path

from cuvee.evaluation.scores import Scores
from cuvee.evaluation.scoring import score_merges
from cuvee.execution.devices import PROCESSOR
from cuvee.execution.interface import Report
from cuvee.execution.work_time import WorkTime
from cuvee.merging.registry import merger_of
from cuvee.study.plan.job import Bench
from cuvee.study.plan.resident import resident_pool, resident_probabilities
from cuvee.training.run import ModelSpec
from cuvee.types import Float32Array, FloatArray

_MERGES_A_TASK = 8
_MERGES_A_GPU_TASK = 64
"""So many wait for one copy back, which is also all that a break can lose."""


def merges_a_task(device: str, merges: int, processes: int) -> int:
    """How many merges are scored together.

    Args:
        device: where.
        merges: there are in all.
        processes: that score them side by side.
    """
    if device == PROCESSOR:
        return _MERGES_A_TASK
    return max(1, min(_MERGES_A_GPU_TASK, -(-merges // processes)))


@dataclass(frozen=True, eq=False)
class MergeTask:
    """Score a block of merges of one pool."""

    pool: Path
    weights: FloatArray
    """[m, K]"""
    method: str
    """Of merging; a row of ``MERGERS``."""
    bench: Bench
    partly: bool
    """On the part of the evaluations only."""
    members: ModelSpec
    """What the rows of the pool are parameters of."""
    statistics: tuple[Path, ...] = ()
    """Of the members, where the method needs them."""

    @property
    def label(self) -> str:
        """As it is called in errors."""
        return f"scoring {len(self.weights)} merges of {self.pool}"

    @property
    def device(self) -> str:
        """Where it computes."""
        return self.bench.model.device


@dataclass(frozen=True, eq=False)
class MergesScored:
    """Scores of a block of merges [m, D], and work time of the device."""

    scores: Scores
    seconds: float


def score_block(task: MergeTask, report: Report) -> MergesScored:
    """Job: reports merges scored."""
    work = WorkTime.begin(task.device)
    evaluator = task.bench.part() if task.partly else task.bench.evaluator()
    pool = resident_pool(task.pool, task.device, task.members, task.statistics)
    merger = merger_of(task.method, pool)
    scores = score_merges(evaluator, pool, merger, task.weights, lambda: report(1, ""))
    return MergesScored(scores, work.seconds)


@dataclass(frozen=True)
class MemberTask:
    """Score one member of a pool."""

    pool: Path
    row: int
    """Of the roster."""
    bench: Bench
    """With what the rows of the pool are parameters of."""

    @property
    def label(self) -> str:
        """As it is called in errors."""
        return f"scoring member {self.row + 1} of {self.pool}"

    @property
    def device(self) -> str:
        """Where it computes."""
        return self.bench.model.device


def score_member(task: MemberTask, report: Report) -> Float32Array:
    """Job: log-probabilities of all scored tokens [tokens]; reports one member."""
    pool = resident_pool(task.pool, task.device, task.bench.model)
    log_probs = task.bench.evaluator().token_log_probs(pool.branch(pool.roster.names[task.row]))
    report(1, "")
    return log_probs


@dataclass(frozen=True, eq=False)
class EnsembleTask:
    """Score a block of ensembles of one pool on a device."""

    ensemble: Path
    weights: FloatArray
    """[m, K]"""
    device: str

    @property
    def label(self) -> str:
        """As it is called in errors."""
        return f"scoring {len(self.weights)} ensembles of {self.ensemble}"


def score_ensembles(task: EnsembleTask, report: Report) -> FloatArray:
    """Job: nats of every document [m, D]."""
    return resident_probabilities(task.ensemble, task.device).nats(task.weights)
