"""From a study file to a decision.

    config = StudyConfig.load(path)
    decision = ablation.run(config, StudyFolder.of(path))

Reading a study and a decision loads nothing heavy; the flow ``ablation`` is loaded when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from cuvee.decisions.ablation.decision import Decision
from cuvee.study.config import StudyConfig
from cuvee.study.folder import StudyFolder
from cuvee.study.status import StageStatus, StudyStatus

if TYPE_CHECKING:
    from types import ModuleType

    from cuvee.study import ablation

__all__ = ["Decision", "StageStatus", "StudyConfig", "StudyFolder", "StudyStatus", "ablation"]


def __getattr__(name: str) -> "ModuleType":
    if name == "ablation":
        return import_module("cuvee.study.ablation")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
