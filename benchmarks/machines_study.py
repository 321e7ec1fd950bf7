"""The studies behind ``make bench-machines``: pools of given checkpoints, whole and as adapters.

A study has one checkpoint, one set of references that are trained whole, and several pools of the same
branches. Needs the folder of real text that ``CUVEE_SHARED`` names (default ``../shared``).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.ablation_study import OUTSIDE, POOL, ROOT, SHARED
from benchmarks.machines_seeds import GPT2, LLAMA, POSITIONS, Halves, Pretraining, Shape
from cuvee.study.file.config import StudyConfig
from cuvee.study.file.folder import StudyFolder
from cuvee.types import Json

WORK = ROOT / ".bench" / "machines"
"""Where models are kept, so that the benchmark can be stopped and gone on with."""


@dataclass(frozen=True)
class BranchKind:
    """One way to make the branches of a pool."""

    name: str
    branches: Mapping[str, float]
    """What differs in ``branch_training``."""
    rank: int | None = None
    """Of adapters; None trains whole models."""


@dataclass(frozen=True)
class MachinesStudy:
    """What is trained on one corpus."""

    corpus: Path
    """A folder for each domain, with ``train.jsonl.zst`` in it."""
    work: Path
    names: tuple[str, ...] = POOL
    outside: tuple[str, ...] = OUTSIDE
    shapes: tuple[Shape, ...] = (GPT2, LLAMA)
    kinds: tuple[BranchKind, ...] = (
        BranchKind("whole", {"learning_rate": 1e-3}),
        BranchKind("adapters, rank 16", {"learning_rate": 1e-2}, 16),
        BranchKind("adapters, rank 4", {"learning_rate": 1e-2}, 4),
    )
    pretraining: Pretraining = field(default_factory=Pretraining)
    bytes_each: int = 3_000_000
    """Of a half of a domain."""
    tokens: int = 150 * 2048
    """Of a branch and of a reference."""
    batch_tokens: int = 2048
    learning_rate: float = 1e-3
    """Of references."""
    references: int = 32
    replicates: int = 6
    evaluation_tokens: int = 32_768
    workers: int = 2

    @classmethod
    def whole(cls) -> "MachinesStudy":
        """At the size of the benchmark."""
        return cls(SHARED / "corpus_large", WORK)

    @property
    def halves(self) -> Halves:
        """The text, dealt once."""
        return Halves.of(self.corpus, self.work / "text", (*self.names, *self.outside), self.bytes_each)

    def seed_folder(self, shape: Shape) -> Path:
        """Where a checkpoint lies."""
        return self.work / "seeds" / shape.kind

    def folder(self, shape: Shape) -> StudyFolder:
        """Where the study of a checkpoint lies."""
        return StudyFolder(self.work / shape.kind)

    def config(self, shape: Shape, kind: BranchKind) -> StudyConfig:
        """The study file of a pool; references are the same for all pools of a checkpoint."""
        training = {"tokens": self.tokens, "batch_tokens": self.batch_tokens}
        model: Json = {"folder": str(self.seed_folder(shape)), "context_length": POSITIONS}
        if kind.rank is not None:
            model["adapters"] = {"rank": kind.rank}
        return StudyConfig.parse(
            {
                "schema": 1,
                "name": f"a {shape.name} as the seed",
                "seed": 0,
                "workers": self.workers,
                "sources": {name: str(self.halves.path(name, "kept")) for name in self._all},
                "pool": list(self.names),
                "split": {"evaluation": 0.1, "seed": 0},
                "model": model,
                "branch_training": training | {"snapshots": []} | dict(kind.branches),
                "reference_training": training | {"learning_rate": self.learning_rate},
                "references": {
                    "count": self.references,
                    "replicates": self.replicates,
                    "design": "mixed",
                },
                "candidates": {"count": 20},
                "evaluation_tokens": self.evaluation_tokens,
            },
            ROOT,
        )

    @property
    def _all(self) -> tuple[str, ...]:
        return (*self.names, *self.outside)
