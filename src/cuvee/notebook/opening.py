"""What lies in a folder, opened: a study or a fit."""

import os
from pathlib import Path

from cuvee.errors import ConfigError
from cuvee.flows.fit.folder import DECISION
from cuvee.notebook.opened import Opened
from cuvee.notebook.opened_fit import OpenedFit
from cuvee.notebook.opened_study import OpenedStudy
from cuvee.study.file.config import StudyConfig
from cuvee.study.file.folder import CONFIG_NAME, StudyFolder


def open(path: str | os.PathLike[str]) -> Opened:
    """Open the folder of a study or of a `cuvee fit`; nothing is trained or fitted by that.

    Args:
        path: the folder, the ``study.yaml`` of a study, or the ``fit.json`` of a fit.

    Raises:
        ConfigError: neither lies there, or the study file cannot be used.
    """
    place = Path(path)
    if place.name == DECISION:
        return OpenedFit.of(place.parent)
    if (place / DECISION).is_file() and not (place / CONFIG_NAME).is_file():
        return OpenedFit.of(place)
    if not (place.is_file() or (place / CONFIG_NAME).is_file()):
        raise ConfigError(
            f"{place}: neither a study ({CONFIG_NAME}) nor a fit ({DECISION}) lies there; `cuvee init` "
            "begins the one, `cuvee fit` makes the other"
        )
    return _study(place)


def _study(place: Path) -> OpenedStudy:
    StudyConfig.load(place)  # a study file that cannot be used is refused at once
    return OpenedStudy(StudyFolder.of(place), place)
