"""The job that measures what a method of merging needs of one branch: from windows that it was trained on."""

from dataclasses import dataclass, replace
from pathlib import Path

import torch

from cuvee.execution.interface import Report
from cuvee.execution.work_time import WorkTime
from cuvee.hashing import digest
from cuvee.merging.activations import gram_matrices
from cuvee.merging.information import fisher_diagonal
from cuvee.merging.statistics import GRAM, MemberStatistics
from cuvee.models.checkpoint import Checkpoint
from cuvee.training.run import STACKS, TrainingRun, windows_read

WINDOWS = 128
"""Of each branch; all that it read where that is less. Those that it read first, in its own seeded order."""
_VERSION = 1
"""Raised whenever a change of code changes what comes out."""
MADE_FROM = {"windows": WINDOWS, "version": _VERSION}
"""What of it determines statistics, and merges by them."""


@dataclass(frozen=True)
class StatisticsTask:
    """Measure one branch."""

    run: TrainingRun
    """Of the branch; it must be done."""
    kind: str
    """Of statistics."""
    root: Path
    """The folder that holds all statistics."""

    @property
    def path(self) -> Path:
        """Where they are kept: under a hash of all that determines them."""
        return self.root / digest({"kind": self.kind, "run": self.run.key} | MADE_FROM)

    @property
    def label(self) -> str:
        """As it is called in errors."""
        return f"measuring what merging needs of {self.run.folder}"

    @property
    def device(self) -> str:
        """Where it computes."""
        return self.run.model.device

    @property
    def reads(self) -> tuple[Path, ...]:
        """What was trained."""
        return (self.run.folder,)

    @property
    def tokens(self) -> int:
        """That are read."""
        recipe = self.run.recipe
        return min(WINDOWS, recipe.steps * recipe.batch_sequences) * recipe.context_length


def measure_member(task: StatisticsTask, report: Report) -> float:
    """Job: reports one member; work time of the device."""
    work = WorkTime.begin(task.device)
    STACKS.drop()
    # Exact, and not compiled for shapes that are seen once.
    model = replace(task.run.model, dtype="float32", compiled=False).build()
    checkpoint = Checkpoint.load(task.run.folder)
    flat = checkpoint.read_flat(model).to(task.device)
    spans = torch.from_numpy(windows_read(task.run, WINDOWS))
    inputs, targets = spans[:, :-1].contiguous(), spans[:, 1:].contiguous()
    if task.kind == GRAM:
        values, places = gram_matrices(model, flat, inputs), model.linear_inputs
    else:
        values, places = fisher_diagonal(model, flat, inputs, targets), ()
    MemberStatistics(task.kind, checkpoint.content_hash, places, values).save(task.path)
    report(1, "")
    return work.seconds
