"""Leases of jobs: each attempt at a job may publish until the job is given to another worker.

    <study>/.attempts/<map>/<token>/    what the attempt of this token has under way

Tokens count up within a map. Granting makes the folder; taking back renames it away, after which nothing of
that attempt can be published (``files.py``), wherever it runs and whenever it comes back.
"""

import shutil
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from cuvee.files import Lease

ATTEMPTS = ".attempts"
"""The folder of all leases below the folder that they guard."""


@dataclass(eq=False)
class Leases:
    """The leases of one map. Used by the process that hands out its jobs, and by no other."""

    root: Path
    """What they guard."""
    _folder: Path
    _tokens: "count[int]" = field(default_factory=lambda: count(1))

    @classmethod
    def begin(cls, root: Path) -> "Leases":
        """For the jobs of one map."""
        parent = root / ATTEMPTS
        parent.mkdir(parents=True, exist_ok=True)
        return cls(root, Path(tempfile.mkdtemp(dir=parent)))

    def grant(self) -> Lease:
        """For one attempt."""
        folder = self._folder / str(next(self._tokens))
        folder.mkdir()
        return Lease(self.root, folder)

    def take_back(self, lease: Lease) -> None:
        """End a lease; what its attempt had under way is removed."""
        _take_away(lease.folder, self.root)

    def end(self) -> None:
        """Take back all that are left."""
        _take_away(self._folder, self.root)
        with suppress(OSError):  # another map is under way
            self._folder.parent.rmdir()


def take_back_all(root: Path) -> None:
    """End the leases of commands that were killed: their workers may still be at work somewhere.

    Only for who holds the study.
    """
    if (root / ATTEMPTS).is_dir():
        _take_away(root / ATTEMPTS, root)


def _take_away(folder: Path, root: Path) -> None:
    """Rename first: what is removed file by file could be published by half meanwhile."""
    aside = Path(tempfile.mkdtemp(prefix=f"{ATTEMPTS}.", suffix=".tmp", dir=root))
    with suppress(FileNotFoundError):  # it was taken back before
        folder.rename(aside)
    shutil.rmtree(aside, ignore_errors=True)
