"""What a study switches on that has not been run on the hardware that it is made for."""

import json
from typing import Any

from cuvee.execution.work_time import is_gpu
from cuvee.study.file.folder import StudyFolder

STACKED = (
    'models trained in stacks (numerics.json, "stacked") were trained on a GPU, but their losses were not '
    "compared with those of single trainings there; on a CPU they are the same up to rounding"
)
SUMS = (
    "untried on a GPU: gradients of embeddings in a fixed order, ensembles as a product there; on a CPU they "
    "give the same numbers as without"
)


def untried(folder: StudyFolder) -> tuple[str, ...]:
    """A sentence for each such choice in ``numerics.json``; a file that cannot be read says nothing here."""
    said = _numerics(folder)
    if not is_gpu(str(said.get("device", "cpu"))):
        return ()
    stacked = said.get("stacked", 0)
    return (SUMS, STACKED) if isinstance(stacked, int) and stacked > 0 else (SUMS,)


def _numerics(folder: StudyFolder) -> dict[str, Any]:
    try:
        said = json.loads(folder.numerics.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}
