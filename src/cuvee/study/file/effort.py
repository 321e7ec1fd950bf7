"""One dial sets the defaults of a study.

``effort`` gives the size of the model; token budgets follow from that size, so a study that only
changes ``model.parameters`` stays in proportion. Whatever the user wrote is never changed.

Costs, with N parameters: the seed takes ``6 N * 2 N`` FLOPs, each branch and each reference an eighth of
that, each model that is measured ``2 N * evaluations * evaluation_tokens``, each candidate an eighth of that.
What ``cuvee scale`` and ``cuvee search`` may take grows as ``N^2``, so that their runs too keep their tokens
a parameter.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cuvee.study.file.settings import FEWEST_ORDERED

SEED_TOKENS_PER_PARAMETER = 2.0
"""Enough for branches to stay in one basin; ten times less than a compute-optimal model."""
BRANCH_TOKENS_PER_PARAMETER = 0.25
"""A branch long enough to specialise; longer ones merge worse."""
FOLDER_LEARNING_RATE = 1e-4
"""For models that somebody else trained: about the last rate of common recipes."""
ADAPTERS_FASTER = 10
"""Times the rate of whole models: about where adapters of any rank learn best (Schulman et al. 2025, LoRA
Without Regret)."""

SNAPSHOTS = (0.05, 0.1, 0.2, 0.35, 0.55)
"""Enough to draw the learning curve of a branch: denser where it is steep."""

SHARED_RECIPE = frozenset(
    {"tokens", "batch_tokens", "accumulation", "processes", "learning_rate", "warmup", "schedule", "decay"}
    | {"weight_decay", "betas", "clip", "tail_average", "optimizer_state", "optimizer"}
)
"""What references take over from the branches; snapshots and seeds are matters of the pool."""


@dataclass(frozen=True)
class Effort:
    """What one position of the dial means."""

    parameters: int
    context_length: int
    vocabulary: int
    batch_tokens: int
    references: int
    replicates: int
    candidates: int
    evaluation_tokens: int
    check_seeds: int
    ordered: int
    """References that are trained again under other conditions."""
    ladder_flops: float
    """What `cuvee scale` may take, and `cuvee search`."""


EFFORTS: Mapping[str, Effort] = {
    # minutes on two cores: what a study is, on a model that hardly learns
    "tiny": Effort(300_000, 64, 1024, 1024, 14, 4, 150, 16_384, 5, 0, 2e13),
    # some ten minutes on two cores: rank orders are meaningful
    "small": Effort(1_300_000, 128, 4096, 2048, 12, 3, 500, 32_768, 3, 0, 6e14),
    # 25 minutes on one H100; the numbers are as old as the dial, so that no study changes
    "standard": Effort(20_000_000, 512, 16_384, 16_384, 24, 4, 2000, 131_072, 3, 8, 1e18),
    # 70 minutes on one H100
    "large": Effort(80_000_000, 512, 16_384, 32_768, 24, 4, 2000, 131_072, 3, 4, 2e18),
}
"""The dial. The two for a GPU are sized by what one H100 did (training 0.73, 0.52 and 0.34 million tokens a
second at 10, 30 and 130 million parameters, between them by the power law; merges 1.0 million), on eight
sources of which each has an evaluation. Million tokens, and seconds:

| stage | standard | s | large | s |
|---|---:|---:|---:|---:|
| seed model | 40 | 68 | 160 | 409 |
| 8 branches | 40 | 68 | 160 | 409 |
| 24 references | 120 | 204 | 480 | 1226 |
| 4 replicates | 20 | 34 | 80 | 204 |
| check, 3 mixtures x 3 | 45 | 76 | 180 | 460 |
| merges of 2,000 candidates, on a part, the best on all | 517 | 517 | 517 | 517 |
| three descents, members, measuring, snapshots | 108 | 108 | 108 | 108 |
| does the order survive: 8, 4 mixtures trained again | 180 | 322 | 400 | 879 |
| sum | | 1398 | | 4212 |

