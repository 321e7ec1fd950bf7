"""Software: which code, and which libraries, a trajectory was made by."""

from pathlib import Path

from cuvee.hashing import digest_bytes

_DECIDES = ("laws", "mixture", "search", "flows/simulate")
"""Folders of cuvee on whose code a trajectory depends."""


LIBRARIES = ("numpy", "scipy", "lightgbm")
"""On which a trajectory depends."""


def code() -> str:
    """Digest of the code that decides a trajectory: one of other code is another one."""
    home = Path(__file__).parents[2]
    files = sorted(path for folder in _DECIDES for path in (home / folder).rglob("*.py"))
    return digest_bytes(b"\0".join(path.read_bytes() for path in files))
