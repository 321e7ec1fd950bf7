"""Running jobs in other processes: one protocol, executors by process and by device."""

from cuvee.execution.cores import usable_cores
from cuvee.execution.devices import DeviceProcesses
from cuvee.execution.interface import Executor, Job, OnProgress, Report
from cuvee.execution.local import InProcess, LocalProcesses

__all__ = [
    "DeviceProcesses",
    "Executor",
    "InProcess",
    "Job",
    "LocalProcesses",
    "OnProgress",
    "Report",
    "usable_cores",
]
