"""Does simulated epoching matter? Six real domains, one of them with so little text that it is read often.

The long run is trained at several shares of the scarce source, and so is a run of a quarter of its length:
once reading a quarter of every source (simulated epoching), once all of it. The question is which of the two
predicts where the long run is best. Used by ``make bench-scale``; models lie under ``.bench/scarce``.
"""

import json
from dataclasses import dataclass

import numpy as np

from benchmarks.ablation_study import POOL, ROOT, SHARED
from cuvee.files import write_text
from cuvee.mixture.mixture import Mixture
from cuvee.progress import Progress
from cuvee.runs.metric_names import NATS
from cuvee.sources.readers import SourceSpec, read_source
from cuvee.study.file.config import StudyConfig
from cuvee.study.file.folder import StudyFolder
from cuvee.study.opening import opened
from cuvee.study.plan.planned import Planned
from cuvee.study.producers.trained import Trainings
from cuvee.study.runner import Runner
from cuvee.types import FloatArray, Json

WORK = ROOT / ".bench" / "scarce"
SCARCE = "medical"
SCARCE_BYTES = 80_000
TARGET_TOKENS = 900_000
PROXY_TOKENS = TARGET_TOKENS // 4
SHARES = (0.05, 0.1, 0.2, 0.35, 0.55)
SEEDS = 2
_MEASURED = "medical_text"


@dataclass(frozen=True, eq=False)
class Losses:
    """Target losses [shares, seeds] of one way of training, and how often it read the scarce source."""

    way: str
    target: FloatArray
    scarce: FloatArray
    """Loss on the scarce source's own kind of text."""
    epochs: FloatArray
    """[shares]."""


def settings(matched: bool) -> Json:
    """The study file."""
    others = {name: str(SHARED / "corpus" / name / "train.jsonl.zst") for name in POOL if name != SCARCE}
    weights = {_MEASURED: 5.0} | dict.fromkeys(others, 1.0)
    return {
        "schema": 1,
        "name": "a scarce source",
        "seed": 0,
        "workers": 2,
        "sources": others | {SCARCE: str(WORK / "scarce.jsonl")},
        "evaluations": {_MEASURED: {"paths": str(SHARED / "corpus" / SCARCE / "val.jsonl.zst")}},
        "tokenizer": {"vocabulary": 1024},
        "model": {"parameters": 400_000, "context_length": 64},
        "seed_training": {"tokens": 1024, "batch_tokens": 1024},
        "branch_training": {"tokens": 1024, "schedule": "linear", "snapshots": []},
        "references": {"count": 0, "replicates": 0},
        "target": {"weights": weights},
        "target_run": {"tokens": TARGET_TOKENS, "max_epochs": 100, "simulated_epoching": matched},
        "evaluation_tokens": 2048,
    }


def measured(progress: Progress) -> list[Losses]:
    """Train what is missing and measure."""
    _write_scarce()
    found = []
    for way, matched, tokens in (
        ("the long run", True, TARGET_TOKENS),
        ("a quarter, simulated epoching", True, PROXY_TOKENS),
        ("a quarter, all text", False, PROXY_TOKENS),
    ):
        config = StudyConfig.parse(settings(matched), ROOT)
        with opened(config, StudyFolder(WORK), progress) as runner:
            found.append(_losses(way, runner, tokens))
    return found


def _losses(way: str, runner: Runner, tokens: int) -> Losses:
    plan, names = runner.plan, runner.plan.config.pool_sources
    planned = [
        Planned(plan.alone(mixture, plan.model, tokens, tokens, seed), "scarce", mixture)
        for mixture in (_mixture(names, share) for share in SHARES)
        for seed in range(SEEDS)
    ]
    observed = runner.observe(Trainings(plan, way), planned)
    weights = np.array(list(plan.config.target_weights.values()))
    measured = observed.values_of(NATS).reshape(len(SHARES), SEEDS, -1)
    place = list(plan.config.evaluation_sets).index(_MEASURED)
    text = sum(len(shard.tokens) for shard in plan.material.training_shards(SCARCE))
    parts = [one.run.fractions.get(SCARCE, 1.0) for one in planned[::SEEDS]]
    epochs = np.array(SHARES) * tokens / (text * np.array(parts))
    return Losses(way, measured @ weights, measured[:, :, place], epochs)


def _mixture(names: tuple[str, ...], share: float) -> Mixture:
    rest = (1.0 - share) / (len(names) - 1)
    return Mixture.of({name: share if name == SCARCE else rest for name in names})


def _write_scarce() -> None:
    """The first documents of the domain as a file of its own."""
    file = WORK / "scarce.jsonl"
    if file.is_file():
        return
    WORK.mkdir(parents=True, exist_ok=True)
    whole = str(SHARED / "corpus" / SCARCE / "train.jsonl.zst")
    documents = read_source(SourceSpec(name=SCARCE, paths=(whole,), max_bytes=SCARCE_BYTES))
    write_text(file, "".join(json.dumps({"text": one.text}) + "\n" for one in documents))
