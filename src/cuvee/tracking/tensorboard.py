"""TensorBoard: event files, one folder a run (the only file that needs tensorboard).

``tensorboard --logdir STUDY/tracking/tensorboard`` shows them. A training that goes on after a break is
written from its first step again, and what was there is marked as replaced.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from cuvee.errors import ConfigError

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

_NOT_IN_A_FOLDER = re.compile(r"[^\w.+ -]")


class TensorBoard:
    """See ``Tracker``."""

    def __init__(self, study: str, folder: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise ConfigError("it needs the tensorboard library: pip install 'cuvee[track]'") from error
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._writer = folder, SummaryWriter
        self._runs: dict[str, SummaryWriter] = {}

    def numbers(self, run: str, step: int, values: Mapping[str, float]) -> None:
        writer = self._of(run, step)
        for name, value in values.items():
            writer.add_scalar(name, value, step)
        writer.flush()

    def words(self, run: str, title: str, text: str) -> None:
        self._of(run, 0).add_text(title, text, 0)
        self._of(run, 0).flush()

    def end(self, run: str) -> None:
        if run in self._runs:
            self._runs.pop(run).close()

    def close(self) -> None:
        for run in list(self._runs):
            self.end(run)

    def _of(self, run: str, step: int) -> "SummaryWriter":
        if run not in self._runs:
            place = self._folder / _NOT_IN_A_FOLDER.sub("_", run)
            self._runs[run] = self._writer(str(place), purge_step=step)
        return self._runs[run]
