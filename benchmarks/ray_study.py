"""A tiny study on a Ray cluster while its workers and nodes are killed, and what has come of it.

What is made is compared with what the local executor makes: each file of each artefact by SHA-256, each row
of the store by its digest.
"""

import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from signal import SIGKILL

import numpy as np
import yaml

from benchmarks.ray_cluster import RayCluster

ARTEFACTS = ("tokenizers", "shards", "checkpoints", "pools", "ensembles")
_LANGUAGES = ("ka", "lo", "mi", "nu")
_DATA = {"learning_rate": 3e-3, "batch_tokens": 256}
_ROWS = (
    "SELECT key, digest FROM runs ORDER BY key",
    "SELECT key, evaluation, documents.digest FROM documents JOIN runs USING (run_id) ORDER BY 1, 2",
)
_LOOK_SECONDS = 0.01
_LOOKS = 5
"""For a worker that is at work. The command waits meanwhile and gives out no more work."""


def write_study(root: Path, steps: int = 40) -> Path:
    """Four sources of invented words, and a model of 100 000 parameters.

    Args:
        root: a new folder.
        steps: of the seed model; branches have half as many.
    """
    (root / "text").mkdir(parents=True)
    for name in _LANGUAGES:
        rng = np.random.default_rng([*name.encode()])
        words = [name + "".join(rng.choice(list("aeiou"), size=3)) for _ in range(30)]
        texts = (" ".join(rng.choice(words, size=50)) + "." for _ in range(60))
        lines = (json.dumps({"text": text}) + "\n" for text in texts)
        (root / "text" / f"{name}.jsonl").write_text("".join(lines))
    settings = {
        "schema": 1,
        "name": "four languages",
        "sources": {name: f"text/{name}.jsonl" for name in _LANGUAGES},
        "split": {"evaluation": 0.1, "seed": 0.3},
        "tokenizer": {"vocabulary": 300},
        "model": {"parameters": 100_000, "context_length": 32},
        "seed_training": {**_DATA, "tokens": steps * 256},
        "branch_training": {**_DATA, "tokens": steps * 128},
        "references": {"count": 8, "replicates": 2},
        "candidates": {"count": 20},
        "evaluation_tokens": 256,
    }
    (root / "study.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))
    numerics = {"dtype": "float32", "compiled": False, "device": "cpu"}
    (root / "numerics.json").write_text(json.dumps(numerics))
    return root


def run(study: Path, *options: str, command: str = "run") -> float:
    """``cuvee run``, or another command; seconds that it took.

    Raises:
        RuntimeError: it failed.
    """
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "cuvee", command, str(study), *options],
        env=_environment(), capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"cuvee {command} failed with {done.returncode}: {done.stderr[-2000:]}")
    return time.perf_counter() - began


def _environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}


def made(study: Path) -> dict[str, str]:
    """Every file of every artefact with its SHA-256, and every row of the store with its digest.

    Raises:
        RuntimeError: something half-written is left, or a row stands there twice.
    """
    if left := [str(path) for path in study.rglob(".*") if path.name not in (".lock", ".observed")]:
        raise RuntimeError(f"left behind: {', '.join(left)}")
    files = sorted(path for name in ARTEFACTS for path in (study / name).rglob("*") if path.is_file())
    found = {path.relative_to(study).as_posix(): sha256(path.read_bytes()).hexdigest() for path in files}
    with closing(sqlite3.connect(study / "store.sqlite")) as store:
        rows = [tuple(row) for select in _ROWS for row in store.execute(select)]
    for *key, digest in rows:
        name = " ".join(key)
        if name in found:
            raise RuntimeError(f"{name}: twice in the store")
        found[name] = digest
    return found


def differing(one: dict[str, str], other: dict[str, str]) -> list[str]:
    """Names that are missing in one of them, or of other bytes."""
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


@dataclass(frozen=True)
class CountedRun:
    """What a whole run took."""

    seconds: float
    jobs: int


def run_counted(
    study: Path, address: str, look: Callable[[int], None] = lambda jobs: None, artifacts: str = ""
) -> CountedRun:
    """The same by ``ray_driver``.

    Args:
        study: its folder.
        address: of the Ray cluster.
        look: called with the number of jobs that are done; the command waits until it returns.
        artifacts: the URL by way of which nodes get and give files; empty where they see the study.

    Raises:
        RuntimeError: it failed.
    """
    began, jobs = time.perf_counter(), 0
    command = [sys.executable, "-m", "benchmarks.ray_driver", str(study), address]
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            [*command, artifacts] if artifacts else command,
            env=_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True,
        )  # fmt: skip
        assert process.stdin is not None and process.stdout is not None
        for line in process.stdout:
            if not line.startswith("{"):
                continue  # Ray has a word of its own for a worker that is gone
            jobs = json.loads(line)["done"]
            look(jobs)
            process.stdin.write("\n")
            process.stdin.flush()
        process.communicate()
        if process.returncode:
            errors.seek(0)
            raise RuntimeError(f"the command failed with {process.returncode}: {errors.read()[-2000:]}")
    return CountedRun(time.perf_counter() - began, jobs)


def strata(jobs: int, kills: int) -> list[int]:
    """After how many jobs each kill falls due: in the middle of equal parts of all jobs.

    Raises:
        ValueError: there are fewer jobs than kills.
    """
    if jobs < kills:
        raise ValueError(f"{kills} kills need as many jobs; there are {jobs}")
    return [max(-(-jobs * one // kills), jobs * (2 * one + 1) // (2 * kills)) for one in range(kills)]


@dataclass(frozen=True)
class Kill:
    """One that was carried out."""

    what: str
    jobs: int
    """That were done by then."""
    second: float


@dataclass(eq=False)
class Kills:
    """Workers and nodes killed in turn, at counts of jobs. A worker is killed in the middle of a job."""

    cluster: RayCluster
    moments: Sequence[int]
    """Jobs after which each falls due."""
    done: list[Kill] = field(default_factory=list)
    _began: float = field(default_factory=time.monotonic)

    def look(self, jobs: int) -> None:
        """Carry out the next one if it is due; where no worker is at work it waits for the next call."""
        number = len(self.done)
        if number == len(self.moments) or jobs < self.moments[number]:
            return
        second, node = time.monotonic() - self._began, bool(number % 2)
        if node:
            self.cluster.kill_node(1 + number // 2 % (len(self.cluster.raylets) - 1))
        if node or self._kill_worker():
            self.done.append(Kill("node" if node else "worker", jobs, second))

    def hit(self, jobs: int) -> int:
        """In how many of as many equal parts of all jobs as there are kills one fell.

        Args:
            jobs: there were in all.
        """
        return len({one.jobs * len(self.moments) // jobs for one in self.done})

    def _kill_worker(self) -> bool:
        for _ in range(_LOOKS):
            for pid in self.cluster.workers():
                with suppress(ProcessLookupError):
                    os.kill(pid, SIGKILL)
                    return True
            time.sleep(_LOOK_SECONDS)
        return False
