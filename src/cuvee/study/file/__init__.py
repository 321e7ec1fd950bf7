"""The study file: what a user decides, read strictly and changed as a person would."""

from cuvee.study.file.config import StudyConfig
from cuvee.study.file.folder import StudyFolder
from cuvee.study.file.study_file import StudyFile

__all__ = ["StudyConfig", "StudyFile", "StudyFolder"]
