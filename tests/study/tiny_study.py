"""A real study small enough for tests: four invented languages, a model of 100 000 parameters."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from cuvee.decisions.ablation.decision import Decision
from cuvee.decisions.ablation.result import LedgerRow
from cuvee.execution.local import InProcess
from cuvee.flows.ablation import flow as ablation
from cuvee.hashing import digest_file
from cuvee.progress import Silent
from cuvee.study.file.config import StudyConfig
from cuvee.study.file.folder import StudyFolder

LANGUAGES = ("ka", "lo", "mi", "nu")
_SYLLABLES = {
    "ka": "ka ke ki tak rak gar kash dra",
    "lo": "lo la le sol vel alo ulo lina",
    "mi": "mi me mo ami nim fim somi tem",
    "nu": "nu zu bu zur bun unu dub zun",
    "po": "po pa pi ope plo pip apa poro",
}
SEED_DATA: dict[str, Any] = {"learning_rate": 3e-3, "batch_tokens": 256}


class Listener(Silent):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.stages: list[str] = []
        self.said: list[str] = []

    def stage(self, title: str, total: float, unit: str) -> None:
        self.stages.append(title)

    def message(self, text: str) -> None:
        self.said.append(text)


def texts(language: str, documents: int = 60, sentences: int = 8, seed: int = 0) -> list[str]:
    """Documents of a language with its own words, in which each word has few successors."""
    rng = np.random.default_rng([seed, *language.encode()])
    syllables = _SYLLABLES[language].split()
    words = ["".join(rng.choice(syllables, size=rng.integers(1, 4))) for _ in range(30)]
    follow = rng.integers(len(words), size=(len(words), 3))
    found = []
    for _ in range(documents):
        lines = []
        for _ in range(sentences):
            word = int(rng.integers(len(words)))
            line = []
            for _ in range(int(rng.integers(4, 10))):
                line.append(words[word])
                word = int(follow[word, rng.integers(3)])
            lines.append(" ".join(line) + ".")
        found.append(" ".join(lines))
    return found


def write_texts(path: Path, documents: list[str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in documents), encoding="utf-8")
    return path


def settings(**changes: Any) -> dict[str, Any]:
    """The study file; sections given are merged into those here."""
    base: dict[str, Any] = {
        "schema": 1,
        "name": "four languages",
        "workers": 1,
        "sources": {name: f"text/{name}.jsonl" for name in LANGUAGES},
        "split": {"evaluation": 0.1, "seed": 0.3},
        "tokenizer": {"vocabulary": 300},
        "model": {"parameters": 100_000, "context_length": 32},
        "seed_training": SEED_DATA | {"tokens": 40 * 256},
        "branch_training": SEED_DATA | {"tokens": 10 * 256},
        "references": {"count": 8, "replicates": 2},
        "candidates": {"count": 20},
        "evaluation_tokens": 256,
    }
    for name, value in changes.items():
        merge = isinstance(value, Mapping) and name != "sources"
        base[name] = {**base.get(name, {}), **value} if merge else value
    return base


def write_study(root: Path, **changes: Any) -> StudyFolder:
    """The text of all languages and a ``study.yaml`` in a folder."""
    for name in LANGUAGES:
        write_texts(root / "text" / f"{name}.jsonl", texts(name))
    (root / "study.yaml").write_text(yaml.safe_dump(settings(**changes), sort_keys=False))
    # Written down, so that the study gives the same numbers on a processor that could do it otherwise.
    numerics = {"dtype": "float32", "compiled": False, "device": "cpu"}
    (root / "numerics.json").write_text(json.dumps(numerics))
    return StudyFolder(root)


def change_study(folder: StudyFolder, **changes: Any) -> None:
    (folder.root / "study.yaml").write_text(yaml.safe_dump(settings(**changes), sort_keys=False))


def run(folder: StudyFolder, listener: Listener | None = None) -> Decision:
    """Answer the study in this process."""
    return ablation.run(StudyConfig.load(folder.root), folder, listener or Silent(), InProcess())


def timeless(decision: Decision) -> str:
    """A decision as JSON text, without how long it took."""
    ledger = tuple(LedgerRow(row.stage, row.kind, row.count, row.flops) for row in decision.ledger)
    return json.dumps(replace(decision, ledger=ledger).as_json(), sort_keys=True)


def hashes(folder: Path) -> dict[str, str]:
    """Path -> content hash of everything below a folder."""
    return {
        str(file.relative_to(folder)): digest_file(file)
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def killed(
    command: str, folder: StudyFolder, due: Callable[[], bool], delay_seconds: float, *more: str
) -> bool:
    """Run a command on the study as a user does, and kill all its processes a while after it is due.

    Returns:
        Whether it was killed; False if it was done before.
    """
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "cuvee", command, str(folder.root), *more],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 240
        while process.poll() is None and time.monotonic() < deadline:
            if due():
                time.sleep(delay_seconds)
                break
            time.sleep(0.02)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        code = process.wait()
    assert code in (0, -signal.SIGKILL), "the command failed by itself"
    return code != 0
