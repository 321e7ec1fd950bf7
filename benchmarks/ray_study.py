"""A tiny study on a Ray cluster while its workers and nodes are killed, and what has come of it.

What is made is compared with what the local executor makes: each file of each artefact by SHA-256, each row
of the store by its digest.
"""

import json
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
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
_LOOK_SECONDS = 0.05


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


def run(study: Path, *options: str) -> float:
    """``cuvee run``; seconds that it took.

    Raises:
        RuntimeError: it failed.
    """
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "cuvee", "run", str(study), *options],
        env=environment, capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"cuvee run failed with {done.returncode}: {done.stderr[-2000:]}")
    return time.perf_counter() - began


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


@dataclass(eq=False)
class Kills:
    """Workers and nodes killed in turn while a command is at work."""

    cluster: RayCluster
    moments: Sequence[float]
    """Seconds after the beginning."""
    done: list[tuple[str, float]] = field(default_factory=list)
    """What was killed, and when."""
    _over: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """Meanwhile."""
        thread = threading.Thread(target=self._kill)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()

    def _kill(self) -> None:
        began = time.monotonic()
        for number, moment in enumerate(self.moments):
            if self._over.wait(max(0.0, began + moment - time.monotonic())):
                return
            if number % 2:
                node = 1 + number // 2 % (len(self.cluster.raylets) - 1)
                self.cluster.kill_node(node)
                self.done.append(("node", time.monotonic() - began))
            elif self._kill_worker():
                self.done.append(("worker", time.monotonic() - began))

    def _kill_worker(self) -> bool:
        """The first that is found in the middle of a job."""
        while not self._over.wait(_LOOK_SECONDS):
            for pid in self.cluster.workers():
                with suppress(ProcessLookupError):
                    os.kill(pid, SIGKILL)
                    return True
        return False
