"""A study with a trainer of its own, for tests."""

import random
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cuvee.study.file.folder import StudyFolder
from tests.study.tiny_study import write_study

TOY = Path(__file__).with_name("toy_trainer.py")
_ARGUMENTS = "--mixture {mixture} --tokens {tokens} --seed {seed} --output {output}"
COMMAND = f'"{sys.executable}" trainer.py {_ARGUMENTS}'


def swarm_study(root: Path, **changes: Any) -> StudyFolder:
    """Four languages and the toy trainer."""
    trainer = {"command": COMMAND, "metrics": ["loss_*"], "count": 12, "tokens": 5000} | changes
    root.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(TOY, root / "trainer.py")
    return write_study(root, trainer=trainer)


@dataclass(frozen=True)
class FakeScheduler:
    """Does what Slurm does with ``array.sh``, one job at a time, in an order of its own."""

    folder: Path

    def submit(self, seed: int = 0, only: int | None = None) -> list[int]:
        """Run the jobs of the array, or so many of them; their exit statuses."""
        text = (self.folder / "array.sh").read_text()
        line = next(line for line in text.splitlines() if line.startswith("#SBATCH --array="))
        indices = [
            number
            for part in line.partition("=")[2].split(",")
            for number in range(int(part.split("-")[0]), int(part.split("-")[-1]) + 1)
        ]
        random.Random(seed).shuffle(indices)
        spooled = self.folder.parent / "spooled.sh"  # Slurm runs a copy that lies elsewhere
        spooled.write_text(text)
        return [self._job(spooled, index) for index in indices[:only]]

    def _job(self, script: Path, index: int) -> int:
        environment = {
            "PATH": "/usr/bin:/bin",
            "SLURM_ARRAY_TASK_ID": str(index),
            "SLURM_SUBMIT_DIR": str(self.folder),
        }
        return subprocess.run(["/bin/sh", str(script)], env=environment, check=False).returncode
