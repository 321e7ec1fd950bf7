"""How far merges at 30 million parameters, and pools of 5 million, predict models of 30 million.

    python -m benchmarks.gpu.ablation [CORPUS] [--seconds 280]

Two studies of the same text and the same reference mixtures, one of each size, one after the other; some
eight minutes on one large GPU. With ``--seconds`` it stops after that time with status 3, and the same
command goes on from the files below ``--work``: trainings lose at most their last 20 seconds. ``CORPUS``
holds a folder a domain with ``train.jsonl.zst`` in it. The tables go to the folder that ``OUT`` names, or
beside the other benchmarks.
"""

import argparse
import math
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks import ablation_study
from benchmarks.gpu.places import pages, work_of
from benchmarks.harness import Cell, Table, write
from cuvee.execution.interface import Executor
from cuvee.execution.local import InProcess, LocalProcesses
from cuvee.flows.ablation import flow as ablation
from cuvee.honesty.agreement import HonestyReport, honesty_report
from cuvee.honesty.evidence import Evidence, single_unit_baselines
from cuvee.honesty.scopes import MACRO_IN_POOL, MACRO_OUT_OF_POOL, TARGET
from cuvee.mixture.mixture import Mixture
from cuvee.progress import Silent
from cuvee.runs.metric_names import NATS
from cuvee.runs.store import RunStore
from cuvee.study.file.config import StudyConfig
from cuvee.study.file.folder import StudyFolder
from cuvee.types import FloatArray, Json

GOES_ON = 3
"""Status of a command that ran out of time."""
TRAIN = "train.jsonl.zst"
SHARED_FOLDERS = ("tokenizers", "shards")
"""Made of the text alone, so the second study takes them over."""


@dataclass(frozen=True)
class Sizes:
    """How large the studies are; the defaults are for one large GPU and under ten minutes."""

    parameters: int = 30_000_000
    proxy_parameters: int = 5_000_000
    vocabulary: int = 4096
    context_length: int = 256
    batch_tokens: int = 16_384
    seed_steps: int = 600
    steps: int = 80
    """Of branches and references."""
    references: int = 28
    replicates: int = 4
    candidates: int = 200
    evaluation_tokens: int = 3072
    processes: int = 1
    """Models trained side by side; each process holds one and compiles for itself."""


TOY = Sizes(150_000, 100_000, 300, 32, 256, 40, 10, 8, 2, 20, 256)


