"""What a pool still costs when a search begins.

    searches/<key>.charge    these FLOPs, written when the search begins

The trainings of a search are sized by what its budget leaves beside the pool, and what is trained already
costs nothing. But while the pool is trained, less and less of it is unpaid, and a search that was killed must
find its trainings as it left them. So the charge is written down once, under all that makes it this search.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cuvee.errors import StoreError
from cuvee.hashing import digest
from cuvee.seal import read_sealed, write_sealed
from cuvee.study.file.config import StudyConfig
from cuvee.study.file.folder import StudyFolder

_NOT_ASKED = {"batch", "tolerance"}  # how a search is gone about, not what it is
_ASKED = {"target_run", "target", "limits", "seed"}


@dataclass(frozen=True)
class Charge:
    """FLOPs of the pool that the budget of a search pays for. Made by ``of``."""

    path: Path
    flops: float

    @classmethod
    def of(cls, folder: StudyFolder, config: StudyConfig, pool: Sequence[str], unpaid: float) -> "Charge":
        """The charge written down, or what is unpaid now where the search has not begun.

        Args:
            folder: of the study.
            config: of the study.
            pool: keys of the trainings of the pool; empty where no proxy is asked for.
            unpaid: FLOPs of those that are not made yet.

        Raises:
            StoreError: it was written down and is damaged.
        """
        left_out = _NOT_ASKED if config.search.trainer_tokens else {*_NOT_ASKED, "trainer_tokens"}
        search = config.search.model_dump(mode="json", exclude=left_out)
        asked = {**config.model_dump(mode="json", include=_ASKED), "search": search, "pool": list(pool)}
        path = folder.searches / f"{digest(asked)}.charge"
        if not path.is_file():
            return cls(path, unpaid)
        try:
            return cls(path, float(read_sealed(path)["pool_flops"]))
        except (ValueError, TypeError, KeyError) as error:
            raise StoreError(f"{path}: damaged ({error!r}); delete it to size the search anew") from error

    def write(self) -> None:
        """Write it down, unless it is."""
        if not self.path.is_file():
            write_sealed(self.path, {"pool_flops": self.flops})
