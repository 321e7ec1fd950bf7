"""What a study costs, what a new source adds to that, and whether being killed changes anything.

A small study of its own in ``.bench/economy``: five domains, then a sixth. The study runs in other
processes (``python -m benchmarks.economy run FOLDER``), which are killed at random moments.
"""

import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import yaml

from benchmarks import ablation_study
from benchmarks.harness import FOLDER, Cell, Table, write
from cuvee.execution.interface import Item, Job, OnProgress, Report, Result
from cuvee.execution.local import InProcess, LocalProcesses
from cuvee.files import write_text
from cuvee.flows.ablation import flow as ablation
from cuvee.progress import Silent
from cuvee.runs.roles import FRESH
from cuvee.runs.store import RunStore
from cuvee.study.file.config import StudyConfig
from cuvee.study.file.edit import append_source
from cuvee.study.file.folder import CONFIG_NAME, StudyFolder
from cuvee.study.ledger import proxy_over_direct
from cuvee.study.plan.material import prepare_material
from cuvee.study.plan.plan import Plan
from cuvee.training import loop
from cuvee.types import Json

WORK = ablation_study.ROOT / ".bench" / "economy"
DOMAINS = ("novels", "legal", "german", "gsm8k", "medical")
ADDED = "chess"
CHARACTERS = 600_000
"""Text taken of each domain."""
KILLS = 10
SAVE_SECONDS = 0.5
"""How often a training under way is saved here; in a study every 20 seconds, longer than these trainings."""
COMMAND = (sys.executable, "-m", "benchmarks.economy", "run")
"""Runs the study of the folder that stands behind it."""
GOALS = {16: 0.75, 500: 1 / 15}
"""Numbers of mixtures, and the share of the FLOPs of training them all that proxies may cost."""


def settings(domains: Sequence[str] = DOMAINS) -> Json:
    """The study file, with paths from a folder beside ``corpus``."""
    batch = {"learning_rate": 3e-3, "batch_tokens": 1024}
    return {
        "schema": 1,
        "name": "economy",
        "workers": 2,
        "sources": {name: f"../corpus/{name}.jsonl" for name in domains},
        "tokenizer": {"vocabulary": 1024},
        "model": {"parameters": 300_000, "context_length": 64},
        "seed_training": batch | {"tokens": 200_000},
        "branch_training": batch | {"tokens": 60_000},
        "references": {"count": 5, "replicates": 1},
        "candidates": {"count": 40},
        "evaluation_tokens": 512,
    }


@dataclass(frozen=True)
class OftenSaving:
    """Worker processes that save a training every ``SAVE_SECONDS``."""

    processes: LocalProcesses

    def map(
        self, job: Job[Item, Result], items: Sequence[Item], on_progress: OnProgress | None = None
    ) -> Iterator[tuple[int, Result]]:
        """See ``Executor.map``."""
        return self.processes.map(partial(saving_often, job), items, on_progress)


def saving_often(job: Job[Item, Result], item: Item, report: Report) -> Result:
    """The job in a process that saves more often."""
    loop.SAVE_EVERY_SECONDS = SAVE_SECONDS
    return job(item, report)


def run_study(root: Path) -> None:
    """Run the study that lies in a folder, or go on with it."""
    config = StudyConfig.load(root)
    folder = StudyFolder.of(root)
    with folder.locked():
        ablation.run(config, folder, executor=OftenSaving(LocalProcesses(config.workers)))


def new_study(root: Path, domains: Sequence[str] = DOMAINS) -> Path:
    """An empty folder with only the study file."""
    shutil.rmtree(root, ignore_errors=True)
    write_text(root / CONFIG_NAME, yaml.safe_dump(settings(domains), sort_keys=False))
    return root


def write_corpus(folder: Path, domains: Sequence[str], characters: int) -> None:
    """The first documents of each domain."""
    for name in domains:
        lines: list[str] = []
        size = 0
        source = ablation_study.SHARED / "corpus" / name / "train.jsonl.zst"
        with pa.input_stream(str(source), compression="detect") as stream:
            for line in io.TextIOWrapper(stream, encoding="utf-8"):
                lines.append(line)
                size += len(json.loads(line)["text"])
                if size >= characters:
                    break
        write_text(folder / f"{name}.jsonl", "".join(lines))


