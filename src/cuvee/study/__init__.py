"""A study on disk, and how its runs are made: the only room that knows folder, trainer and store.

config = StudyConfig.load(path)
folder = StudyFolder.of(path)

Reading a study loads nothing heavy. What is asked of it stands in ``cuvee.flows``.
"""

from cuvee.study.file.config import StudyConfig
from cuvee.study.file.folder import StudyFolder
from cuvee.study.status import StageStatus, StudyStatus

__all__ = ["StageStatus", "StudyConfig", "StudyFolder", "StudyStatus"]
