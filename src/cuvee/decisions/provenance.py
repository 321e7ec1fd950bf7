"""Provenance: digests of all that determines a decision, and the command that makes it again."""

import platform
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from cuvee.version import VERSION


@dataclass(frozen=True)
class Provenance:
    """All that determines the decision on a study, by content hash, and how to make it again."""

    config: str
    """Digest of the study file as it was understood (defaults filled in)."""
    sources: str
    """Digest of the contents of all sources and evaluation sets."""
    recipe: str
    """Digest of model shape, tokenizer, optimiser and schedule."""
    versions: dict[str, str]
    """Library name -> version, ``cuvee`` and ``python`` among them."""
    command: str
    """The shell command that repeats the study."""


@dataclass(frozen=True)
class Origin:
    """All that determines the decision on a table of runs, by content hash, and how to make it again."""

    runs: str
    """Digest of mixtures and metrics."""
    question: str
    """Digest of what was asked."""
    versions: dict[str, str]
    command: str
    """The shell command that asks again; empty where none did."""


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Of cuvee, Python, and those of the packages that are installed with metadata."""
    found = {"cuvee": VERSION, "python": platform.python_version()}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # one that is not needed, or a development tree
            continue
    return found
