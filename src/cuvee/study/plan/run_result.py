"""What a run of a trainer of the user's gave: metrics, a model, or why there is nothing to count.

Read from its folder alone, so that it is the same whoever started it.
"""

import math
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from cuvee.errors import ConfigError
from cuvee.exporters.shares_json import read_json
from cuvee.quantities import agreeing
from cuvee.runs.observations import check_text
from cuvee.study.file.settings import TrainerSettings
from cuvee.study.plan.run_folder import TIMEOUT, RunFolder

METRICS_FILE = "metrics.json"
_SIGNALS = 128
"""A shell adds it to the number of the signal that ended a command."""


@dataclass(frozen=True)
class RunResult:
    """A run that has ended."""

    metrics: Mapping[str, float] = field(default_factory=dict)
    """Of its JSON file."""
    model: Path | None = None
    """A folder that is still to be measured."""
    error: str = ""
    """Why it failed; empty where it did not."""


def result_of(folder: RunFolder, settings: TrainerSettings) -> RunResult | None:
    """What a run gave; None where it has not ended."""
    ended = folder.ended
    if not ended:
        return None
    if ended != "0":
        return RunResult(
            error=failure_of(settings, folder, f"{how_it_ended(ended, settings)}; {folder.last_lines}")
        )
    try:
        if settings.returns == "model":
            return RunResult(model=_model(folder.output / settings.result))
        path = folder.output / (settings.result or METRICS_FILE)
        return RunResult(metrics=read_metrics(path, settings.metrics))
    except ConfigError as error:
        return RunResult(error=failure_of(settings, folder, f"ended well, but {error}; {folder.last_lines}"))


def how_it_ended(status: str, settings: TrainerSettings) -> str:
    """An entry of ``exit`` in words."""
    if status == TIMEOUT:
        return (
            f"was stopped after {settings.timeout:g} {agreeing(settings.timeout or 0.0, 'hour', 'hours')} "
            "(trainer.timeout)"
        )
    with suppress(ValueError):
        if int(status) > _SIGNALS:
            return f"was killed by {signal.Signals(int(status) - _SIGNALS).name}"
    return f"ended with exit status {status}"


def read_metrics(path: Path, wanted: Sequence[str]) -> dict[str, float]:
    """Numbers by name.

    Args:
        path: a JSON file.
        wanted: names or patterns of those to keep; empty: all.

    Raises:
        ConfigError: the file is missing or no such JSON, or one of them is no finite number.
    """
    document = read_json(path)
    if not isinstance(document, Mapping):
        raise ConfigError(f'{path}: needs an object of numbers by name, such as {{"loss": 2.3}}')
    kept = {
        name: value
        for name, value in document.items()
        if not wanted or any(name == one or fnmatchcase(name, one) for one in wanted)
    }
    if not kept:
        there = ", ".join(document) or "none"
        raise ConfigError(
            f"{path}: has no metric{' of trainer.metrics' if wanted else ''}; there are: {there}"
        )
    return {name: _number(path, name, value) for name, value in kept.items()}


def _number(path: Path, name: str, value: object) -> float:
    check_text("metric", name)
    if not name or isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(
            f"{path}: metric {name!r} is {value!r} and no number; leave it out there, or by `trainer.metrics`"
        )
    if not math.isfinite(value):
        raise ConfigError(f"{path}: metric {name!r} is {value}: the training diverged, or measured nothing")
    return float(value)


def _model(path: Path) -> Path:
    if not (path / "config.json").is_file():
        raise ConfigError(f"{path} holds no config.json, so no model of transformers")
    return path


def failure_of(settings: TrainerSettings, folder: RunFolder, what: str) -> str:
    """A sentence on a run that failed: by which command, and where."""
    return f"`{settings.command}` in {folder.path} {what}"
