"""Weights & Biases, offline: files that ``wandb sync`` may upload later (the only file that needs wandb)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cuvee.errors import ConfigError


class WeightsAndBiases:
    """See ``Tracker``. One run for each of the study's, in a group of its name; nothing is sent anywhere."""

    def __init__(self, study: str, folder: Path) -> None:
        try:
            import wandb
        except ImportError as error:
            raise ConfigError("it needs the wandb library: pip install 'cuvee[track]'") from error
        folder.mkdir(parents=True, exist_ok=True)
        self._wandb, self._study, self._folder = wandb, study, folder
        self._runs: dict[str, Any] = {}

    def numbers(self, run: str, step: int, values: Mapping[str, float]) -> None:
        self._of(run).log(dict(values), step=step)

    def words(self, run: str, title: str, text: str) -> None:
        self._of(run).summary[title] = text

    def end(self, run: str) -> None:
        if run in self._runs:
            self._runs.pop(run).finish()

    def close(self) -> None:
        for run in list(self._runs):
            self.end(run)

    def _of(self, run: str) -> Any:
        if run not in self._runs:
            quiet = self._wandb.Settings(
                silent=True, console="off", x_disable_stats=True, disable_git=True, save_code=False
            )
            self._runs[run] = self._wandb.init(
                project="cuvee", group=self._study, name=run, dir=str(self._folder), mode="offline",
                reinit="create_new", settings=quiet,
            )  # fmt: skip
        return self._runs[run]
