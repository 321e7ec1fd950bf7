"""How long a small study takes on a GPU, from the command to the report, and does it say the same twice?

    python -m benchmarks.gpu.study [CORPUS]               all parts that have no result yet, then the tables
    python -m benchmarks.gpu.study [CORPUS] --part cold   one of them; each takes under two minutes

Parts: ``cold`` has nothing compiled; ``warm`` has the kernels of the study before it; ``killed`` is killed
while it trains its mixtures, and gone on with. Each is ``cuvee run`` in processes of its own. What a part
found lies in ``.bench/gpu/study-PART.json``. ``CORPUS`` holds a folder a domain with ``train.jsonl.zst`` in
it.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml

from benchmarks import ablation_study
from benchmarks.gpu.busy import Busy
from benchmarks.gpu.places import pages, work_of
from benchmarks.harness import Cell, Table, machine, write
from cuvee.files import write_json
from cuvee.models.llama import KERNELS
from cuvee.runs.store import RunStore
from cuvee.study.file.folder import StudyFolder
from cuvee.types import Json

COLD, WARM, KILLED = "cold", "warm", "killed"
PARTS = (COLD, WARM, KILLED)
TRAIN = "train.jsonl.zst"
BATCH_TOKENS = 8192
KILLED_IN, KILLED_AFTER_SECONDS = "training branches and references", 1.0
_STAGE = re.compile(r"([a-z][a-z ,()]+): [\d.]+[kMGT]? (?!of )\w+$")
GOALS = {COLD: 60, WARM: 25}
"""Seconds."""


@dataclass(frozen=True)
class Sizes:
    """Of the study: 16 trainings and some 67 merges, 8.3 million tokens in all."""

    parameters: int = 1_300_000
    vocabulary: int = 4096
    context_length: int = 256
    batch_tokens: int = BATCH_TOKENS
    seed_steps: int = 240
    steps: int = 48
    references: int = 12
    candidates: int = 50
    evaluation_tokens: int = 8192


TOY = Sizes(120_000, 300, 32, 256, 30, 8, 6, 8, 256)


def settings(sizes: Sizes, corpus: Path) -> Json:
    """The study file: at most six domains, two of them outside the pool."""
    domains = sorted(path.parent.name for path in corpus.glob(f"*/{TRAIN}"))
    outside = [name for name in domains if name in ablation_study.OUTSIDE] or domains[-1:]
    inside = [name for name in domains if name not in outside][:4]
    batch = {"batch_tokens": sizes.batch_tokens}
    return {
        "schema": 1,
        "name": "a small study",
        "sources": {name: str(corpus / name / TRAIN) for name in (*inside, *outside)},
        "pool": inside,
        "tokenizer": {"vocabulary": sizes.vocabulary},
        "model": {"parameters": sizes.parameters, "context_length": sizes.context_length},
        "seed_training": batch | {"tokens": sizes.seed_steps * sizes.batch_tokens},
        "branch_training": batch | {"tokens": sizes.steps * sizes.batch_tokens},
        "references": {"count": sizes.references, "replicates": 0},
        "order": None,
        "candidates": {"count": sizes.candidates},
        "evaluation_tokens": sizes.evaluation_tokens,
    }


@dataclass(frozen=True)
class Carried:
    """What one command took."""

    seconds: float
    status: int
    stages: tuple[tuple[str, float], ...]
    """Each with the second of its first line."""
    last: str
    """The end of what it wrote."""


def command(folder: Path, kill: bool = False) -> Carried:
    """``cuvee run`` on a study, killed after a second of training its mixtures if asked."""
    began, lines = time.monotonic(), []
    stages: list[tuple[str, float]] = []
    arguments = [sys.executable, "-m", "cuvee", "run", str(folder)]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        arguments, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            now = time.monotonic() - began
            lines.append(line.rstrip())
            if stage := _STAGE.match(line):
                stages.append((stage[1], now))
                if kill and stage[1] == KILLED_IN:
                    threading.Timer(KILLED_AFTER_SECONDS, process.kill).start()
    return Carried(time.monotonic() - began, process.returncode, tuple(stages), "\n".join(lines[-12:]))


def prepared(root: Path, sizes: Sizes, corpus: Path, numerics: Json | None, kernels: Path | None) -> Path:
    """A new study, with kernels of another if asked."""
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    (root / "study.yaml").write_text(yaml.safe_dump(settings(sizes, corpus.absolute())), encoding="utf-8")
    if numerics is not None:
        write_json(root / "numerics.json", numerics)
    if kernels is not None and kernels.is_dir():
        shutil.copytree(kernels, root / "kernels")
    return root


def losses(root: Path) -> dict[str, Any]:
    """Every run of a study with its losses."""
    with RunStore(StudyFolder(root).store) as store:
        return {run.key: dict(run.metrics) for run in store.runs()}


def measured(part: str, work: Path, sizes: Sizes, corpus: Path, numerics: Json | None) -> Json:
    """Run one part."""
    cold = work / "study" / COLD
    root = prepared(
        work / "study" / part, sizes, corpus, numerics, None if part == COLD else cold / "kernels"
    )
    device, busy = torch.device("cuda" if torch.cuda.is_available() else "cpu"), Busy()
    killed = command(root, kill=True) if part == KILLED else None
    with busy.watching(device):
        ended = command(root)
    if ended.status:
        raise RuntimeError(f"{part}: cuvee run ended with {ended.status}\n{ended.last}")
    found, before = losses(root), losses(cold)
    return {
        "machine": machine(),
        "numerics": json.loads((root / "numerics.json").read_text(encoding="utf-8")),
        "seconds": ended.seconds,
        "killed_after": None if killed is None else killed.seconds,
        "stages": ended.stages,
        "busy": busy.share,
        "runs": len(found),
        "same": sum(before.get(key) == values for key, values in found.items()),
    }


def tables(found: dict[str, Json]) -> list[Table]:
    """Seconds and sameness."""
    rows: list[tuple[Cell, ...]] = [
        (
            part, one["seconds"], GOALS.get(part), one["busy"], one["runs"], one["same"],
            json.dumps(one["numerics"]), one["machine"]["accelerator"],
        )
        for part, one in found.items()
    ]  # fmt: skip
    stages = [
        (part, title, second) for part, one in found.items() for title, second in one["stages"] if second > 0
    ]
    note = (
        "Same: runs whose losses are those of the cold study to the bit. The killed study is timed from its "
        "second command."
    )
    columns = ("part", "seconds", "goal", "busy", "runs", "same as cold", "numerics", "device")
    return [
        Table("A small study, end to end", columns, tuple(rows), (note,)),
        Table("When each stage began", ("part", "stage", "second"), tuple(stages)),
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is missing, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("corpus", nargs="?", type=Path, default=ablation_study.SHARED / "corpus")
    parser.add_argument("--part", action="append", choices=PARTS)
    parser.add_argument("--stacked", type=int, help="models in a stack; by default what cuvee chooses")
    parser.add_argument("--toy", action="store_true")
    parser.add_argument("--work", type=Path)
    asked = parser.parse_args(arguments)
    work = work_of(asked.work, asked.toy)
    numerics = None
    if asked.stacked is not None:
        numerics = {
            "dtype": "bfloat16", "compiled": True, "device": "cuda", "stacked": asked.stacked,
            "kernels": KERNELS,
        }  # fmt: skip
    for part in asked.part or PARTS:
        file = work / f"study-{part}.json"
        if not file.is_file():
            sizes = TOY if asked.toy else Sizes()
            write_json(file, measured(part, work, sizes, asked.corpus, numerics))
        print(file.read_text(encoding="utf-8"))
    files = {part: work / f"study-{part}.json" for part in PARTS}
    found = {
        part: json.loads(file.read_text(encoding="utf-8")) for part, file in files.items() if file.is_file()
    }
    question = "How long does a small study take on a GPU, and does it say the same twice?"
    write(
        "gpu_study", question, tables(found), command="make bench-gpu-study",
        folder=pages(asked.toy), host=next(iter(found.values()))["machine"],
    )  # fmt: skip


if __name__ == "__main__":
    main()
