"""Running jobs in other processes: one protocol, two executors."""

from cuvee.execution.cores import usable_cores
from cuvee.execution.interface import Executor, Job, OnProgress, Report
from cuvee.execution.local import InProcess, LocalProcesses

__all__ = [
    "Executor",
    "InProcess",
    "Job",
    "LocalProcesses",
    "OnProgress",
    "Report",
    "usable_cores",
]
