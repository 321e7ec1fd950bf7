"""The tariff of a study: whether cores or GPUs compute it, and what its file says that an hour costs.

Read from files alone, so that a status shows it on any machine.
"""

import json
from pathlib import Path

from cuvee.errors import CuveeError
from cuvee.execution.tariff import Tariff
from cuvee.execution.work_time import is_gpu
from cuvee.study.file.config import StudyConfig
from cuvee.study.file.folder import StudyFolder


def tariff_of(config: StudyConfig, folder: StudyFolder) -> Tariff:
    """That of a study; of cores before a device is chosen."""
    price = config.price
    if _on_gpu(folder):
        return Tariff("GPU", price.gpu_hour, price.currency)
    return Tariff("core", price.core_hour, price.currency)


def tariff_in(root: Path) -> Tariff:
    """The same of the study in a folder; without a price where its file cannot be read."""
    folder = StudyFolder(root)
    try:
        return tariff_of(StudyConfig.load(root), folder)
    except CuveeError:
        return Tariff("GPU" if _on_gpu(folder) else "core")


def _on_gpu(folder: StudyFolder) -> bool:
    try:
        return is_gpu(str(json.loads(folder.numerics.read_text(encoding="utf-8"))["device"]))
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return False  # none yet, or damaged: whatever computes refuses that
