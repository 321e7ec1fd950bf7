"""What a changed tokenizer or number format costs a study that has begun.

Both are part of every key: after a change nothing that was trained counts any more. That may be what somebody
wants, or an edit or damage of a file; it is said before anything is trained again.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cuvee.models.checkpoint import PASSPORT
from cuvee.quantities import counted, flops
from cuvee.runs.roles import SNAPSHOT, SWARM
from cuvee.runs.store import RunStore
from cuvee.seal import read_sealed
from cuvee.study.plan.plan import Plan


@dataclass(frozen=True)
class _Trained:
    """How a model in the folder of checkpoints was trained."""

    tokenizer: str
    dtype: str
    compiled: bool
    stacked: bool


def trained_otherwise(plan: Plan, store: RunStore) -> str:
    """A sentence where every model of a study was trained with another tokenizer or number format than it has
    now; else empty. Cost: one small file a model."""
    models = list(_models(plan.folder.checkpoints))
    changes = [change for change in (_tokenizer(plan, models), _numerics(plan, models)) if change]
    if not models or not changes:
        return ""
    spent = math.fsum(
        run.flops or 0.0
        for run in store.runs(kind=("trained", "checkpoint"))
        if run.role not in (SNAPSHOT, SWARM)
    )
    return (
        f"{' '.join(changes)} Of {counted(len(models), 'model')} that this study has trained none counts "
        "any more, "
        f"and all is trained again; they took {flops(spent)} FLOPs. If that is not what you want, stop now."
    )


def _tokenizer(plan: Plan, models: list[_Trained]) -> str:
    now, place = plan.material.tokenizer, plan.material.tokenizer_folder
    if any(one.tokenizer == now for one in models):
        return ""
    own = place.parent == plan.folder.tokenizers
    back = "delete that folder to have it trained as it was" if own else "put it back as it was"
    return (
        f"The tokenizer in {place} is another than the models were trained with ({now}, and was "
        f"{_names({one.tokenizer for one in models})}); {back} to go on with them."
    )


def _numerics(plan: Plan, models: list[_Trained]) -> str:
    now = plan.model.dtype, plan.model.compiled, plan.model.stacked > 0
    if any((one.dtype, one.compiled, one.stacked) == now for one in models):
        return ""
    before = {_format(one.dtype, one.compiled, one.stacked) for one in models}
    return (
        f"{plan.folder.numerics} says {_format(*now)}, and the models were trained in {_names(before)}; say "
        "that there to go on with them."
    )


def _format(dtype: str, compiled: bool, stacked: bool) -> str:
    return f"{dtype} {'compiled' if compiled else 'not compiled'}{' in stacks' if stacked else ''}"


def _names(found: set[str]) -> str:
    return " or ".join(sorted(found))


def _models(folder: Path) -> Iterator[_Trained]:
    for file in sorted(folder.glob(f"[!.]*/{PASSPORT}")):
        try:
            passport = read_sealed(file)
            recipe = passport["details"]["recipe"]
            yield _Trained(
                str(passport["tokenizer"]),
                str(recipe["dtype"]),
                bool(recipe["compiled"]),
                bool(recipe.get("stacked")),
            )
        except (OSError, ValueError, LookupError, TypeError):
            continue  # reported when the model is needed
