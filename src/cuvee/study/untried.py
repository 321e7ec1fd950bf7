"""What a study switches on that has not been run on the hardware that it is made for."""

import json
from typing import Any

from cuvee.execution.work_time import is_gpu
from cuvee.study.file.folder import StudyFolder

STACKED = (
    'models trained in stacks (numerics.json, "stacked") were trained on a GPU, but not yet with '
    "queued steps, nor compared with single trainings there; on a CPU they are the same up to rounding"
)
SUMS = "untried on a GPU: ensembles as a product there; on a CPU it gives the same numbers as without"
LAYERS = (
    'untried on a GPU: compiling a layer and not all of them at once (numerics.json, "kernels": 3); on a CPU '
    "it gives the same numbers up to rounding"
)

_LAYER_BY_LAYER = 3
"""As ``models/llama.py`` has it, which loads torch."""


def untried(folder: StudyFolder) -> tuple[str, ...]:
    """A sentence for each such choice in ``numerics.json``; a file that cannot be read says nothing here."""
    said = _numerics(folder)
    if not is_gpu(str(said.get("device", "cpu"))):
        return ()
    stacked, kernels = said.get("stacked", 0), said.get("kernels", 0)
    by_layer = isinstance(kernels, int) and kernels >= _LAYER_BY_LAYER
    chosen = (LAYERS, by_layer), (STACKED, isinstance(stacked, int) and stacked > 0)
    return (SUMS, *(sentence for sentence, on in chosen if on))


def _numerics(folder: StudyFolder) -> dict[str, Any]:
    try:
        said = json.loads(folder.numerics.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}
