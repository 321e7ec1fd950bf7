"""The study behind the trainings of ``make bench-scale``: six real domains mixed, eight measured.

Needs the folder of real text that ``CUVEE_SHARED`` names (default ``../shared``); it is read, never copied.
"""

from benchmarks.ablation_study import OUTSIDE, POOL, ROOT, SHARED
from cuvee.study.file.config import StudyConfig
from cuvee.types import Json

WORK = ROOT / ".bench" / "scale"
"""Where models are kept, so that the benchmark can be stopped and gone on with."""

TARGET_TOKENS = 2_700_000
"""Of the third scale, which is trained: three times the second, nine times the first."""


def settings() -> Json:
    """The study file."""
    domains = (*POOL, *OUTSIDE)
    return {
        "schema": 1,
        "name": "eight domains",
        "seed": 0,
        "workers": 2,
        "sources": {name: str(SHARED / "corpus" / name / "train.jsonl.zst") for name in domains},
        "pool": list(POOL),
        "split": {"evaluation": 0.05, "seed": 0.4},
        "tokenizer": {"vocabulary": 1024},
        "model": {"parameters": 400_000, "context_length": 64},
        "seed_training": {"tokens": 1024, "batch_tokens": 1024},
        "branch_training": {"tokens": 1024, "schedule": "linear", "snapshots": []},
        "references": {"count": 0, "replicates": 0},
        "target_run": {"tokens": TARGET_TOKENS},
        "scale": {"budget_flops": 1e16, "rungs": 2, "step": 3.0, "replicates": 2, "seeds": 2},
        "evaluation_tokens": 2048,
    }


def config() -> StudyConfig:
    """The same, checked."""
    return StudyConfig.parse(settings(), ROOT)