def settings(sizes: Sizes, parameters: int, corpus: Path) -> Json:
    """The study file of one size; learning rates follow from the size."""
    domains = sorted(path.parent.name for path in corpus.glob(f"*/{TRAIN}"))
    outside = [name for name in domains if name in ablation_study.OUTSIDE] or domains[-len(domains) // 4 :]
    batch = {"batch_tokens": sizes.batch_tokens}
    tokens = {"tokens": sizes.steps * sizes.batch_tokens}
    return {
        "schema": 1,
        "name": f"{parameters / 1e6:g}M parameters",
        "workers": sizes.processes,
        "sources": {name: str(corpus / name / TRAIN) for name in domains},
        "pool": [name for name in domains if name not in outside],
        "split": {"evaluation": 0.05, "seed": 0.3},
        "tokenizer": {"vocabulary": sizes.vocabulary},
        "model": {"parameters": parameters, "context_length": sizes.context_length},
        "seed_training": batch | {"tokens": sizes.seed_steps * sizes.batch_tokens},
        "branch_training": batch | tokens,
        "references": {"count": sizes.references, "replicates": sizes.replicates},
        "candidates": {"count": sizes.candidates},
        "evaluation_tokens": sizes.evaluation_tokens,
    }


@dataclass(frozen=True)
class Study:
    """A finished study."""

    config: StudyConfig
    folder: StudyFolder
    seconds: float

    @classmethod
    def run(cls, config: StudyConfig, root: Path, executor: Executor) -> "Study":
        """Run it, or go on with it."""
        began = time.monotonic()
        folder = StudyFolder(root)
        ablation.run(config, folder, Silent(), executor)
        return cls(config, folder, time.monotonic() - began)

    def losses(self, mixtures: Sequence[Mixture], kind: str, role: str) -> FloatArray:
        """Nats per token [R, E] of what was measured for mixtures of the pool."""
        names = self.config.pool_sources
        metrics = [NATS + name for name in self.config.evaluation_sets]
        with RunStore(self.folder.store) as store:
            rows = store.observations(sources=names, metrics=metrics, kind=kind, role=role)
        by_key = {mixture.key: values for mixture, values in zip(rows.mixtures(), rows.values, strict=True)}
        return np.array([by_key[mixture.key] for mixture in mixtures])

    def trained(self, role: str) -> list[Mixture]:
        """The mixtures that models of a role were trained on."""
        with RunStore(self.folder.store) as store:
            return store.observations(sources=self.config.pool_sources, kind="trained", role=role).mixtures()


def evidence(big: Study, small: Study) -> Evidence:
    """What both pools, and small models really trained, say of the large references."""
    references, replicated = big.trained("reference"), big.trained("replicate")
    names = big.config.pool_sources
    shares = np.stack([mixture.shares for mixture in references])
    units = big.losses([Mixture.vertex(names, name) for name in names], "trained", "branch")
    truth = big.losses(references, "trained", "reference")
    rows = [[one.key for one in references].index(mixture.key) for mixture in replicated]
    again = big.losses(replicated, "trained", "replicate") if replicated else np.empty((0, truth.shape[1]))
    pairs = [(row, np.stack([truth[row], losses])) for row, losses in zip(rows, again, strict=True)]
    for row, both in pairs:
        truth[row] = both.mean(axis=0)
    proxies = {
        f"{study.config.name}: {what}": study.losses(references, kind, "reference")
        for study in (big, small)
        for what, kind in (("merge", "merged"), ("ensemble", "ensembled"), ("trained", "trained"))
        if study is small or kind != "trained"
    }
    own = [names.index(source) if source else -1 for source in big.config.own_sources.values()]
    return Evidence(
        sources=names,
        evaluations=tuple(big.config.evaluation_sets),
        shares=shares,
        truth=truth,
        proxies=proxies,
        baselines=single_unit_baselines(units, shares),
        own=np.array(own),
        replicates=tuple(pairs),
        target=np.array(list(big.config.target_weights.values())),
    )


def fidelity_table(report: HonestyReport, big: Study, small: Study) -> Table:
    """One row a proxy or baseline, scope and subset."""
    wanted = (TARGET, MACRO_IN_POOL, MACRO_OUT_OF_POOL)
    rows: list[tuple[Cell, ...]] = []
    for row in report.rows:
        if row.scope in wanted:
            numbers = (
                row.pearson.value, row.pearson.low, row.pearson.high, row.spearman.value, row.pairs.value,
                row.partial.value, row.regret.value, row.ceiling,
            )  # fmt: skip
            rows.append((row.subset, row.scope, row.proxy, row.n, *(_number(value) for value in numbers)))
    return Table(
        f"What predicts models of {big.config.name}",
        (
            "references", "scope", "proxy", "n", "r", "low", "high", "rho", "pairs ordered", "partial r",
            "regret, nats", "ceiling of r",
        ),
        tuple(rows),
        (
            "Intervals are 95 % bootstraps over references. partial r: the number of parts held fixed. The "
            "ceiling is what a perfect proxy would reach, given what retraining alone changes. "
            f"Branches and references: {big.config.reference_training.tokens:,} tokens each; seed models: "
            f"{big.config.seed_training.tokens:,}. Wall time {big.seconds:.0f} s ({big.config.name}) and "
            f"{small.seconds:.0f} s ({small.config.name}), preparing the text included in the first.",
        ),
    )  # fmt: skip


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def main(sizes: Sizes, corpus: Path, work: Path, folder: Path) -> None:
    """Run both studies and write the tables."""
    executor: Executor = InProcess() if sizes.processes == 1 else LocalProcesses(sizes.processes)
    configs = [
        StudyConfig.parse(settings(sizes, parameters, corpus.absolute()), work)
        for parameters in (sizes.parameters, sizes.proxy_parameters)
    ]
    big = Study.run(configs[0], work / "reference", executor)
    proxy = work / "proxy"
    for name in SHARED_FOLDERS:
        shutil.copytree(big.folder.root / name, proxy / name, dirs_exist_ok=True)
    shutil.copyfile(big.folder.root / "references.json", proxy / "references.json")
    small = Study.run(configs[1], proxy, executor)
    report = honesty_report(evidence(big, small), seed=0)
    write(
        "gpu_ablation",
        "Do merges predict training at 30 million parameters, and do pools of 5 million predict it too?",
        [fidelity_table(report, big, small)],
        command="python -m benchmarks.gpu.ablation",
        folder=folder,
    )


class OutOfTime(BaseException):
    """The time that was given is over. No error: what is made stays, and is gone on with."""


def stop_after(seconds: int) -> None:
    """Raise ``OutOfTime`` here after so many seconds."""

    def stop(number: int, frame: object) -> None:
        raise OutOfTime

    signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)


def parse(arguments: Sequence[str] | None = None) -> tuple[Sizes, Path, Path, Path]:
    """Sizes, corpus, and the folders of models and tables from the command line; the time that it gives
    begins to run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("corpus", nargs="?", type=Path, default=ablation_study.SHARED / "corpus_large")
    parser.add_argument("--seconds", type=int, default=0, help="stop after so many; 0: never")
    parser.add_argument("--toy", action="store_true", help="toy sizes")
    parser.add_argument("--work", type=Path, help="where models are kept")
    for name in vars(Sizes()):
        parser.add_argument(f"--{name.replace('_', '-')}", type=int)
    given = vars(parser.parse_args(arguments))
    corpus, work, seconds, toy = (given.pop(name) for name in ("corpus", "work", "seconds", "toy"))
    if seconds:
        stop_after(seconds)
    sizes = replace(TOY if toy else Sizes(), **{name: one for name, one in given.items() if one is not None})
    return sizes, corpus, work_of(work, toy), pages(toy)


if __name__ == "__main__":
    try:
        main(*parse())
    except OutOfTime:
        sys.exit(GOES_ON)
