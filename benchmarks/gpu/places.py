"""Where the benchmarks for a GPU keep what they have made, and where their tables go."""

import os
from pathlib import Path

from benchmarks.ablation_study import ROOT
from benchmarks.harness import FOLDER

WORK = ROOT / ".bench" / "gpu"


def work_of(given: Path | None, toy: bool) -> Path:
    """Where results of stages are kept: what was given, else one folder for toys and one for all else."""
    return given or (WORK / "toy" if toy else WORK)


def pages(toy: bool) -> Path:
    """The folder that ``OUT`` names; else tables of toys lie apart, and never replace measured ones."""
    return Path(os.environ.get("OUT") or (WORK / "toy" if toy else FOLDER))
