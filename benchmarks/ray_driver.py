"""``cuvee run`` on a Ray cluster by a driver that counts: kills go by jobs, not by the clock.

    python -m benchmarks.ray_driver STUDY ADDRESS [ARTIFACTS]

It says how many jobs have come back, whenever one has and whenever one that is at work is heard. Each time it
waits for a line before it goes on. Needs the extra ``ray``.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cuvee.execution.interface import Executor, Item, Job, OnProgress, Result
from cuvee.execution.ray_tasks import RayExecutor, connected
from cuvee.execution.url_artifacts import UrlArtifacts
from cuvee.flows.ablation import flow as ablation
from cuvee.progress import Silent
from cuvee.study.file.config import StudyConfig
from cuvee.study.file.folder import StudyFolder


@dataclass(eq=False)
class Counted:
    """Another executor, with the number of its jobs that are done."""

    inner: Executor
    done: int = 0

    def map(
        self, job: Job[Item, Result], items: Sequence[Item], on_progress: OnProgress | None = None
    ) -> Iterator[tuple[int, Result]]:
        """See ``Executor.map``."""

        def heard(index: int, amount: float, note: str) -> None:
            self._say()
            if on_progress is not None:
                on_progress(index, amount, note)

        for found in self.inner.map(job, items, heard):
            self.done += 1
            self._say()
            yield found

    def _say(self) -> None:
        print(json.dumps({"done": self.done}), flush=True)
        sys.stdin.readline()


def main() -> None:
    """Answer the study."""
    study, address, *url = sys.argv[1:]
    folder, config = StudyFolder.of(Path(study)), StudyConfig.load(Path(study))
    with folder.locked(), connected(address):
        artifacts = UrlArtifacts.begin(folder.root, url[0]) if url else None
        with RayExecutor(folder.root, artifacts=artifacts) as executor:
            ablation.run(config, folder, Silent(), Counted(executor))


if __name__ == "__main__":
    main()
