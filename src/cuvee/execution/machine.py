"""Which machine this is, as far as the system says it."""

import platform
from pathlib import Path

_MACHINE = Path("/etc/machine-id"), Path("/proc/cpuinfo")


def this_machine() -> list[str]:
    """Its architecture, its identity, and what its processor can do."""
    identity, processor = ((file.read_text(errors="replace") if file.is_file() else "") for file in _MACHINE)
    kept = [line for line in processor.splitlines() if line.startswith(("model name", "flags", "Features"))]
    return [platform.machine(), identity.strip(), *sorted(set(kept))]