Reading, and starting and compiling some eight stages, come to it: two to four minutes then. `cuvee scale` and
`cuvee search` have budgets of their own, `ladder_flops`: 3.6 hours at `standard` and 2.7 at `large`."""
DEFAULT_EFFORT = "small"


def with_defaults(raw: Mapping[str, Any]) -> dict[str, Any]:
    """``raw`` (what the YAML says) with all that the dial decides filled in.

    A top-level key without a value has its default. Wrong types are left for the validation to report.
    """
    raw = {key: value for key, value in raw.items() if value is not None}
    effort = EFFORTS.get(_text(raw.get("effort")), EFFORTS[DEFAULT_EFFORT])
    model = raw.get("model")
    trained_elsewhere = isinstance(model, Mapping) and "folder" in model
    parameters = _number(model.get("parameters")) if isinstance(model, Mapping) else None
    size = parameters or effort.parameters
    rate = FOLDER_LEARNING_RATE if trained_elsewhere else learning_rate(size)

    seed_training = _section(raw, "seed_training")
    # Branches go on as the seed model was trained.
    common: dict[str, Any] = {"learning_rate": rate, "batch_tokens": effort.batch_tokens} | {
        key: seed_training[key]
        for key in ("learning_rate", "batch_tokens", "accumulation", "processes")
        if _number(seed_training.get(key))
    }
    if "optimizer" in seed_training:
        common["optimizer"] = seed_training["optimizer"]
    seed_tokens = 0 if trained_elsewhere else _two_digits(SEED_TOKENS_PER_PARAMETER * size)
    branch_tokens = _two_digits(BRANCH_TOKENS_PER_PARAMETER * size)
    # Snapshots of a model that somebody else trained may be large: there they must be asked for.
    snapshots = {} if trained_elsewhere else {"snapshots": SNAPSHOTS}
    branch = common | {"tokens": branch_tokens} | snapshots | _section(raw, "branch_training")
    # A reference is trained as a branch is, on its own mixture.
    reference = {key: value for key, value in branch.items() if key in SHARED_RECIPE}
    if adapters := _section(_section(raw, "model"), "adapters"):
        faster = {"learning_rate": ADAPTERS_FASTER * common["learning_rate"]}
        branch |= faster | _section(raw, "branch_training")
        # Rates of adapters are none for whole models.
        both = adapters.get("references") is True
        reference |= {"learning_rate": (branch if both else common)["learning_rate"]}

    climb = _two_digits(effort.ladder_flops * (size / effort.parameters) ** 2)

    sections: dict[str, dict[str, Any]] = {
        "tokenizer": {} if trained_elsewhere else {"vocabulary": effort.vocabulary},
        "model": {"context_length": effort.context_length}
        | ({} if trained_elsewhere else {"parameters": size}),
        "split": {"seed": 0.0} if trained_elsewhere else {},
        "seed_training": common | {"tokens": seed_tokens},
        "branch_training": branch,
        "reference_training": reference,
        "references": {"count": effort.references, "replicates": effort.replicates},
        "candidates": {"count": effort.candidates},
        "check": {"seeds": effort.check_seeds},
        "order": {"mixtures": ordered(_text(raw.get("effort")), _references(raw, effort))},
        "scale": {"budget_flops": climb},
        "search": {"budget_flops": climb},
    }
    filled: dict[str, Any] = {"evaluation_tokens": effort.evaluation_tokens} | dict(raw)
    for name, defaults in sections.items():
        given = raw.get(name, {})
        if isinstance(given, Mapping):
            alternative = "folder" in given and name == "tokenizer"
            filled[name] = dict(given) if alternative else defaults | dict(given)
    return filled


def ordered(effort: str, references: int) -> int:
    """References that are trained again under other conditions unless the study file says how many; 0 where
    there are too few."""
    count = min(EFFORTS.get(effort, EFFORTS[DEFAULT_EFFORT]).ordered, references)
    return count if count >= FEWEST_ORDERED else 0


def learning_rate(parameters: float) -> float:
    """2e-3 at 1.3 million parameters, falling with the fourth root of the size, at most 3e-3."""
    return float(_two_digits(min(3e-3, 2e-3 * (1.3e6 / parameters) ** 0.25)))


def _two_digits(value: float) -> float | int:
    digits = 1 - math.floor(math.log10(value))
    return int(round(value, digits)) if digits <= 0 else round(value, digits)


def _references(raw: Mapping[str, Any], effort: Effort) -> int:
    """How many there are; a wrong type is left for the validation to report."""
    return int(_number(_section(raw, "references").get("count", effort.references)) or 0)


def _section(raw: Mapping[str, Any], name: str) -> dict[str, Any]:
    section = raw.get(name)
    return dict(section) if isinstance(section, Mapping) else {}


def _number(value: object) -> float | None:
    usable = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if usable and value > 0 else None  # type: ignore[arg-type, operator]


def _text(value: object) -> str:
    return value if isinstance(value, str) else DEFAULT_EFFORT
