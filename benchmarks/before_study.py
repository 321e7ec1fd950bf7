"""A whole study as a user gives it to ``cuvee run``, with an earlier cuvee and with the present one.

Four invented languages and a model of 100,000 parameters; the words of a language have few successors each,
so that there is something to learn.
"""

import json
import resource
import shutil
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import yaml

from benchmarks.before_checkout import BEFORE, NOW, environment
from benchmarks.harness import Contender, Timing, measure
from cuvee.files import write_json, write_text
from cuvee.types import Json

LANGUAGES = {
    "ka": "ka ke ki tak rak gar kash dra",
    "lo": "lo la le sol vel alo ulo lina",
    "mi": "mi me mo ami nim fim somi tem",
    "nu": "nu zu bu zur bun unu dub zun",
}
"""Syllables of each."""
COMMANDS = {
    "run": ("run", "."),
    "run, all is there": ("run", "."),
    "status": ("status", "."),
    "--help": ("--help",),
}


def settings() -> Json:
    """The study file."""
    batch = {"learning_rate": 3e-3, "batch_tokens": 256}
    return {
        "schema": 1,
        "name": "four languages",
        "workers": 1,
        "sources": {name: f"{name}.jsonl" for name in LANGUAGES},
        "split": {"evaluation": 0.1, "seed": 0.3},
        "tokenizer": {"vocabulary": 300},
        "model": {"parameters": 100_000, "context_length": 32},
        "seed_training": batch | {"tokens": 40 * 256},
        "branch_training": batch | {"tokens": 10 * 256},
        "references": {"count": 8, "replicates": 2},
        "candidates": {"count": 20},
        "evaluation_tokens": 256,
    }


def text(language: str, documents: int = 60, words_each: int = 60) -> list[str]:
    """Documents in which each word is followed by one of three."""
    rng = np.random.default_rng(list(language.encode()))
    syllables = LANGUAGES[language].split()
    words = ["".join(rng.choice(syllables, size=rng.integers(1, 4))) for _ in range(30)]
    successors = rng.integers(len(words), size=(len(words), 3))

    def document() -> str:
        place, line = 0, []
        for choice in rng.integers(3, size=words_each):
            place = int(successors[place, choice])
            line.append(words[place])
        return " ".join(line)

    return [document() for _ in range(documents)]


def new_study(root: Path) -> None:
    """Nothing but the study file, its text, and how numbers are computed: the same with every cuvee."""
    shutil.rmtree(root, ignore_errors=True)
    for name in LANGUAGES:
        write_text(root / f"{name}.jsonl", "".join(json.dumps({"text": one}) + "\n" for one in text(name)))
    write_text(root / "study.yaml", yaml.safe_dump(settings(), sort_keys=False))
    write_json(root / "numerics.json", {"dtype": "float32", "compiled": False, "device": "cpu"})


@dataclass(frozen=True)
class Commands:
    """The command line of one cuvee after another on a study of its own."""

    sources: Mapping[str, Path]
    work: Path
    wall: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """Seconds by the clock on the wall, by command and version."""

    def timed(self, title: str, repeats: int) -> list[Timing]:
        """Processor seconds of a command and of all processes that it starts, in turns."""
        contenders = [Contender(version, partial(self._run, version, title)) for version in (BEFORE, NOW)]
        return measure(contenders, repeats, warmups=0, clock=_seconds_of_children)

    def models(self, version: str) -> int:
        """Trained in the study."""
        return sum(1 for folder in (self._root(version) / "checkpoints").iterdir() if folder.is_dir())

    def _run(self, version: str, title: str) -> None:
        root = self._root(version)
        if title == "run":
            new_study(root)
        command = [sys.executable, "-m", "cuvee", *COMMANDS[title]]
        begin = time.perf_counter()
        done = subprocess.run(
            command,
            cwd=root,
            env=environment(self.sources[version]),
            capture_output=True,
            text=True,
            check=False,
        )
        self.wall[f"{title} {version}"].append(time.perf_counter() - begin)
        if done.returncode:
            raise RuntimeError(f"{root}: `cuvee {title}` ended with {done.returncode}: {done.stderr[-2000:]}")

    def _root(self, version: str) -> Path:
        return self.work / f"study-{version}"


def _seconds_of_children() -> float:
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime
