"""The plays behind ``make bench-search``: every method on every objective and seed, in two processes.

Seeds 20 to 39 were not used while methods were made, nor were the fresh weightings of the tables, the five
held-out objectives of the simulator and its weightings. Each finished play is kept under ``.bench/search``,
so that a stopped benchmark goes on where it was; delete the folder after a method has changed.
"""

import json
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.ablation_study import ROOT
from benchmarks.search_botorch import CONTENDERS, INSTALLED, LogExpectedImprovement
from benchmarks.search_tables import LONG_STEPS, SHORT_STEPS, Benchmark, Objectives, simulator, study, tables
from benchmarks.search_unspanned import BEFORE, unspanned_simulator, unspanned_tables
from cuvee.files import write_json
from cuvee.progress import Progress
from cuvee.search.methods.registry import SEARCH_METHODS, method_named
from cuvee.search.trajectory import Trajectory, trajectory_of
from cuvee.types import FloatArray

WORK = ROOT / ".bench" / "search"
SEEDS = tuple(range(20, 40))
MARKS = (0.1, 0.01)
"""Parts of median - best, above the best of the pool."""
BUDGETS = (1.25, 1.5, 2.0)
RESAMPLED = "random"
"""Its plays are orders of the pool, which are drawn and not played."""
_FRESH = 1
WEIGHTINGS = tuple(range(100, 105))
"""Seeds of the simulator's weighted objectives; methods were made on others."""


@dataclass(frozen=True)
class Setting:
    """Objectives of an benchmark, and who plays for them."""

    name: str
    title: str
    benchmark: Callable[[], Benchmark]
    objectives: Callable[[], Objectives]
    budget: float
    """Target runs, at most."""
    methods: tuple[str, ...]
    seeds: tuple[int, ...] = SEEDS
    note: str = ""
    """Told below its table."""

    @property
    def plays(self) -> list["Play"]:
        """All of them, methods in turn."""
        names = list(self.objectives())
        return [
            Play(self.name, name, method, seed)
            for seed in self.seeds
            for name in names
            for method in self.methods
            if method != RESAMPLED
        ]


@dataclass(frozen=True)
class Play:
    """One method on one objective with one seed."""

    setting: str
    objective: str
    method: str
    seed: int

    @property
    def path(self) -> Path:
        """Where it is kept."""
        return WORK / self.setting / self.objective / self.method / f"{self.seed}.json"

    def made(self) -> Trajectory:
        """From its file, else played now and kept."""
        if self.path.exists():
            return Trajectory.from_json(json.loads(self.path.read_text(encoding="utf-8")))
        setting = SETTINGS[self.setting]
        replay, weights = setting.benchmark().replay, setting.objectives()[self.objective]
        good = scale_of(setting, self.objective).mark(MARKS[-1])
        method = CONTENDERS.get(self.method) or BEFORE.get(self.method) or method_named(self.method)
        with threadpool_limits(limits=1):
            played = trajectory_of(
                method, replay, weights, self.seed, setting.budget,
                stop=partial(_settled, good),
            )  # fmt: skip
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_json(self.path, played.as_json())
        return played


@dataclass(frozen=True)
class Scale:
    """What costs of an objective are measured by."""

    best: float
    median: float

    def mark(self, part: float) -> float:
        """The cost at a part of median - best above the best."""
        return self.best + part * (self.median - self.best)


@cache
def true_costs(setting: str, objective: str) -> FloatArray:
    """Of the pool at the target."""
    one = SETTINGS[setting]
    replay = one.benchmark().replay
    costs: FloatArray = replay.truth(replay.reference()) @ one.objectives()[objective]
    return costs


def scale_of(setting: Setting, objective: str) -> Scale:
    """Of the pool."""
    costs = true_costs(setting.name, objective)
    return Scale(float(costs.min()), float(np.median(costs)))


def everything(progress: Progress, processes: int = 2) -> dict[Play, Trajectory]:
    """All plays of all settings."""
    plays = [one for setting in SETTINGS.values() for one in setting.plays]
    found: dict[Play, Trajectory] = {}
    progress.stage("playing", len(plays), "plays")
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        for one, played in zip(plays, pool.map(Play.made, plays, chunksize=4), strict=True):
            found[one] = played
            progress.advance(1, f"{one.setting}, {one.objective}, {one.method}, seed {one.seed}")
    return found