@dataclass(frozen=True)
class Print:
    """The bytes of everything that a study has made, but for times and the database's own layout."""

    observations: bytes
    """Of the store, as CSV."""
    checkpoints: dict[str, str]
    """File -> SHA-256."""
    others: dict[str, str]
    """Of tokenizers, shards, pools, ensembles, fits and chosen references."""
    leftovers: int
    """Temporary files and folders of processes that were killed."""

    @classmethod
    def of(cls, root: Path) -> "Print":
        """Read a study's folder."""
        table = root.parent / f"{root.name}.csv"
        with RunStore(StudyFolder(root).store) as store:
            store.observations().write_csv(table)
        hashes = {}
        kept = {".lock", ".observed"}  # by which commands know of each other
        leftovers = {
            path for path in root.rglob(".*") if path.name not in kept and not path.name.startswith(".store")
        }
        for path in sorted(root.rglob("*")):
            name = str(path.relative_to(root))
            hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
            if path.is_file() and not hidden and not name.startswith(("store.sqlite", CONFIG_NAME)):
                hashes[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        models = {name: value for name, value in hashes.items() if name.startswith("checkpoints/")}
        others = {name: value for name, value in hashes.items() if name not in models}
        return cls(table.read_bytes(), models, others, len(leftovers))

    def differences(self, other: "Print") -> tuple[int, int, int]:
        """Lines of observations, checkpoint files and other files that are not the same in both."""
        lines = set(self.observations.splitlines()) ^ set(other.observations.splitlines())
        unequal = max(len(lines), int(self.observations != other.observations))
        models = set(self.checkpoints.items()) ^ set(other.checkpoints.items())
        return unequal, len(models), len(set(self.others.items()) ^ set(other.others.items()))


def attempt(root: Path, seconds: float | None = None) -> tuple[bool, float]:
    """Run a study in a process group of its own; kill all of it after ``seconds``.

    Returns:
        Whether it came to its end, and the seconds it took.

    Raises:
        RuntimeError: the study failed.
    """
    began = time.monotonic()
    process = subprocess.Popen(
        [*COMMAND, str(root)],
        cwd=ablation_study.ROOT,
        start_new_session=True,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        _, printed = process.communicate(timeout=seconds)
    except BaseException as error:  # an interrupted benchmark must not leave its study running
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        if not isinstance(error, subprocess.TimeoutExpired):
            raise
        return False, time.monotonic() - began
    if process.returncode:
        raise RuntimeError(f"{root}: the study ended with {process.returncode}: {printed[-2000:]}")
    return True, time.monotonic() - began


def runs_done(root: Path) -> int:
    """Rows in the store so far."""
    file = StudyFolder(root).store
    if not file.exists():
        return 0
    with RunStore(file) as store:
        return len(store.keys())


def killed(work: Path, whole: Print, seconds: float, kills: int, domains: Sequence[str]) -> Table:
    """Kill and resume studies until ``kills`` attempts were killed; compare each with the unkilled one.

    The moments are uniform over the duration of the unkilled run. An attempt that comes to its end
    before its moment closes the study, and the next begins a new one.
    """
    rng = np.random.default_rng(0)
    rows: list[tuple[Cell, ...]] = []
    number = done = 0
    moments: list[str] = []
    root = new_study(work / f"killed-{number}", domains)
    while True:
        moment = float(rng.uniform(0, seconds)) if done < kills else None
        finished, _ = attempt(root, moment)
        if not finished:
            done += 1
            moments.append(f"{moment:.0f} s ({runs_done(root)} rows)")
            continue
        if moments:
            found = Print.of(root)
            rows.append((number, "; ".join(moments), *whole.differences(found), found.leftovers))
        if done >= kills:
            break
        number += 1
        moments = []
        root = new_study(work / f"killed-{number}", domains)
    holds = not any(sum(int(cell) for cell in row[2:5] if isinstance(cell, int)) for row in rows)
    return Table(
        f"{kills} kills",
        (
            "study", "killed after (rows in the store)", "lines of observations that differ",
            "checkpoint files that differ", "other files that differ", "leftovers",
        ),
        tuple(rows),
        (
            f"The whole process group is killed (SIGKILL) at moments uniform over the {seconds:.0f} s of an "
            "unkilled run, and the study is started again. Observations are the store's CSV; of checkpoints "
            "and of all other files (tokenizer, shards, pools, ensembles, fits) the SHA-256 is compared. All "
            f"bytes equal: {'yes' if holds else 'NO'}. Leftovers are temporary files of killed processes.",
        ),
    )  # fmt: skip


def sixth_source(root: Path, before: Print) -> Table:
    """Add a source, run again, and see what was made and what has changed."""
    with RunStore(StudyFolder(root).store) as store:
        rows_before = {run.key: run.content() for run in store.runs()}
    append_source(root / CONFIG_NAME, ADDED, [f"../corpus/{ADDED}.jsonl"])
    _, seconds = attempt(root)
    after = Print.of(root)
    with RunStore(StudyFolder(root).store) as store:
        runs = {run.key: run for run in store.runs()}
    new = [run for key, run in runs.items() if key not in rows_before]
    folders = {name.split("/")[1] for name in after.checkpoints} - {
        name.split("/")[1] for name in before.checkpoints
    }
    changed = sum(after.checkpoints.get(name) != value for name, value in before.checkpoints.items())
    rows_changed = sum(
        key not in runs or runs[key].content() != content for key, content in rows_before.items()
    )
    fresh = sum(run.kind == "trained" and run.role == FRESH for run in new)
    again = sum(run.kind == "trained" and run.role != "snapshot" for run in new) - len(folders)
    scored = sum(run.kind != "trained" for run in new)
    return Table(
        "A sixth source",
        ("what", "number", "goal", "holds"),
        (
            (
                "models trained besides the check (new checkpoints by hash)",
                len(folders) - fresh,
                "1",
                "yes" if len(folders) - fresh == 1 else "NO",
            ),
            ("fresh trainings of the new pick and the baselines", fresh, "", ""),
            ("old checkpoint files changed or gone", changed, "0", "yes" if not changed else "NO"),
            ("old rows of the store changed or gone", rows_changed, "0", "yes" if not rows_changed else "NO"),
            ("old models measured again, on the new evaluation too", again, "", ""),
            ("mixtures scored", scored, "", ""),
            ("seconds", seconds, "", ""),
        ),
    )


def costs(config: StudyConfig, folder: StudyFolder) -> dict[str, float]:
    """FLOPs of proxies over FLOPs of training every mixture, the seed left out."""
    material = prepare_material(config, folder, InProcess(), Silent())
    plan = Plan.of(config, folder, material)
    with RunStore(folder.store) as store:
        return proxy_over_direct(store, plan)


def main_study_is_finished() -> bool:
    """Whether ``make bench-ablation`` has been run."""
    file = StudyFolder(ablation_study.WORK).store
    if not file.exists():
        return False
    with RunStore(file) as store:
        references = store.runs(kind="trained", role=("reference", "replicate"))
        scored = store.runs(kind="ensembled")
    return len(references) >= ablation_study.REFERENCES + ablation_study.REPLICATES and len(scored) > 0


def ledger_table(studies: dict[str, dict[str, float]]) -> Table:
    """Costs beside their goals."""
    rows: list[tuple[Cell, ...]] = []
    for study, ratios in studies.items():
        for name, ratio in ratios.items():
            goal = GOALS[int(name.split()[0])]
            rows.append((study, name, ratio, goal, "yes" if ratio <= goal else "NO"))
    return Table(
        "FLOPs of proxies over FLOPs of training every mixture",
        ("study", "mixtures", "ratio", "goal: at most", "holds"),
        tuple(rows),
        ("Branches, and scoring; the seed model is needed by both and left out.",),
    )


def main(
    work: Path = WORK,
    domains: Sequence[str] = DOMAINS,
    characters: int = CHARACTERS,
    kills: int = KILLS,
    folder: Path = FOLDER,
) -> None:
    """Measure all and write the tables."""
    write_corpus(work / "corpus", (*domains, ADDED), characters)
    root = new_study(work / "whole", domains)
    _, seconds = attempt(root)
    whole = Print.of(root)
    studies = {"economy": costs(StudyConfig.load(root), StudyFolder.of(root))}
    kill_table = killed(work, whole, seconds, kills, domains)
    added = sixth_source(root, whole)
    if main_study_is_finished():
        studies["ablation"] = costs(ablation_study.config(), StudyFolder(ablation_study.WORK))
    write(
        "economy",
        "What do proxies cost beside training, what does a new source cost, does being killed change a byte?",
        [added, kill_table, ledger_table(studies)],
        folder=folder,
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["run"]:
        run_study(Path(sys.argv[2]))
    else:
        main()
