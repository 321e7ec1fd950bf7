"""Where ``torch.compile`` keeps what it made: beside the numerics of a study, so that a second command starts
warm.

It lies under the hash of the software and of the machine. Kernels are machine code for one processor, and
loading them runs them: those of a study that came from another machine are never loaded, but made again. Safe
to delete.
"""

import os
import platform
from importlib.metadata import version
from pathlib import Path

from cuvee.hashing import digest
from cuvee.study.file.folder import StudyFolder

CACHE = "TORCHINDUCTOR_CACHE_DIR"
"""Read by torch when it compiles. A user who sets it is obeyed."""
_MACHINE = Path("/etc/machine-id"), Path("/proc/cpuinfo")


def cache_environment(folder: StudyFolder) -> dict[str, str]:
    """What stands in the environment of a process that compiles for a study; empty where the user has
    chosen."""
    if CACHE in os.environ:
        return {}
    return {CACHE: str(folder.kernels / digest([version("torch"), platform.python_version(), _machine()]))}


def _machine() -> list[str]:
    """This machine, and what its processor can do, as far as the system says it."""
    identity, processor = ((file.read_text(errors="replace") if file.is_file() else "") for file in _MACHINE)
    kept = [line for line in processor.splitlines() if line.startswith(("model name", "flags", "Features"))]
    return [platform.machine(), identity.strip(), *sorted(set(kept))]
