"""Trackio: a local SQLite file that ``trackio show`` opens (the only file that needs trackio).

It lies where ``TRACKIO_DIR`` says, or else in the folder of the study.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cuvee.errors import ConfigError


class Trackio:
    """See ``Tracker``. Nothing is sent anywhere."""

    def __init__(self, study: str, folder: Path) -> None:
        os.environ.setdefault("TRACKIO_DIR", str(folder))  # read once, by the import
        try:
            import trackio
        except ImportError as error:
            raise ConfigError("it needs the trackio library: pip install 'cuvee[track]'") from error
        self._trackio, self._study = trackio, study
        self._runs: dict[str, Any] = {}

    def numbers(self, run: str, step: int, values: Mapping[str, float]) -> None:
        self._of(run).log(dict(values), step=step)

    def words(self, run: str, title: str, text: str) -> None:
        self._of(run).log({title: self._trackio.Markdown(text)}, step=0)

    def end(self, run: str) -> None:
        if run in self._runs:
            self._runs.pop(run).finish()

    def close(self) -> None:
        for run in list(self._runs):
            self.end(run)

    def _of(self, run: str) -> Any:
        if run not in self._runs:
            # Not `trackio.init`, which ends the run before and prints.
            self._runs[run] = self._trackio.Run(
                url=None, project=self._study, client=None, name=run, auto_log_gpu=False, auto_log_cpu=False
            )
        return self._runs[run]
