"""Software: which code and libraries a play was made by (floor 7)."""

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import cuvee
from cuvee.hashing import digest_bytes

_DECIDES = ("laws", "mixture", "search", "study/simulation")
"""Folders of cuvee on whose code a play depends."""


def versions() -> dict[str, str]:
    """Of cuvee, Python and the numeric libraries."""
    found = {"cuvee": cuvee.__version__, "python": platform.python_version()}
    for name in ("numpy", "scipy", "lightgbm"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # one that is not needed, or without metadata
            continue
    return found


def code() -> str:
    """Digest of the code that decides what a play does: a play of other code is another play."""
    home = Path(cuvee.__file__).parent
    files = sorted(path for folder in _DECIDES for path in (home / folder).rglob("*.py"))
    return digest_bytes(b"\0".join(path.read_bytes() for path in files))
