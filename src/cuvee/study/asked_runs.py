"""AskedRuns: the runs of a trainer that a study asked for last, so that it can be looked at without its text.

swarm/asked.json    the folder of all runs, and their keys in the order of the design
"""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cuvee.quantities import agreeing, counted
from cuvee.seal import read_sealed, write_sealed
from cuvee.study.file.folder import StudyFolder
from cuvee.study.plan.run_folder import RunFolder

_FILE = "asked.json"


@dataclass(frozen=True)
class AskedRuns:
    """Which runs make up the design."""

    root: Path
    """In which each has a folder."""
    keys: tuple[str, ...]

    @classmethod
    def read(cls, folder: StudyFolder) -> Self | None:
        """Those of a study; None where none were asked for, or the file cannot be read."""
        try:
            document = read_sealed(folder.swarm / _FILE)
            return cls(Path(document["runs"]), tuple(map(str, document["keys"])))
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def write(self, folder: StudyFolder) -> None:
        """Write them down in place of those before."""
        write_sealed(folder.swarm / _FILE, {"runs": str(self.root), "keys": list(self.keys)})

    def missing(self, done: Collection[str], failed: Collection[str]) -> tuple[str, ...]:
        """Keys of those of which nothing is known yet."""
        return tuple(key for key in self.keys if key not in done and key not in failed)

    def ended(self, keys: Collection[str]) -> tuple[str, ...]:
        """Those among them that have ended by themselves, as their folders say, and were not collected."""
        return tuple(key for key in keys if RunFolder(self.root / key).ended)


def counted_runs(done: int, failed: int, missing: int, ended: int = 0) -> str:
    """``8 of 13 runs are done, 1 failed, 1 has ended and is not collected, 3 have not ended``."""
    asked = done + failed + missing + ended
    parts = [f"{done} of {counted(asked, 'run')} {agreeing(done, 'is', 'are')} done"]
    parts += [f"{failed} failed"] if failed else []
    if ended:
        parts += [f"{ended} {agreeing(ended, 'has ended and is', 'have ended and are')} not collected"]
    parts += [f"{missing} {agreeing(missing, 'has', 'have')} not ended"] if missing else []
    return ", ".join(parts)
