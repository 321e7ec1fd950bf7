"""What a study switches on that has not been run on the hardware that it is made for."""

import json
from typing import Any

from cuvee.execution.work_time import is_gpu
from cuvee.study.file.folder import StudyFolder

STACKED = (
    "untried on a GPU: steps recorded as CUDA graphs, and models trained in stacks (numerics.json, "
    '"stacked"); on a CPU they give what single trainings give, up to rounding'
)
RESIDENT = (
    "untried on a GPU: one worker a card that stays for all stages, documents and ensembles summed there, "
    "kernels kept beside the study; on a CPU they give the same numbers as without"
)


def untried(folder: StudyFolder) -> tuple[str, ...]:
    """A sentence for each such choice in ``numerics.json``; a file that cannot be read says nothing here."""
    said = _numerics(folder)
    if not is_gpu(str(said.get("device", "cpu"))):
        return ()
    stacked = said.get("stacked", 0)
    return (RESIDENT, STACKED) if isinstance(stacked, int) and stacked > 0 else (RESIDENT,)


def _numerics(folder: StudyFolder) -> dict[str, Any]:
    try:
        said = json.loads(folder.numerics.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}
