"""Where ``torch.compile`` keeps what it made: beside the numerics of a study, so that a second command starts
warm.

It lies under the hash of the software and of the machine. Kernels are machine code for one processor, and
loading them runs them: those of a study that came from another machine are never loaded, but made again. Safe
to delete.
"""

import os
import platform
from importlib.metadata import version

from cuvee.execution.machine import this_machine
from cuvee.hashing import digest
from cuvee.study.file.folder import StudyFolder

CACHE = "TORCHINDUCTOR_CACHE_DIR"
"""Read by torch when it compiles. A user who sets it is obeyed."""


def cache_environment(folder: StudyFolder) -> dict[str, str]:
    """What stands in the environment of a process that compiles for a study; empty where the user has
    chosen."""
    if CACHE in os.environ:
        return {}
    return {
        CACHE: str(folder.kernels / digest([version("torch"), platform.python_version(), this_machine()]))
    }
