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


def result_of(folder: RunFolder, settings: TrainerSettings, needed: Sequence[str] = ()) -> RunResult | None:
    """What a run gave; None where it has not ended.

    Args:
        folder: of the run.
        settings: of the study.
        needed: metrics without which it has failed.
    """
    ended = folder.ended
    if not ended:
        return None
    if ended != "0":
        return RunResult(error=failure_of(settings, folder, how_it_ended(ended, settings), folder.last_lines))
    try:
        if settings.returns == "model":
            return RunResult(model=_model(folder.output / settings.result))
        path = folder.output / (settings.result or METRICS_FILE)
        return RunResult(metrics=read_metrics(path, settings.metrics, needed))
    except ConfigError as error:
        return RunResult(error=failure_of(settings, folder, f"ended well, but {error}", folder.last_lines))


def how_it_ended(status: str, settings: TrainerSettings) -> str:
    """An entry of ``exit`` in words, and what helps."""
    if status == TIMEOUT:
        return (
            f"was stopped after {settings.timeout:g} {agreeing(settings.timeout or 0.0, 'hour', 'hours')}; "
            "raise trainer.timeout, unless the trainer goes on from its output folder"
        )
    with suppress(ValueError):
        if int(status) > _SIGNALS:
            ended = signal.Signals(int(status) - _SIGNALS)
            memory = "; often the memory was full" if ended is signal.SIGKILL else ""
            return f"was killed by {ended.name}{memory}"
    return f"ended with exit status {status}"


def read_metrics(path: Path, wanted: Sequence[str], needed: Sequence[str] = ()) -> dict[str, float]:
    """Numbers by name.

    Args:
        path: a JSON file.
        wanted: names or patterns of those to keep, each of one at least; empty: all.
        needed: names that must be among those.

    Raises:
        ConfigError: the file is missing or no such JSON, one of them is not there or no finite number.
    """
    if not path.exists():
        raise ConfigError(
            f"{path} does not exist: the trainer has to write its numbers there (`trainer.result` names "
            "another file in its output folder)"
        )
    document = read_json(path)
    if not isinstance(document, Mapping):
        raise ConfigError(f'{path}: needs an object of numbers by name, such as {{"loss": 2.3}}')
    kept = {
        name: value
        for name, value in document.items()
        if not wanted or any(_means(one, name) for one in wanted)
    }
    lacking = [one for one in wanted if not any(_means(one, name) for name in document)]
    lacking += [name for name in needed if name not in kept]
    if lacking or not kept:
        there = ", ".join(document) or "none"
        what = f"metric {', '.join(dict.fromkeys(lacking))}" if lacking else "metric"
        raise ConfigError(
            f"{path}: has no {what}; there are: {there}. Have the trainer write what `trainer.metrics` and "
            "the target name, or name there what it writes"
        )
    return {name: _number(path, name, value) for name, value in kept.items()}


def _means(wanted: str, name: str) -> bool:
    return name == wanted or fnmatchcase(name, wanted)


def _number(path: Path, name: str, value: object) -> float:
    check_text("metric", name)
    if not name or isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(
            f"{path}: metric {name!r} is {value!r} and no number; leave it out there, or by `trainer.metrics`"
        )
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ConfigError(
            f"{path}: metric {name!r} is {number}: the training diverged, or measured nothing; a metric that "
            "may do so is left out by `trainer.metrics`"
        )
    return number


def _model(path: Path) -> Path:
    if not (path / "config.json").is_file():
        raise ConfigError(
            f"{path} holds no config.json, so no model of transformers: the trainer has to save one there "
            "(`trainer.result` names another folder in its output folder)"
        )
    return path


def failure_of(settings: TrainerSettings, folder: RunFolder, what: str, log: str = "") -> str:
    """What is known of a run that failed: where, why, by which command; its log is the last of it."""
    sentence = (
        f"the run in {folder.place} {what} (`{settings.command}`; `sh {folder.script}` repeats it alone)"
    )
    return f"{sentence}; {log}" if log else sentence
