"""Runs written for a scheduler: a folder and a script for each, and one script for an array of jobs.

    DIR/manifest.json      what each run is that lies here, and how it stands
    DIR/array.sh           for Slurm: `cd DIR && sbatch array.sh`; only runs that are still to be made
    DIR/array.log          what Slurm says; what trainers say is in the folders of their runs
    DIR/runs/<key>/run.sh  one run, for anything that can start a script

Nothing is launched. The same command again reads what has ended, in any order, and writes the array anew.
"""

import math
from collections.abc import Sequence
from pathlib import Path

from cuvee.files import write_json, write_text
from cuvee.runs.run import Run
from cuvee.study.file.config import StudyConfig
from cuvee.study.plan.commanded_run import CommandedRun
from cuvee.study.producers.commanded import CommandedRuns

MANIFEST, ARRAY = "manifest.json", "array.sh"


def emit_runs(
    folder: Path,
    config: StudyConfig,
    producer: CommandedRuns,
    requests: Sequence[CommandedRun],
    known: Sequence[Run | None],
) -> None:
    """Write manifest and array; the folders of the runs are written by the producer.

    What was made elsewhere is not listed.
    """
    here = [pair for pair in zip(requests, known, strict=True) if producer.folder(pair[0]).path.is_dir()]
    rows = [
        {
            "index": index,
            "key": producer.key(one),
            "folder": f"runs/{producer.key(one)}",
            "mixture": {name: one.mixture.share(name) for name in one.mixture.support},
            "tokens": one.tokens,
            "seed": one.seed,
            "status": "missing" if run is None else run.status,
            "error": None if run is None else run.error,
        }
        for index, (one, run) in enumerate(here)
    ]
    write_json(folder / MANIFEST, {"study": config.name, "command": config.trainer.command, "runs": rows})
    left = [index for index, (_, run) in enumerate(here) if run is None or run.status == "failed"]
    if left:
        write_text(folder / ARRAY, _array(config, [str(row["folder"]) for row in rows], left))
    else:
        (folder / ARRAY).unlink(missing_ok=True)


def _array(config: StudyConfig, folders: Sequence[str], left: Sequence[int]) -> str:
    trainer = config.trainer
    attempts = trainer.retries + 1
    minutes = (
        [] if trainer.timeout is None else [f"#SBATCH --time={math.ceil(60 * trainer.timeout * attempts)}"]
    )
    return "\n".join(
        [
            "#!/bin/sh",
            "#SBATCH --job-name=cuvee-swarm",
            f"#SBATCH --array={ranges(left)}",
            "#SBATCH --output=array.log",
            "#SBATCH --open-mode=append",
            *minutes,
            "# Submit it from its own folder; partition, GPUs and memory are yours to say:",
            "#     sbatch --gres=gpu:1 --mem=32G array.sh",
            'cd "${SLURM_SUBMIT_DIR:-.}" || exit 1',
            "set -- \\",
            *(f"    {one} \\" for one in folders),
            "    ",
            'shift "${SLURM_ARRAY_TASK_ID:?is set by Slurm for a job of an array}"',
            *(['sh "$1/run.sh" && exit 0'] * trainer.retries),
            'exec sh "$1/run.sh"',
            "",
        ]
    )


def ranges(numbers: Sequence[int]) -> str:
    """Ascending numbers as Slurm writes them: ``0-3,7``."""
    groups: list[list[int]] = []
    for number in numbers:
        if groups and groups[-1][1] == number - 1:
            groups[-1][1] = number
        else:
            groups.append([number, number])
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in groups)
