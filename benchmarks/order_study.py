"""The study behind ``make bench-order``: six real domains, of which sixteen triples are mixed.

All mixtures have three domains in equal shares: with other numbers of them, that number alone would order
most mixtures. Needs the folder of real text that ``CUVEE_SHARED`` names (default ``../shared``).
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.ablation_study import POOL, ROOT, SHARED
from cuvee.mixture import designs
from cuvee.mixture.mixture import Mixture
from cuvee.study.file.config import StudyConfig
from cuvee.study.file.folder import StudyFolder
from cuvee.study.plan.plan import Plan
from cuvee.types import Json

WORK = ROOT / ".bench" / "order"
"""Where everything is kept, so that the benchmark can be stopped and gone on with."""
STEPS, SEED_STEPS, BATCH_TOKENS = 150, 800, 2048


@dataclass(frozen=True)
class OrderCell:
    """One way to train all mixtures."""

    parameters: float
    """Factor of the study's model."""
    learning_rate: float
    replica: int
    """Of its own: with the data in one order, cells would agree by more than what the mixtures do."""

    def plan(self, plan: Plan) -> Plan:
        """The study's, with references trained this way."""
        other = plan.varied(parameters=self.parameters)
        training = other.config.reference_training.model_copy(update={"learning_rate": self.learning_rate})
        return replace(other, config=other.config.model_copy(update={"reference_training": training}))


@dataclass(frozen=True)
class OrderStudy:
    """What is trained."""

    config: StudyConfig
    folder: StudyFolder
    parameters: tuple[float, ...] = (1.0, 0.23)
    """Factors of the study's model."""
    learning_rates: tuple[float, ...] = (2e-3, 5e-4)
    """Of the mixtures; the first one is the usual rate."""
    seeds: int = 2
    branch_rates: tuple[float, ...] = (2e-3, 5e-4, 1e-5, 1e-6)
    """Of the pools, which have the size of the study."""
    sources_each: int = 3
    """Of a mixture."""
    mixtures_most: int = 16

    @classmethod
    def whole(cls) -> "OrderStudy":
        """At the size of the benchmark."""
        return cls(StudyConfig.parse(settings(), ROOT), StudyFolder(WORK))

    @property
    def mixtures(self) -> list[Mixture]:
        """Equal shares of some sources, chosen at random."""
        names, rng = self.config.pool_sources, np.random.default_rng(0)
        return designs.subsets(names, [self.sources_each], limit=self.mixtures_most, rng=rng)

    @property
    def cells(self) -> list[OrderCell]:
        """Sizes, learning rates and seeds, the seeds of one way side by side."""
        ways = [(size, rate) for size in self.parameters for rate in self.learning_rates]
        return [
            OrderCell(*way, place * self.seeds + seed)
            for place, way in enumerate(ways)
            for seed in range(self.seeds)
        ]


def settings() -> Json:
    """The study file."""
    training = {"tokens": STEPS * BATCH_TOKENS, "learning_rate": 2e-3, "batch_tokens": BATCH_TOKENS}
    return {
        "schema": 1,
        "name": "order of six domains",
        "seed": 0,
        "workers": 2,
        "sources": {name: str(SHARED / "corpus" / name / "train.jsonl.zst") for name in POOL},
        "split": {"evaluation": 0.05, "seed": 0.4},
        "tokenizer": {"vocabulary": 2048},
        "model": {"parameters": 1_300_000, "context_length": 128},
        "seed_training": training | {"tokens": SEED_STEPS * BATCH_TOKENS},
        "branch_training": training | {"snapshots": []},
        "reference_training": training,
        "references": {"count": 0, "replicates": 0},
        "evaluation_tokens": 8192,
    }


def float32_file(folder: StudyFolder, pool: str) -> Path:
    """Where the losses of a pool's merges and ensembles in float32 are kept."""
    return folder.root / "float32" / f"{pool}.json"
