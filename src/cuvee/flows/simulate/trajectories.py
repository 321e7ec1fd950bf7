"""Trajectories: every method in the benchmark, once for each seed, each kept as it ends.

    OUT/plays/<key>.json    what a method did; the key is a digest of all that determines it

A trajectory that lies there is not played again, so a simulation that was killed goes on where it was.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from cuvee.decisions.document import encode
from cuvee.decisions.provenance import versions
from cuvee.errors import ConfigError
from cuvee.execution.interface import Executor, Report
from cuvee.files import write_text
from cuvee.flows.simulate.benchmark import Benchmark
from cuvee.flows.simulate.question import SimulationQuestion
from cuvee.flows.simulate.software import LIBRARIES, code
from cuvee.hashing import canonical_json, digest
from cuvee.progress import Progress
from cuvee.search.methods.registry import method_named
from cuvee.search.replay import Replay
from cuvee.search.trajectory import Trajectory, trajectory_of
from cuvee.types import FloatArray, Json

FOLDER = "plays"


@dataclass(frozen=True, eq=False)
class Trajectories:
    """All trajectories of a method, in the order of their seeds."""

    method: str
    trajectories: tuple[Trajectory, ...]
    seconds: float
    """For each experiment of those that were played now, asking and recommending; NaN where none was."""


@dataclass(frozen=True)
class _Part:
    """One trajectory to be made."""

    method: str
    seed: int


def trajectories_of(
    benchmark: Benchmark, question: SimulationQuestion, folder: Path, executor: Executor, progress: Progress
) -> tuple[Trajectories, ...]:
    """Play what is not kept yet; the methods in the order of the question.

    Args:
        benchmark: where.
        question: methods, seeds, budget and batch.
        folder: where trajectories are kept.
        executor: where trajectories are made. It changes no number.
        progress: where every trajectory is reported.

    Raises:
        ConfigError: no trajectory of some method makes a run at the target within the budget, or a file
            of the folder is damaged (the message names it).
    """
    parts = [_Part(method, seed) for method in question.methods for seed in range(question.seeds)]
    decided = _decided_by(benchmark, question)
    paths = {part: folder / FOLDER / f"{_key(part, decided)}.json" for part in parts}
    found = {part: _read(path) for part, path in paths.items() if path.exists()}
    left = [part for part in parts if part not in found]
    if found:
        progress.message(f"{len(found)} of {len(parts)} trajectories were there already")
    if left:
        progress.stage("playing", len(left), "plays")
    for method in question.methods:
        _check_begun(method, found, question)
    seconds: dict[str, list[float]] = {}
    job = partial(_replayed, benchmark.replay, benchmark.weights, question.budget, question.batch)
    for index, (one, took) in executor.map(job, left):
        part = left[index]
        write_text(paths[part], canonical_json(one.as_json()) + "\n")
        found[part] = one
        seconds.setdefault(part.method, []).append(took / max(1, len(one.experiments)))
        progress.advance(1, part.method)
        _check_begun(part.method, found, question)
    return tuple(
        Trajectories(
            method,
            tuple(found[_Part(method, seed)] for seed in range(question.seeds)),
            float(np.mean(seconds.get(method, [np.nan]))),
        )
        for method in question.methods
    )


def _replayed(
    replay: Replay, weights: FloatArray, budget: float, batch: int, part: _Part, report: Report
) -> tuple[Trajectory, float]:
    began = time.perf_counter()
    one = trajectory_of(method_named(part.method), replay, weights, part.seed, budget, batch)
    return one, time.perf_counter() - began


def _key(part: _Part, decided: Json) -> str:
    return digest(decided | {"method": repr(method_named(part.method)), "seed": part.seed})


def _decided_by(benchmark: Benchmark, question: SimulationQuestion) -> Json:
    """All that determines what a method does with a seed."""
    asked = encode(question)
    fidelity = benchmark.replay.space.fidelities[benchmark.replay.space.target]
    return {
        "code": code(),
        "versions": versions(LIBRARIES),
        "runs": benchmark.content,
        "level": [fidelity.kind, fidelity.params, fidelity.tokens],
        **{name: asked[name] for name in ("weights", "directions", "budget", "batch", "law", "noise")},
    }


def _read(path: Path) -> Trajectory:
    try:
        return Trajectory.from_json(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, ConfigError) as error:
        raise ConfigError(f"{path} cannot be read ({error}); remove it and simulate again") from error


def _check_begun(method: str, found: Mapping[_Part, Trajectory], question: SimulationQuestion) -> None:
    """Some trajectory of a method makes a run at the target, once all of them are there."""
    mine = [one for part, one in found.items() if part.method == method]
    if len(mine) < question.seeds or any(np.isfinite(one.best).any() for one in mine):
        return
    made = max(len(one.experiments) for one in mine)
    raise ConfigError(
        f"a budget of {question.budget:g} runs at the target ends before {method} makes the first of them: "
        f"it begins with more than {made} experiments at cheaper fidelities; raise the budget or leave it out"
    )