def _settled(good: float, spent: float, best: float) -> bool:
    """Nothing that is reported can change any more."""
    return spent > max(BUDGETS) and best <= good


def _short_steps() -> Benchmark:
    return simulator(steps=SHORT_STEPS + LONG_STEPS, curves=True)


def _few(objectives: Objectives, names: tuple[str, ...]) -> Objectives:
    return {name: objectives[name] for name in names}


def _of_tables() -> Objectives:
    benchmark = tables()
    fixed = {
        name: weights for name, weights in benchmark.development.items() if not name.startswith("weighting")
    }
    return {**fixed, **benchmark.fresh(_FRESH)}


def weighted(seeds: tuple[int, ...] = WEIGHTINGS) -> Objectives:
    """Weightings of all outputs of the simulator, one a seed."""
    count = len(simulator().replay.metrics)
    return {f"weighting {seed}": np.random.default_rng(seed).dirichlet(np.ones(count)) for seed in seeds}


_ALL = tuple(SEARCH_METHODS)
_AND_BEFORE = ("cost_aware", "cost_aware, before", "transfer", "transfer, before")
_ON_STUDY = ("cost_aware", "transfer", "expected_improvement", "mfms", RESAMPLED)
_BESIDE = 5  # seeds: entropy search takes minutes a play
_BOTORCH = (
    Setting(
        "A-botorch",
        "A beside BoTorch",
        tables,
        lambda: _few(tables().development, ("Pile-CC", "mean of 13")),
        20.0,
        ("cost_aware", "expected_improvement", *CONTENDERS),
        SEEDS[:_BESIDE],
    ),
    Setting(
        "C-botorch",
        "C beside BoTorch",
        simulator,
        lambda: _few(simulator().development, ("CommonCrawl", "mean of 7")),
        10.0,
        ("cost_aware", "expected_improvement", LogExpectedImprovement.name),
        SEEDS[:_BESIDE],
        note=" Entropy search is left out: it buys the cheapest of 21 by the hundred, a second each.",
    ),
)
SETTINGS = {
    one.name: one
    for one in (
        *(_BOTORCH if INSTALLED else ()),
        Setting("A", "A: RegMix's tables, 60M from 1M", tables, _of_tables, 40.0, _ALL),
        Setting("C", "C: the simulator, 1B", simulator, lambda: simulator().development, 30.0, _ALL),
        Setting(
            "C-held-out",
            "C, five objectives that were not used in development",
            simulator,
            lambda: simulator().fresh(0),
            30.0,
            _ALL,
        ),
        Setting(
            "C-weighted",
            "C, weightings of all ten outputs",
            simulator,
            weighted,
            30.0,
            (*_AND_BEFORE, "expected_improvement", "mfms", RESAMPLED),
        ),
        Setting(
            "A-unspanned",
            "A, from runs of fewer tokens than the target, all alike",
            unspanned_tables,
            _of_tables,
            20.0,
            _AND_BEFORE,
            note=" The target is pretended: it measures what the 60M runs did, 15 % lower.",
        ),
        Setting(
            "C-unspanned",
            "C, from runs of fewer tokens than the target, all alike",
            unspanned_simulator,
            lambda: simulator().development,
            20.0,
            _AND_BEFORE,
        ),
        Setting(
            "D",
            "D: our own study, 1.3M, with merges and ensembles of its pool",
            partial(study, True),
            lambda: study(True).fresh(0),
            20.0,
            _ON_STUDY,
            note=" The pool is taken to be there; its six branches took as much as six target runs.",
        ),
        Setting(
            "D-trained",
            "D without merges and ensembles",
            partial(study, False),
            lambda: study(False).fresh(0),
            20.0,
            _ON_STUDY,
        ),
        Setting(
            "C-short",
            "C with runs of 100 to 900 steps, and checkpoints free",
            _short_steps,
            lambda: simulator().development,
            2.0,
            ("cost_aware", "mfms", "asha", "async_hyperband"),
        ),
    )
}
