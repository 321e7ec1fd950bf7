"""The study behind ``make bench-ablation``: eight real domains, six in the pool, two kept out of it.

Needs the folder of real text that ``CUVEE_SHARED`` names (default ``../shared``); it is read, never copied.
"""

import os
from pathlib import Path

from cuvee.study.file.config import StudyConfig
from cuvee.types import Json

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("CUVEE_SHARED", ROOT.parent / "shared"))
WORK = ROOT / ".bench" / "ablation"
"""Where models are kept, so that the benchmark can be stopped and gone on with."""

POOL = ("novels", "legal", "german", "gsm8k", "medical", "chess")
OUTSIDE = ("docs", "dialogue")
REFERENCES = 32
REPLICATES = 6
STEPS = 150
BATCH_TOKENS = 2048


def settings(learning_rate: float = 2e-3) -> Json:
    """The study file; ``learning_rate`` is that of the branches, references are always trained at 2e-3."""
    domains = (*POOL, *OUTSIDE)
    return {
        "schema": 1,
        "name": "eight domains",
        "seed": 0,
        "workers": 2,
        "sources": {name: str(SHARED / "corpus" / name / "train.jsonl.zst") for name in domains},
        "pool": list(POOL),
        "split": {"evaluation": 0.05, "seed": 0.4},
        "tokenizer": {"vocabulary": 4096},
        "model": {"parameters": 1_300_000, "context_length": 128},
        "seed_training": {
            "tokens": 1200 * BATCH_TOKENS,
            "learning_rate": 2e-3,
            "batch_tokens": BATCH_TOKENS,
            "schedule": "constant",
        },
        "branch_training": {
            "tokens": STEPS * BATCH_TOKENS,
            "learning_rate": learning_rate,
            "batch_tokens": BATCH_TOKENS,
            "schedule": "linear",
            "snapshots": [0.1, 0.125, 0.1667, 0.2, 0.25, 0.3333, 0.4, 0.5, 0.6667, 0.8],
        },
        "reference_training": {
            "tokens": STEPS * BATCH_TOKENS,
            "learning_rate": 2e-3,
            "batch_tokens": BATCH_TOKENS,
            "schedule": "linear",
        },
        "references": {"count": REFERENCES, "replicates": REPLICATES, "design": "mixed"},
        "candidates": {"count": 500},
        "evaluation_tokens": 32_768,
    }


def config(learning_rate: float = 2e-3) -> StudyConfig:
    """The same, checked."""
    return StudyConfig.parse(settings(learning_rate), ROOT)
