"""Paces: seconds of a training step, kept beside the numerics of a study, so that a plan and the run after it
time each size of model once.

    paces.json    key -> wall seconds a step, while all workers did the same

A key is the hash of the model's shape, of what a step computes, of how many work side by side, of the machine
and of the versions. Delete the file to have all timed anew.
"""

import json
import math
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version

from cuvee.execution.machine import this_machine
from cuvee.execution.work_time import is_gpu
from cuvee.files import write_json
from cuvee.hashing import digest
from cuvee.study.file.folder import StudyFolder
from cuvee.training.run import TrainingRun
from cuvee.version import VERSION


@dataclass(frozen=True)
class Paces:
    """What was timed on a study."""

    folder: StudyFolder

    def get(self, key: str) -> float | None:
        """Seconds a step; None where it was not timed."""
        seconds = self._kept().get(key)
        known = isinstance(seconds, int | float) and math.isfinite(seconds) and seconds > 0
        return float(seconds) if known else None  # type: ignore[arg-type]

    def keep(self, key: str, seconds: float) -> None:
        """Write it down beside the others."""
        with suppress(OSError):  # a study that may only be read is timed anew each time
            write_json(self.folder.paces, {**self._kept(), key: seconds})

    def _kept(self) -> dict[str, object]:
        try:
            kept = json.loads(self.folder.paces.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return {}  # it is timed anew
        return kept if isinstance(kept, dict) else {}


def pace_key(run: TrainingRun, lanes: int) -> str:
    """Hash of all that a pace depends on, as far as it is known.

    Args:
        run: a training of that size.
        lanes: how many work side by side.
    """
    spec, recipe = run.model, run.recipe
    computes = [spec.model_hash, spec.dtype, spec.compiled, spec.device, spec.kernels]
    step = [
        recipe.batch_sequences, recipe.context_length, recipe.accumulation, recipe.optimizer, recipe.stacked,
        recipe.processes,
    ]  # fmt: skip
    versions = [VERSION, version("torch")]
    return digest([computes, step, lanes, this_machine(), _card(spec.device), versions])


def _card(device: str) -> str:
    if not is_gpu(device):
        return ""
    import torch

    return str(torch.cuda.get_device_name(torch.device(device)))
